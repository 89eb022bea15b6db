"""The recorded outputs of the bundled weights: reading them, and making them anew."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import torch
from torch import Tensor

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import (
    GOLDEN,
    KINDS,
    canary,
    evaluation,
    golden_of,
    kernels,
    rounding,
    sample,
    tensorfile,
    weights_of,
)
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import load_model, sha256
from mmdoctor.reference.comparison import drawn, sure_choices
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.model import Encoded, ReferenceModel
from mmdoctor.reference.processor import Processor
from mmdoctor.reference.rounding import NOTHING, Tolerance
from mmdoctor.reference.seeding import storable
from mmdoctor.reference.tracing import OUTPUT_NUMBERS, trace

TYPES = tuple(rounding.UNIT_ROUNDOFF)
_FLOAT32 = Tolerance(2.0**-23, 2.0**-23)
"""The processor works in float64 and rounds once."""

Tolerances = dict[str, Tolerance]


class Caption(msgspec.Struct, frozen=True, kw_only=True):
    """What the model writes about one picture of the fixed batch."""

    text: str
    ids: tuple[int, ...]
    """Behind the start token, up to the end token."""
    sure: dict[str, int]
    """By dtype: tokens from the start that rounding cannot turn."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What `golden.json` holds."""

    sha256: dict[str, str]
    """Digest of every file of the bundled folder, and of `outputs.safetensors`, by name."""
    captions: tuple[Caption, ...]
    outputs: dict[str, Tolerances]
    """By dtype and output."""
    layers: dict[str, Tolerances]
    """By dtype and layer."""
    kernels: dict[str, Tolerances] = {}
    """By dtype and case, of attention and of products by themselves; only in the first fusion's record, as the next."""
    scores: dict[str, list[canary.Marks]] = {}
    """By type, what each sitting of the exam scored."""


class Golden(NamedTuple):
    """A record and the numbers that go with it."""

    record: Record
    outputs: dict[str, Tensor]
    """In the order of the data's way through the model; float32, rounded from float64."""
    layers: dict[str, Tensor]
    """In the order in which they ran."""


class Given(NamedTuple):
    """The fixed batch as it goes into the model, and what the processor made."""

    batch: sample.Batch
    prepared: dict[str, Tensor]


def read_record(folder: Path = GOLDEN) -> Record:
    """Raises `MMDoctorError` when `golden.json` is missing or damaged."""
    file = folder / "golden.json"
    try:
        return msgspec.json.decode(file.read_bytes(), type=Record)
    except (OSError, msgspec.DecodeError) as error:
        raise MMDoctorError(f"{file} cannot be used: {error}; install mmdoctor again") from None


def read(folder: Path = GOLDEN) -> Golden:
    """Raises `MMDoctorError` when a file is missing or damaged, or they do not belong together."""
    record = read_record(folder)
    for part in (record.outputs, record.layers, record.kernels or record.outputs, record.scores or canary.TYPES):
        if missing := set(TYPES) - set(part):
            raise MMDoctorError(f"{folder / 'golden.json'} has nothing for {missing.pop()}; install mmdoctor again")
    tensors = tensorfile.read_tensors(folder / "outputs.safetensors")
    try:
        return Golden(
            record,
            {name: tensors[name] for name in record.outputs["float32"]},
            {name: tensors[f"layer {name}"] for name in record.layers["float32"]},
        )
    except KeyError as error:
        raise MMDoctorError(f"{folder}: golden.json names {error}, outputs.safetensors has no such tensor") from None


def given(folder: Path, model: ReferenceModel) -> Given:
    """The fixed batch of the folder's own processor.

    The model gets pictures whose numbers every type holds exactly: what is measured is its arithmetic, not how its
    input was stored. What the processor made is compared by itself.
    """
    batch = sample.batch(Processor.from_folder(folder), model.config.vision_config.num_patches)
    prepared = {
        "pixel_values": drawn(batch.pixel_values, OUTPUT_NUMBERS),
        "input_ids": batch.input_ids.flatten().float(),
    }
    return Given(batch._replace(pixel_values=storable(batch.pixel_values).float()), prepared)


def write_captions(model: ReferenceModel, batch: sample.Batch, longest: int) -> list[list[int]]:
    """The ids that the model writes about each picture, behind the start token, up to the end token."""
    config = model.config
    rows = model.generate(_unmasked(model, batch), max_new_tokens=longest)[:, 1:].tolist()
    return [row[: row.index(config.eos_token_id) + 1] if config.eos_token_id in row else row for row in rows]


