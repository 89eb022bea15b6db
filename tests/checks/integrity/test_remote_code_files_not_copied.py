"""remote_code_files_not_copied (INT021) fires where code is named and not there; silent where nothing is missing."""

from pathlib import Path

import pytest

from mmdoctor.finding import Severity
from tests.checks.code_folder import CODE, OWN, Check, checking


@pytest.fixture
def check(small_model: Path) -> Check:
    return checking(small_model)


def test_missing_files_stop_the_loader(check: Check):
    found = check({"model_type": "xvl", **OWN}, {"configuration_x.py": ""})

    assert found["INT021"].severity is Severity.ERROR
    assert "modeling_x.py" in found["INT021"].message
    assert found["INT021"].location.pointer == "/auto_map/AutoModel"


def test_a_missing_relative_import_stops_it_too(check: Check):
    found = check({"model_type": "xvl", **OWN}, {**CODE, "modeling_x.py": "from .resampler import R"})

    assert "resampler.py" in found["INT021"].message


@pytest.mark.parametrize(
    ("config", "weights"), [({"model_type": "llava", **OWN}, True), ({"model_type": "xvl", **OWN}, False)]
)
def test_missing_files_are_a_note_where_nobody_needs_them(check: Check, config: dict, weights: bool):
    assert check(config, {}, weights=weights)["INT021"].severity is Severity.NOTE
