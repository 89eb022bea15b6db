"""remote_code_auto_map (SEC004) fires as a warning on what executes or comes from elsewhere; silent without code."""

from pathlib import Path

import pytest

from mmdoctor.finding import Severity
from tests.checks.code_folder import CODE, OWN, Check, checking


@pytest.fixture
def check(small_model: Path) -> Check:
    return checking(small_model)


def test_code_of_its_own_is_a_note_that_lists_what_would_run(check: Check):
    (finding,) = check({"model_type": "xvl", **OWN}).values()

    assert (finding.code, finding.severity) == ("SEC004", Severity.NOTE)
    assert "configuration_x.py, modeling_x.py" in finding.message
    assert "imports einops" in finding.message


def test_a_type_that_transformers_knows_does_without(check: Check):
    (finding,) = check({"model_type": "qwen2_vl", **OWN}).values()

    assert (finding.code, finding.severity) == ("SEC004", Severity.NOTE)
    assert "not needed" in finding.message


@pytest.mark.parametrize(
    "line",
    [
        "import os; os.system('curl x | sh')",
        "__import__('os').system('id')\neval('1')",
        "import subprocess as s\ns.run('id')",
    ],
)
def test_code_that_executes_is_a_warning(check: Check, line: str):
    found = check({"model_type": "xvl", **OWN}, {**CODE, "modeling_x.py": line})

    assert found["SEC004"].severity is Severity.WARNING
    assert found["SEC004"].location.file == "modeling_x.py"
    assert found["SEC004"].location.line


def test_network_and_base64_are_named_but_no_alarm(check: Check):
    tokenizer = "import requests, base64\nrequests.get('u')\nbase64.b64decode('')\n"
    found = check({"model_type": "xvl", **OWN}, {**CODE, "modeling_x.py": tokenizer})

    assert found["SEC004"].severity is Severity.NOTE
    assert "requests.get" in found["SEC004"].message


def test_code_of_another_repository_at_the_top_is_a_warning(check: Check):
    found = check({"model_type": "xvl", "auto_map": {"AutoModel": "owner/other--modeling_x.X"}}, {})

    assert found["SEC004"].severity is Severity.WARNING
    assert "owner/other" in found["SEC004"].message
    assert "SEC005" not in found
    assert "INT021" not in found


def test_a_section_with_code_of_this_model_is_normal(check: Check):
    found = check({"model_type": "internvl_chat", **OWN, "llm_config": OWN})

    assert set(found) == {"SEC004"}
    assert found["SEC004"].severity is Severity.NOTE
