"""Configuration: where it is found, what it may say, and how a mistake in it is told."""

from pathlib import Path

import pytest

from mmdoctor.config import Configuration, Wishes, find_configuration
from mmdoctor.errors import ConfigurationError, UsageError

EVERYTHING = """
select = ["MEM", "DRF005"]
ignore = ["drift"]
fail-on = "warning"
fail-on-coverage = true
depth = "headers"
load = ["rules/ours.py"]

[targets.prod]
gpu = "2xL4-24GB"
engine = "vllm==0.11.0"
dtype = "bfloat16"
tensor-parallel-size = 2
gpu-memory-utilization = 0.85
"""


def write(folder: Path, text: str, name: str = "mmdoctor.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_without_a_file_it_says_nothing(tmp_path: Path):
    assert find_configuration(tmp_path) == Configuration()


def test_every_key(tmp_path: Path):
    file = write(tmp_path, EVERYTHING)

    found = find_configuration(tmp_path)

    assert found == Configuration(
        file=file,
        select=("MEM", "DRF005"),
        ignore=("drift",),
        fail_on="warning",
        fail_on_coverage=True,
        depth="headers",
        load=(tmp_path / "rules/ours.py",),
        targets={
            "prod": Wishes(
                gpu="2xL4-24GB",
                engine="vllm==0.11.0",
                dtype="bfloat16",
                tensor_parallel_size=2,
                gpu_memory_utilization=0.85,
            )
        },
    )


def test_pyproject_has_it_in_its_table(tmp_path: Path):
    text = EVERYTHING.replace("[targets.prod]", "[tool.mmdoctor.targets.prod]")
    write(tmp_path, f"[project]\nname = 'x'\n[tool.mmdoctor]{text}", "pyproject.toml")

    assert find_configuration(tmp_path).fail_on == "warning"


def test_the_nearest_file_upwards_counts_and_mmdoctor_toml_before_pyproject(tmp_path: Path):
    write(tmp_path, 'depth = "headers"')
    write(tmp_path / "a", "[tool.other]\nx = 'mmdoctor'", "pyproject.toml")
    assert find_configuration(tmp_path / "a").depth == "headers"

    write(tmp_path / "a", '[tool.mmdoctor]\ndepth = "weights"', "pyproject.toml")
    (tmp_path / "a" / "b").mkdir()
    assert find_configuration(tmp_path / "a" / "b").depth == "weights"

    write(tmp_path / "a", 'fail-on = "never"')
    assert find_configuration(tmp_path / "a").depth is None


def test_a_folder_that_is_being_checked_is_never_asked(tmp_path: Path):
    write(tmp_path, 'fail-on = "warning"')
    model = write(tmp_path / "model", 'fail-on = "never"').parent
    (model / "sub").mkdir()

    assert find_configuration(model, model).fail_on == "warning"
    assert find_configuration(model / "sub", model).fail_on == "warning"
    assert find_configuration(model / "sub", model / ".." / "model").fail_on == "warning"


def test_code_beside_a_file_that_is_being_checked_is_not_run(tmp_path: Path):
    write(tmp_path, 'load = ["evil.py"]')
    weights = write(tmp_path, "", "model.pt")

    with pytest.raises(ConfigurationError, match="lies beside the file being checked"):
        find_configuration(tmp_path, weights)
    (tmp_path / "below").mkdir()
    assert find_configuration(tmp_path, tmp_path / "below" / "model.pt").load


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("select = [", 1, "not valid TOML"),
        ('\n\nselekt = ["MEM"]', 3, "unknown key 'selekt'; did you mean select?"),
        ('fail_on = "error"', 1, "did you mean fail-on?"),
        ('depth = "headers"\nfail-on = "eror"', 2, "did you mean error?"),
        ('# a comment\nselect = "MEM"', 2, "list of strings, not a string"),
        ("fail-on-coverage = 1", 1, "true or false, not a number"),
        ('depth = "run"', 1, "one of headers, weights"),
        ('[targets.prod]\ngpu = "L4-24GB"\ngpus = 2', 3, "did you mean gpu?"),
        ('[targets.prod]\ntensor-parallel-size = "2"', 2, "a number, not a string"),
        ("[targets.prod]\ntensor-parallel-size = true", 2, "a number, not true or false"),
        ("targets = 3", 1, "a table of targets"),
        ("[targets]\nprod = 3", 2, "a table is expected"),
        ("frobnicate = 1", 1, "known keys are select"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_the_nearest_key(tmp_path: Path, text: str, line: int, said: str):
    file = write(tmp_path, text)

    with pytest.raises(ConfigurationError) as caught:
        find_configuration(tmp_path)

    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert said in str(caught.value)


def test_the_line_is_that_of_our_key_not_of_anothers(tmp_path: Path):
    file = write(tmp_path, "[tool.other]\nselekt = 1\n\n[tool.mmdoctor]\nselekt = 1\n", "pyproject.toml")

    with pytest.raises(ConfigurationError, match=f"{file.name}:5: "):
        find_configuration(tmp_path)


def test_a_broken_pyproject_that_is_not_about_us_is_not_our_business(tmp_path: Path):
    write(tmp_path, "[broken", "pyproject.toml")

    assert find_configuration(tmp_path) == Configuration()


def test_bytes_that_are_no_text_are_told(tmp_path: Path):
    (tmp_path / "mmdoctor.toml").write_bytes(b"select = ['\xff']")

    with pytest.raises(ConfigurationError, match="not UTF-8 at byte 11"):
        find_configuration(tmp_path)


def test_a_target_by_name(tmp_path: Path):
    write(tmp_path, EVERYTHING)
    found = find_configuration(tmp_path)

    assert Wishes(gpu="H100-80GB").over(found.target("prod")).gpu == "H100-80GB"
    assert Wishes(gpu="H100-80GB").over(found.target("prod")).tensor_parallel_size == 2
    with pytest.raises(UsageError, match="knows prod; did you mean prod"):
        found.target("prd")
    with pytest.raises(UsageError, match="no configuration file"):
        Configuration().target("prod")
