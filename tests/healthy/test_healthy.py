"""A healthy model gets no error, no warning and no crash, whatever its architecture."""

from pathlib import Path

import pytest

from mmdoctor import Severity, check_path
from tests.specimens import NAMES, build


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_healthy_specimen_is_clean(name: str, specimen_root: Path) -> None:
    report = check_path(build(name, specimen_root))

    assert [(f.code, f.message) for f in report.findings if f.severity is not Severity.NOTE] == []
    assert [(c.code, c.error) for c in report.crashed] == []
    assert report.verdict == "pass"
