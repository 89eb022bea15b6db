"""code_execution_without_flag (SEC005) fires on keys that run code unasked, and is silent on the model's own code."""

from pathlib import Path

import pytest

from mmdoctor.finding import Severity
from tests.checks.code_folder import Check, checking


@pytest.fixture
def check(small_model: Path) -> Check:
    return checking(small_model)


def test_code_of_another_repository_in_a_section_is_an_error(check: Check):
    section = {"auto_map": {"AutoConfig": "evil/code--configuration_x.C"}, "hidden_size": 8}
    found = check({"model_type": "llava", "extra_config": section}, {})

    assert found["SEC005"].severity is Severity.ERROR
    assert found["SEC005"].location.pointer == "/extra_config/auto_map/AutoConfig"


@pytest.mark.parametrize(
    ("config", "severity", "pointer"),
    [
        ({"model_file": "model.py"}, Severity.ERROR, "/model_file"),
        ({"trust_remote_code": True}, Severity.WARNING, "/trust_remote_code"),
        ({"encoder": {"trust_remote_code": True}}, Severity.WARNING, "/encoder/trust_remote_code"),
    ],
)
def test_keys_that_run_code_unasked(check: Check, config: dict, severity: Severity, pointer: str):
    finding = check(config, {})["SEC005"]

    assert (finding.severity, finding.location.pointer) == (severity, pointer)


@pytest.mark.parametrize("config", [{"model_file": None}, {"model_file": ""}, {"trust_remote_code": False}, {}])
def test_silent_on_keys_that_do_nothing(check: Check, config: dict):
    assert check(config, {}) == {}


def test_code_for_generation_is_a_note(check: Check):
    assert check({}, {"custom_generate/generate.py": ""})["SEC005"].severity is Severity.NOTE
