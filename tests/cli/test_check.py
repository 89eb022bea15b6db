"""`mmdoctor check`: exit codes, streams, formats and files, options and configuration."""

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Program

SCHEMA = json.loads(files("mmdoctor.report").joinpath("schema/report-v1.json").read_text(encoding="utf-8"))
EVERY = "TERR,TWAR,TNOT,TPAS,TGPU,TAUD,TBUG"
FORMATS = pytest.mark.parametrize("format_", ["terminal", "json", "markdown"])


@FORMATS
@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("--select TPAS001", 0),
        ("--select TPAS001,TERR001", 1),
        ("--select TPAS001,TWAR001", 0),
        ("--select TPAS001,TNOT001", 0),
        ("--select TERR001 --fail-on never", 0),
        ("--select TERR001 --fail-on error", 1),
        ("--select TWAR001 --fail-on error", 0),
        ("--select TWAR001 --fail-on warning", 1),
        ("--select TNOT001 --fail-on warning", 0),
        ("--select TNOT001 --fail-on note", 1),
        ("--select TERR001 --exit-zero", 0),
        ("--select TPAS001,TGPU001", 0),
        ("--select TPAS001,TGPU001 --fail-on-coverage", 1),
        ("--select TPAS001,TGPU001 --fail-on-coverage --exit-zero", 0),
        ("--select TPAS001,TAUD001 --fail-on-coverage", 0),
        ("--select TGPU001", 2),
        ("--select TAUD001", 2),
        ("--select TGPU001 --exit-zero", 2),
        ("--select TPAS001,TBUG001", 2),
        ("--select TERR001,TBUG001", 2),
        ("--select TBUG001 --exit-zero", 2),
        ("--select TBUG001 --fail-on never", 2),
        ("--select TAUD --ignore TAUD001", 2),
    ],
)
def test_exit_codes_are_the_same_for_every_format(
    program: Program, small_model: Path, rules: Path, format_: str, options: str, code: int
):
    done = program("check", small_model, "--load", rules, "--depth", "headers", "-f", format_, *options.split())

    assert done.code == code
    assert done.out, "there is a report whatever the exit code"
    assert done.err == ""


def test_the_json_report_is_valid(program: Program, small_model: Path, rules: Path):
    done = program("check", small_model, "--load", rules, "--select", EVERY, "--depth", "headers", "--format", "json")
    report = json.loads(done.out)

    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert report["verdict"] == "error"
    assert [f["severity"] for f in report["findings"]] == ["error", "warning", "note"], "worst first"
    assert report["passed"] == ["TPAS001"]
    assert report["skipped"] == [
        {"code": "TAUD001", "reason": "there is no audio tower", "kind": "not_applicable"},
        {"code": "TGPU001", "reason": "no GPU here", "kind": "could_not_check"},
    ]
    assert report["crashed"] == [{"code": "TBUG001", "error": "ZeroDivisionError: integer division or modulo by zero"}]
    assert report["artifact"]["path"] == str(small_model)
    assert report["findings"][0]["location"]["line"], "JSON values have their line"


def test_the_lines_are_those_of_the_file(program: Program, small_model: Path, rules: Path):
    (small_model / "config.json").write_text('{\n  "x": 1,\n    "model_type": "mmdoctor_reference"\n}')

    done = program("check", small_model, "--load", rules, "--select", "TERR001", "--format", "json")

    location = json.loads(done.out)["findings"][0]["location"]
    assert (location["file"], location["line"], location["column"]) == ("config.json", 3, 5)


def test_a_healthy_folder_gets_no_error_and_no_warning(program: Program, small_model: Path):
    done = program("check", small_model, "--format", "json", "--gpu", "L4-24GB")
    report = json.loads(done.out)

    assert [f for f in report["findings"] if f["severity"] != "note"] == []
    assert done.code == 0


def test_several_formats_go_into_their_files(program: Program, small_model: Path, rules: Path, tmp_path: Path):
    page, data = tmp_path / "report.md", tmp_path / "report.json"
    page.write_text("old")

    done = program(
        "check", small_model, "--load", rules, "--select", "TERR001",
        "--format", "markdown", "--output", page, "--format", "json", "--output", data, "--format", "terminal",
    )  # fmt: skip

    assert done.code == 1
    assert done.out.splitlines()[0].startswith(str(small_model)[:10])
    assert page.read_text().startswith("### mmdoctor: FAIL")
    assert json.loads(data.read_text())["verdict"] == "fail"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cwd", "model", "report.json", "report.md", rules.name]


