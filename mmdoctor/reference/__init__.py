"""The bundled reference model: a small multimodal model whose every output is known.

A doctor needs a patient it knows to be healthy. Importing this package does not import torch; its functions do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmdoctor.facts.self_test import SelfTest
from mmdoctor.reference.config import FusionKind

if TYPE_CHECKING:
    from mmdoctor.reference.model import ReferenceModel

KINDS: tuple[FusionKind, ...] = ("hybrid", "early", "late")
"""The fusions of which a trained model is bundled; the first is the one that the self-test runs."""


def weights_of(kind: FusionKind) -> Path:
    """The bundled folder in the Hugging Face layout: configuration, tokenizer, processor, weights."""
    return Path(__file__).parent / "weights" / kind


def golden_of(kind: FusionKind) -> Path:
    """The recorded outputs of the bundled weights, their tolerances, and the digests of every bundled file."""
    return Path(__file__).parent / "golden" / kind


WEIGHTS = weights_of("hybrid")
GOLDEN = golden_of("hybrid")


def load(kind: FusionKind = "hybrid") -> "ReferenceModel":
    """A bundled model, in float32 on the CPU, ready for inference.

    Raises:
        MMDoctorError: the bundled files are missing, damaged, or do not fit together.
    """
    from mmdoctor.reference.bundle import load_model

    return load_model(weights_of(kind))


def export(target: Path, kind: FusionKind = "hybrid", *, force: bool = False) -> tuple[Path, ...]:
    """Write a bundled model as one `.pt` file, when the target's name ends in `.pt`, or as a folder.

    Returns:
        The files written.

    Raises:
        MMDoctorError: something is already there and `force` is false, or it cannot be written.
    """
    from mmdoctor.reference.exporting import export_model

    return export_model(target, kind, force=force)


def run_self_test(
    devices: tuple[str, ...] | None = None, *, progress: Callable[[str, float], None] | None = None
) -> SelfTest:
    """Measure what this machine makes of the bundled models.

    Args:
        devices: torch's names of the devices, such as `cpu` or `cuda:0`; all that it sees when left out.
        progress: called with the step's name and the finished fraction, 0 to 1.
    """
    from mmdoctor.reference.selftest import run_self_test as run

    return run(devices, progress=progress)
