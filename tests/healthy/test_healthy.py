"""A healthy model gets no error, no warning and no crash, whatever its architecture and whoever saved it."""

from pathlib import Path

import pytest

from mmdoctor import Report, Severity, check_path
from tests.specimens import NAMES, build
from tests.specimens.older import older

pytestmark = pytest.mark.slow


def assert_clean(report: Report) -> None:
    assert [(f.code, f.message) for f in report.findings if f.severity is not Severity.NOTE] == []
    assert [(c.code, c.error) for c in report.crashed] == []
    assert report.verdict == "pass"


@pytest.mark.parametrize("name", NAMES)
def test_as_saved_by_transformers_5(name: str) -> None:
    assert_clean(check_path(build(name)))


@pytest.mark.parametrize("name", NAMES)
def test_in_the_layout_of_transformers_4(name: str, tmp_path: Path) -> None:
    older(build(name), tmp_path / name)

    assert_clean(check_path(tmp_path / name))
