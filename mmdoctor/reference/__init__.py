"""The bundled reference model: a small multimodal model whose every output is known.

A doctor needs a patient it knows to be healthy. Importing this package does not import torch; its functions do.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mmdoctor.facts.reference import SelfTest

if TYPE_CHECKING:
    from mmdoctor.reference.model import ReferenceModel

WEIGHTS = Path(__file__).parent / "weights"
"""The bundled folder in the Hugging Face layout: configuration, tokenizer, processor, weights."""

GOLDEN = Path(__file__).parent / "golden"
"""The recorded outputs of the bundled weights, their tolerances, and the digests of every bundled file."""


def load(folder: Path = WEIGHTS) -> "ReferenceModel":
    """The model of a folder, in float32 on the CPU, ready for inference.

    Raises:
        MMDoctorError: the folder's files are missing, damaged, or do not fit together.
    """
    from mmdoctor.reference.bundle import load_model

    return load_model(folder)


def export(target: Path, *, force: bool = False) -> tuple[Path, ...]:
    """Write the bundled model as one `.pt` file, when the target's name ends in `.pt`, or as a folder.

    Returns:
        The files written.

    Raises:
        MMDoctorError: something is already there and `force` is false, or it cannot be written.
    """
    from mmdoctor.reference.exporting import export_model

    return export_model(target, force=force)


def run_self_test(device: str = "cpu", *, progress: Callable[[str, float], None] | None = None) -> SelfTest:
    """Measure what this machine makes of the bundled model.

    Args:
        device: torch's name of the device, such as `cpu` or `cuda:0`.
        progress: called with the step's name and the finished fraction, 0 to 1.
    """
    from mmdoctor.reference.selftest import run_self_test as run

    return run(device, progress=progress)
