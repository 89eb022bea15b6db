"""The recorded outputs of the bundled weights: reading them, and making them anew."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import GOLDEN, KINDS, WEIGHTS, golden_of, kernels, rounding, sample, tensorfile, weights_of
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import load_model, sha256
from mmdoctor.reference.comparison import named_outputs
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.processor import Processor


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `golden.json` holds."""

    sha256: dict[str, str]
    """Digest of every file of the bundled folder, and of `outputs.safetensors`, by name."""
    outputs: dict[str, dict[str, float]]
    """Tolerance by dtype and output: largest error as a fraction of the output's largest magnitude."""
    attention: dict[str, dict[str, float]]
    """The same for one attention by itself, by dtype and case."""


def read_record(folder: Path = GOLDEN) -> Record:
    """Raises `MMDoctorError` when `golden.json` is missing or damaged."""
    file = folder / "golden.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise MMDoctorError(f"{file} cannot be used: {error}; install mmdoctor again") from None


def read_outputs(folder: Path = GOLDEN) -> dict[str, Tensor]:
    """The recorded outputs, by name, in the order of the data's way; float32, rounded from float64."""
    tensors = tensorfile.read_tensors(folder / "outputs.safetensors")
    order = [name for name in read_record(folder).outputs["float32"] if name in tensors]
    return {name: tensors[name] for name in order}


def exact_run(folder: Path = WEIGHTS) -> tuple[Callable[[Tensor], dict[str, Tensor]], Tensor]:
    """A function that runs the fixed batch in float64 with the textbook attention, and the pictures to give it."""
    model = load_model(folder).double()
    use_attention(model, "textbook")
    patches = model.config.vision_config.num_patches
    batch = sample.batch(Processor.from_folder(folder), patches).to(torch.device("cpu"), torch.float64)

    def run(pixels_BCYX: Tensor) -> dict[str, Tensor]:
        return named_outputs(model(*batch._replace(pixel_values=pixels_BCYX)))

    return run, batch.pixel_values


def record(kind: FusionKind) -> None:
    """Run the bundled folder of that fusion as it is, and write what it gives and its digests over what is there."""
    weights, golden = weights_of(kind), golden_of(kind)
    golden.mkdir(parents=True, exist_ok=True)
    run, pixels_BCYX = exact_run(weights)
    outputs = tensorfile.to_bytes({name: tensor.to(torch.float32) for name, tensor in run(pixels_BCYX).items()})
    (golden / "outputs.safetensors").write_bytes(outputs)
    digests = {file.name: sha256(file.read_bytes()) for file in sorted(weights.iterdir())}
    measured = {
        "sha256": {**digests, "outputs.safetensors": sha256(outputs)},
        "outputs": {
            dtype: _three_digits(rounding.tolerances(run, pixels_BCYX, dtype, exact_inputs=dtype == "float32"))
            for dtype in rounding.UNIT_ROUNDOFF
        },
        "attention": {
            dtype: _three_digits(rounding.tolerances(kernels.textbook, kernels.inputs(), dtype, exact_inputs=True))
            for dtype in rounding.UNIT_ROUNDOFF
        },
    }
    (golden / "golden.json").write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def _three_digits(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.3g}") for name, value in values.items()}


if __name__ == "__main__":
    for kind in KINDS:
        record(kind)
