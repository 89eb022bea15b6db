"""mmdoctor: the doctor for deployments of multimodal models.

For programs: `check_path`. For authors of rules: `check`, `Problem`, `Evidence`, `Fix`, `Location`, `Severity`.
"""

import importlib
from typing import TYPE_CHECKING, Any

# Not lazy: `mmdoctor.check` is a module too, and the name must mean the decorator whatever was imported first.
from mmdoctor.check import Check, check
from mmdoctor.errors import MMDoctorError
from mmdoctor.finding import (
    Confidence,
    Edit,
    Evidence,
    Finding,
    Fix,
    Problem,
    Removal,
    Renaming,
    Rewriting,
    Severity,
)
from mmdoctor.location import Location

if TYPE_CHECKING:
    from mmdoctor.examine import check_path
    from mmdoctor.plugins import provider
    from mmdoctor.report.model import Report

__version__ = "0.1.0"

__all__ = [
    "Check",
    "Confidence",
    "Edit",
    "Evidence",
    "Finding",
    "Fix",
    "Location",
    "MMDoctorError",
    "Problem",
    "Removal",
    "Renaming",
    "Report",
    "Rewriting",
    "Severity",
    "__version__",
    "check",
    "check_path",
    "provider",
]

_LAZY = {
    "Report": "mmdoctor.report.model",
    "check_path": "mmdoctor.examine",
    "provider": "mmdoctor.plugins",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'mmdoctor' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)
