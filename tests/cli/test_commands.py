"""The smaller commands: rules, explain, env, reference, version, help."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Program


def test_version(program: Program):
    import mmdoctor

    assert program("--version") == (0, f"mmdoctor {mmdoctor.__version__}\n", "")


def test_help_names_every_command(program: Program):
    done = program("--help")

    assert done.code == 0
    for command in ("check", "fix", "rules", "explain", "env", "reference"):
        assert f"\n  {command}" in done.out
        assert program(command, "--help").code == 0
    assert "..." not in done.out.split("Commands:")[1], "no description is cut"


def test_rules_as_a_table_and_as_json(program: Program):
    table = program("rules")
    listed = json.loads(program("rules", "--format", "json").out)

    assert table.code == 0
    assert {"code", "name", "family", "severity", "summary", "sources", "from"} <= {*listed[0]}
    for rule in listed:
        assert f"{rule['code']:<9}{rule['severity']:<9}{rule['name']}" in table.out
    assert f"{len(listed)} rules" in table.out


@pytest.mark.parametrize("width", ["40", "80", "200"])
def test_the_table_fits(program: Program, monkeypatch: pytest.MonkeyPatch, width: str):
    monkeypatch.setenv("COLUMNS", width)

    lines = program("rules").out.splitlines()

    assert max(map(len, lines)) <= max(
        int(width), 18 + max(len(line.split()[2]) for line in lines if line[:3].isupper())
    )


def test_explain_by_code_and_by_name(program: Program):
    by_code, by_name = program("explain", "int001"), program("explain", "git-lfs-pointer-or-html")

    assert by_code == by_name
    assert by_code.out.startswith("# INT001 git-lfs-pointer-or-html\n")
    for section in ("What it checks", "Why it matters", "How to fix it", "Sources"):
        assert f"\n## {section}\n" in by_code.out
    assert "https://" in by_code.out


def test_explain_what_is_not_there(program: Program):
    done = program("explain", "INT0001")

    assert (done.code, done.out) == (2, "")
    assert "did you mean INT001?" in done.err


def test_rules_of_a_file_are_listed_and_explained(program: Program, rules: Path):
    assert "TERR001" in program("rules", "--load", rules).out
    assert "An error of the test." in program("explain", "is-an-error", "--load", rules).out
    Path("mmdoctor.toml").write_text(f'load = ["{rules}"]')
    assert "TERR001" in program("rules").out


def test_env(program: Program):
    text, data = program("env"), json.loads(program("env", "--format", "json").out)

    assert text.code == 0
    assert f"Python{' ' * (text.out.index(data['python']) - text.out.index('Python') - 6)}{data['python']}" in text.out
    assert data["schema"] == "mmdoctor/env/v1"
    assert data["ram_bytes"] > 0


def test_env_of_another_machine_is_the_target(program: Program, small_model: Path):
    data = json.loads(program("env", "--format", "json").out)
    gpu = {"name": "NVIDIA L4", "total_bytes": 24 * 2**30, "free_bytes": 2**30, "capability": "8.9"}
    Path("prod.json").write_text(json.dumps(data | {"gpus": [gpu], "packages": {"transformers": "4.44.0"}}))

    report = json.loads(program("check", small_model, "--env", "prod.json", "--format", "json").out)
    assert report["machine"]["packages"] == {"transformers": "4.44.0"}
    assert (report["target"]["gpu"], report["target"]["from_flags"]) == ("NVIDIA L4", True)

    Path("mmdoctor.toml").write_text('[targets.prod]\nenv = "prod.json"')
    again = json.loads(program("check", small_model, "--target", "prod", "--format", "json").out)
    assert again["target"] == report["target"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot be read: No such file"),
        ("{", "not written by `mmdoctor env"),
        ('{"platform": "Linux"}', "not written by `mmdoctor env"),
        ('{"schema": "mmdoctor/env/v2"}', "its schema is 'mmdoctor/env/v2'"),
        ("[" * 100_000, "not written by `mmdoctor env"),
    ],
)
def test_env_that_is_none(program: Program, small_model: Path, text: str | None, said: str):
    if text is not None:
        Path("prod.json").write_text(text)

    done = program("check", small_model, "--env", "prod.json")

    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "prod.json" in done.err


def test_describe_the_reference_model(program: Program):
    done = program("reference", "describe")

    assert done.code == 0
    assert "reference model, hybrid fusion" in done.out
    assert "vision" in done.out


@pytest.mark.parametrize("name", ["model.pt", "folder"])
def test_export_the_reference_model_and_check_it(program: Program, tmp_path: Path, name: str):
    if name.endswith(".pt"):
        pytest.importorskip("torch")
    target = tmp_path / name

    done = program("reference", "export", target)
    assert done.code == 0
    assert str(target) in done.out
    assert program("reference", "export", target).code == 2, "nothing is overwritten"
    assert program("check", target).code == 0