def test_an_output_alone_takes_the_terminal_report(program: Program, small_model: Path, tmp_path: Path):
    done = program("check", small_model, "--select", "INT", "--output", tmp_path / "report.txt")

    assert done.out == ""
    assert "PASS" in (tmp_path / "report.txt").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "json", "--format", "markdown"], "only one report can go to stdout"),
        (["--output", "a", "--output", "b"], "each file needs its format"),
        (["--output", "no/such/folder/report"], "No such file or directory"),
        (["--format", "jsn"], "did you mean json?"),
        (["--depth", "weigths"], "did you mean weights?"),
        (["--depth", "run"], "only the bundled reference model is run"),
        (["--fail-on", "eror"], "did you mean error?"),
        (["--color", "allways"], "did you mean always?"),
        (["--select", "INT01"], "did you mean INT"),
        (["--ignore", "nonsense-everywhere"], "mmdoctor rules"),
        (["--gpu", "X9999"], "--gpu"),
        (["--engine", "vlm"], "--engine"),
        (["--dtype", "int3"], "--dtype"),
        (["--tensor-parallel-size", "two"], "not a whole number"),
        (["--tensor-parallel-size", "0"], "--tensor-parallel-size"),
        (["--gpu-memory-utilization", "1.5"], "--gpu-memory-utilization"),
        (["--gpu-memory-utilization", "much"], "not a number"),
        (["--target", "prod"], "no configuration file"),
        (["--load", "nothing.py"], "no such file"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(program: Program, small_model: Path, options: list[str], said: str):
    done = program("check", small_model, "--depth", "headers", *options)

    assert done.code == 2
    assert done.out == "" or options[0] == "--output"
    (line,) = done.err.splitlines()
    assert line.startswith("mmdoctor: ")
    assert said in line


@pytest.mark.parametrize("path", ["", "nothing", "/dev/null", "with\0nul", "\x1b[31m"])
def test_nothing_to_check_is_one_line_and_exit_2(program: Program, path: str):
    done = program("check", path)

    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert "\x1b" not in line


def test_unknown_options_are_wrong_usage(program: Program, small_model: Path):
    assert program("check", small_model, "--frobnicate").code == 2
    assert program("frobnicate").code == 2


def test_the_configuration_is_used_and_flags_beat_it(program: Program, small_model: Path, rules: Path):
    Path("mmdoctor.toml").write_text(
        f'select = ["TWAR", "TPAS"]\nfail-on = "warning"\ndepth = "headers"\nload = ["{rules}"]\n'
        '[targets.prod]\ngpu = "L4-24GB"\nengine = "vllm==0.11.0"\n'
    )

    report = json.loads(program("check", small_model, "--format", "json", "--target", "prod").out)
    assert [f["code"] for f in report["findings"]] == ["TWAR001"]
    assert (report["depth"], report["target"]["gpu"], report["target"]["engine"]) == ("headers", "L4-24GB", "vllm")

    assert program("check", small_model).code == 1
    assert program("check", small_model, "--fail-on", "error").code == 0
    assert program("check", small_model, "--select", "TERR").code == 1
    report = json.loads(program("check", small_model, "-f", "json", "--target", "prod", "--gpu", "H100-80GB").out)
    assert report["target"]["gpu"] == "H100-80GB"


def test_a_broken_configuration_is_one_line_and_exit_2(program: Program, small_model: Path):
    Path("mmdoctor.toml").write_text('\nselekt = ["INT"]\n')

    done = program("check", small_model)

    assert (done.code, done.out) == (2, "")
    assert "mmdoctor.toml:2: unknown key 'selekt'; did you mean select?" in done.err


def test_a_configuration_inside_the_artefact_is_not_read(
    program: Program, small_model: Path, monkeypatch: pytest.MonkeyPatch
):
    (small_model / "mmdoctor.toml").write_text("nonsense =")
    (small_model / "pyproject.toml").write_text("[tool.mmdoctor]\nnonsense = 1")
    monkeypatch.chdir(small_model)

    assert program("check", ".", "--depth", "headers", "--fail-on", "never").code == 0


def test_quiet_and_verbose(program: Program, small_model: Path, rules: Path):
    quiet = program("check", small_model, "--load", rules, "--select", "TERR,TPAS", "--quiet").out.splitlines()
    verbose = program("check", small_model, "--load", rules, "--select", "TERR,TPAS,TBUG,TAUD", "--verbose").out

    assert quiet[0].startswith("FAIL")
    assert quiet[-1].lstrip().startswith(("error", "it is"))
    assert "passed: TPAS001" in verbose
    assert "there is no audio tower (TAUD001)" in verbose
    assert "ZeroDivisionError" in verbose
    assert "has_a_bug" in verbose, "the traceback"


@pytest.mark.parametrize(
    ("choice", "environment", "colored"),
    [
        ("auto", {}, False),
        ("always", {}, True),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {}, False),
    ],
)
def test_colours(
    program: Program,
    small_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    environment: dict[str, str],
    colored: bool,
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert ("\x1b[" in program("check", small_model, "--depth", "headers", "--color", choice).out) == colored


def test_the_width_is_that_of_columns(program: Program, small_model: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "50")

    assert max(map(len, program("check", small_model, "--depth", "headers").out.splitlines())) <= 50


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_without_a_path_the_reference_model_is_run_on_this_machine(
    program: Program, monkeypatch: pytest.MonkeyPatch, whole: bool
):
    pytest.importorskip("torch")
    from mmdoctor.reference import selftest

    part = selftest.Plan(
        fusions=("hybrid",), dtypes=("float32",), kernels=(), repetitions=(), canaries=(), compile=False
    )
    monkeypatch.setattr(selftest, "FULL", selftest.FULL if whole else part)
    report = json.loads(program("check", "--format", "json", "--select", "REF").out)

    assert (report["artifact"]["path"], report["depth"]) == ("reference model", "run")
    assert report["passed"], report["findings"] or report["skipped"]
    assert report["self_test"]["right"]
    assert len(report["self_test"]["devices"][0]["scores"]) == (20 if whole else 0)


def test_the_rules_of_the_reference_model_do_not_apply_to_others(program: Program, small_model: Path):
    report = json.loads(program("check", small_model, "--format", "json", "--depth", "headers").out)

    kinds = {s["code"]: (s["kind"], s["reason"]) for s in report["skipped"] if s["code"].startswith("REF")}
    assert kinds
    assert set(kinds.values()) == {("not_applicable", "only for the bundled reference model")}
