"""The bundled models as the self-test takes them: their files looked at, then loaded with their records."""

from pathlib import Path
from typing import NamedTuple

import torch

from mmdoctor.errors import MMDoctorError
from mmdoctor.facts.reference import FileDigest
from mmdoctor.facts.self_test import Bundle
from mmdoctor.reference import tensorfile
from mmdoctor.reference.bundle import differences, empty_model, fill, read_config, sha256
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.golden import Given, Golden, given, read
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.processor import Processor

_WEIGHTS = "model.safetensors"
_OUTPUTS = "outputs.safetensors"


class Subject(NamedTuple):
    """One bundled model, ready to be run."""

    fusion: FusionKind
    model: ReferenceModel
    """In float32 on the CPU."""
    given: Given
    golden: Golden
    processor: Processor


def opened(fusion: FusionKind, weights: Path, golden_folder: Path) -> tuple[Bundle, Subject | None]:
    """What the files of one model are, and the model where they make one."""
    shown = f"weights/{fusion}/{_WEIGHTS}"
    try:
        golden = read(golden_folder)
    except MMDoctorError as error:
        return Bundle(fusion=fusion, weights=shown, load_error=str(error)), None
    files = tuple(
        FileDigest(
            file=f"golden/{fusion}/{name}" if name == _OUTPUTS else f"weights/{fusion}/{name}",
            recorded_sha256=recorded,
            observed_sha256=_digest((golden_folder if name == _OUTPUTS else weights) / name),
        )
        for name, recorded in golden.record.sha256.items()
    )
    try:
        model = empty_model(read_config(weights))
        tensors = tensorfile.read_tensors(weights / _WEIGHTS)
        processor = Processor.from_folder(weights)
        inputs = given(weights, model)
    except MMDoctorError as error:
        return Bundle(fusion=fusion, weights=shown, files=files, load_error=str(error)), None
    missing, unexpected, mismatched = differences(model, tensors)
    bundle = Bundle(
        fusion=fusion,
        weights=shown,
        files=files,
        missing_tensors=missing,
        unexpected_tensors=unexpected,
        mismatched_tensors=mismatched,
        non_finite_tensors=tuple(sorted(name for name, t in tensors.items() if not bool(torch.isfinite(t).all()))),
        parameters=sum(tensor.numel() for tensor in tensors.values()),
    )
    if missing or mismatched:
        return bundle, None
    model = fill(model, {name: tensor for name, tensor in tensors.items() if name not in unexpected})
    return bundle, Subject(fusion, model, inputs, golden, processor)


def _digest(file: Path) -> str | None:
    try:
        return sha256(file.read_bytes())
    except OSError:
        return None
