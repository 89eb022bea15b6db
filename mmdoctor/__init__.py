"""mmdoctor: the doctor for deployments of multimodal models.

For programs: `check_path`. For authors of rules: `check`, `Problem`, `Evidence`, `Fix`, `Location`, `Severity`.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_EXPORTS = {
    "Check": "mmdoctor.check",
    "Confidence": "mmdoctor.finding",
    "Edit": "mmdoctor.finding",
    "Evidence": "mmdoctor.finding",
    "Finding": "mmdoctor.finding",
    "Fix": "mmdoctor.finding",
    "Location": "mmdoctor.location",
    "MMDoctorError": "mmdoctor.errors",
    "Problem": "mmdoctor.finding",
    "Report": "mmdoctor.report.model",
    "Severity": "mmdoctor.finding",
    "check": "mmdoctor.check",
    "check_path": "mmdoctor.examine",
    "provider": "mmdoctor.plugins",
}

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
    "Report",
    "Severity",
    "__version__",
    "check",
    "check_path",
    "provider",
]

if TYPE_CHECKING:
    from mmdoctor.check import Check, check
    from mmdoctor.errors import MMDoctorError
    from mmdoctor.examine import check_path
    from mmdoctor.finding import Confidence, Edit, Evidence, Finding, Fix, Problem, Severity
    from mmdoctor.location import Location
    from mmdoctor.plugins import provider
    from mmdoctor.report.model import Report


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'mmdoctor' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)