def _unmasked(model: ReferenceModel, batch: sample.Batch) -> Encoded:
    return model.encode(
        pixel_values=batch.pixel_values,
        input_ids=batch.input_ids,
        attention_mask=batch.attention_mask,
        token_type_ids=batch.token_type_ids,
    )


def record(kind: FusionKind) -> None:
    """Run the bundled folder of that fusion as it is, and write what it gives and its digests over what is there."""
    weights, golden = weights_of(kind), golden_of(kind)
    golden.mkdir(parents=True, exist_ok=True)
    model = load_model(weights).double()
    use_attention(model, "textbook")
    batch, prepared = given(weights, model)
    batch = batch.to(torch.device("cpu"), torch.float64)

    def run() -> dict[str, Tensor]:
        traced = trace(model, batch)
        return {**traced.outputs, **{f"layer {name}": tensor for name, tensor in traced.layers.items()}}

    exact = {**prepared, **run()}
    content = tensorfile.to_bytes({name: tensor.to(torch.float32) for name, tensor in exact.items()})
    (golden / "outputs.safetensors").write_bytes(content)
    outputs: dict[str, Tolerances] = {}
    layers: dict[str, Tolerances] = {}
    for dtype in TYPES:
        found = {name: _rounded(each) for name, each in rounding.tolerances(run, dtype).items()}
        outputs[dtype] = {"pixel_values": _FLOAT32, "input_ids": NOTHING} | {
            name: each for name, each in found.items() if not name.startswith("layer ")
        }
        layers[dtype] = {name.removeprefix("layer "): each for name, each in found.items() if name.startswith("layer ")}
    digests = {file.name: sha256(file.read_bytes()) for file in sorted(weights.iterdir())}
    made = Record(
        sha256={**digests, "outputs.safetensors": sha256(content)},
        captions=_captions(model, batch, Processor.from_folder(weights), outputs),
        outputs=outputs,
        layers=layers,
        kernels=_kernels() if kind == KINDS[0] else {},
        scores=_scores(weights) if kind == KINDS[0] else {},
    )
    (golden / "golden.json").write_text(_text(made), encoding="utf-8")


def _captions(
    model: ReferenceModel, batch: sample.Batch, processor: Processor, outputs: dict[str, Tolerances]
) -> tuple[Caption, ...]:
    return tuple(_caption(model, batch.samples([index]), processor, outputs) for index in range(len(batch.input_ids)))


def _caption(
    model: ReferenceModel, alone: sample.Batch, processor: Processor, outputs: dict[str, Tolerances]
) -> Caption:
    (ids,) = write_captions(model, alone, model.config.decoder_config.max_position_embeddings - 1)
    start = torch.tensor([[model.config.decoder_start_token_id, *ids[:-1]]])
    logits_1UV = model.write(start, _unmasked(model, alone))
    sure = {
        dtype: int(sure_choices(logits_1UV, tolerances["caption_logits"])[0].long().cumprod(0).sum())
        for dtype, tolerances in outputs.items()
    }
    return Caption(text=processor.tokenizer.decode(ids), ids=tuple(ids), sure=sure)


def _kernels() -> dict[str, Tolerances]:
    attention, factors = kernels.cases(), kernels.factors()
    found = {}
    for dtype in TYPES:
        by_case = rounding.tolerances(lambda: kernels.textbook(attention), dtype)
        products = rounding.tolerances(lambda: kernels.products(factors), dtype)
        wider = {name: kernels.product_tolerance(name, each, dtype) for name, each in products.items()}
        found[dtype] = {name: _rounded(each) for name, each in {**by_case, **wider}.items()}
    return found


def _scores(weights: Path) -> dict[str, list[canary.Marks]]:
    model, exam = load_model(weights), evaluation.held_out(Processor.from_folder(weights))
    found = {}
    for dtype in canary.TYPES:
        typed = canary.in_type(model, dtype)
        with torch.inference_mode():
            found[dtype] = [canary.as_recorded(canary.sit(typed, sitting)) for sitting in exam.sittings]
    return found


def _rounded(tolerance: Tolerance) -> Tolerance:
    return Tolerance(float(f"{tolerance.largest:.3g}"), float(f"{tolerance.rms:.3g}"))


def _text(made: Record) -> str:
    """JSON with a line for each pair of numbers, to be reviewed."""
    text = json.dumps(msgspec.to_builtins(made), indent=2)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: "[" + re.sub(r"\n *", " ", found[1]) + "]", text) + "\n"


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in KINDS:
        record(each)
