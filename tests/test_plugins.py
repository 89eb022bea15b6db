"""Plugins: a real distribution, built and installed, a file of one's own, and what can be wrong with them."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from mmdoctor.errors import PluginError, UsageError
from mmdoctor.plugins import GROUP, EntryPoint, entry_points, load_rules, provider

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-model-rules"
version = "1.2.0"

[project.entry-points."mmdoctor.checks"]
acme = "acme_rules"

[tool.hatch.build.targets.wheel]
packages = ["acme_rules"]
"""
RULE = '''
"""Rules of Acme."""

from collections.abc import Iterator

from acme_rules.facts import Weather
from mmdoctor import Evidence, Fix, Location, Problem, Severity, check


@check("ACME001", Severity.ERROR)
def weather_is_bad(weather: Weather) -> Iterator[Problem]:
    """It rains on the model.

    ## What it checks
    The weather.

    ## Why it matters
    Wet weights are heavier.

    ## How to fix it
    Wait.

    ## Sources
    - https://example.org/weather
    """
    if weather.rain:
        at = Location(file="config.json", pointer="/model_type")
        yield Problem(f"{weather.rain} mm of rain", [Evidence("rain (mm)", weather.rain, at, expected=0)], Fix("wait"))
'''
FACTS = '''
"""What Acme's rules look at."""

from mmdoctor import provider
from mmdoctor.facts.source import Source


class Weather:
    """The weather over an artefact."""

    def __init__(self, rain: int) -> None:
        self.rain = rain


@provider
def weather(source: Source) -> Weather:
    """Rains on everything that has a file."""
    return Weather(len(source.files))
'''
LOCAL = '''
from collections.abc import Iterator

from mmdoctor import Evidence, Problem, Severity, check
from mmdoctor.facts.source import Source


@check("{code}", Severity.WARNING)
def {name}(source: Source) -> Iterator[Problem]:
    """The name has a letter too many."""
    yield Problem("its name is " + source.name, [Evidence("name", source.name)])
'''


@pytest.fixture(scope="session")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the plugin's wheel."""
    root = tmp_path_factory.mktemp("plugin")
    package = root / "source" / "acme_rules"
    (package / "weather").mkdir(parents=True)
    (root / "source" / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text('"""Acme."""\n')
    (package / "facts.py").write_text(FACTS)
    (package / "weather" / "__init__.py").write_text("")
    (package / "weather" / "weather_is_bad.py").write_text(RULE)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = [*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", root / "wheels", root / "source"]
    subprocess.run(wheel, check=True)
    (built,) = (root / "wheels").glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--no-index", "--target", root / "site", built], check=True)
    return root / "site"


def mmdoctor(
    *arguments: str | Path, path: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    import os

    environment = {**os.environ, **({"PYTHONPATH": os.pathsep.join([str(path), *sys.path[1:]])} if path else {})}
    command = [sys.executable, "-m", "mmdoctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, cwd=cwd)


def test_rules_and_facts_of_an_installed_distribution_take_part(plugin: Path, small_model: Path):
    listed = mmdoctor("rules", "--format", "json", path=plugin)
    (mine,) = [r for r in json.loads(listed.stdout) if r["code"] == "ACME001"]
    assert (mine["from"], mine["family"], mine["name"]) == ("acme-model-rules", "acme", "weather-is-bad")

    page = mmdoctor("explain", "weather-is-bad", path=plugin)
    assert "Wet weights are heavier." in page.stdout

    done = mmdoctor("check", small_model, "--format", "json", "--select", "ACME", "--depth", "headers", path=plugin)
    (finding,) = json.loads(done.stdout)["findings"]
    assert (done.returncode, finding["code"], finding["severity"]) == (1, "ACME001", "error")
    assert finding["location"]["line"] is not None, "places of plugins get their lines too"


def test_without_plugins_only_our_own_rules_are_loaded(plugin: Path):
    assert "ACME001" in mmdoctor("rules", path=plugin).stdout
    done = mmdoctor("rules", "--no-plugins", path=plugin)

    assert done.returncode == 0
    assert "ACME001" not in done.stdout
    assert "INT001" in done.stdout


def test_a_file_of_ones_own(tmp_path: Path, small_model: Path):
    file = tmp_path / "ours.py"
    file.write_text(LOCAL.format(code="OWN001", name="name_is_long"))

    done = mmdoctor("check", small_model, "--load", file, "--select", "OWN001", "--fail-on", "warning")

    assert done.returncode == 1
    assert "OWN001 name-is-long" in done.stdout


def test_a_file_of_ones_own_from_the_configuration(tmp_path: Path, small_model: Path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "ours.py").write_text(LOCAL.format(code="OWN001", name="name_is_long"))
    (tmp_path / "mmdoctor.toml").write_text('load = ["rules/ours.py"]\nselect = ["OWN"]\nfail-on = "warning"\n')

    done = mmdoctor("check", small_model, cwd=tmp_path)

    assert done.returncode == 1
    assert "OWN001 name-is-long" in done.stdout


def test_two_owners_of_one_code_stop_the_run_and_are_both_named(tmp_path: Path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text(LOCAL.format(code="OWN001", name="one_thing"))
    second.write_text(LOCAL.format(code="OWN001", name="another_thing"))

    done = mmdoctor("rules", "--load", first, "--load", second)

    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in ("OWN001", "one-thing", "another-thing", "first.py", "second.py"))


def test_a_code_of_ours_cannot_be_taken(tmp_path: Path):
    file = tmp_path / "ours.py"
    file.write_text(LOCAL.format(code="INT001", name="one_thing"))

    with pytest.raises(PluginError, match=r"INT001: .* of mmdoctor .* and one-thing of"):
        load_rules([file])


def test_a_plugin_that_cannot_be_imported_stops_the_run_and_is_named(tmp_path: Path):
    info = tmp_path / "broken_rules-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[mmdoctor.checks]\nbroken = broken_rules\n")
    (tmp_path / "broken_rules").mkdir()
    (tmp_path / "broken_rules" / "__init__.py").write_text("")
    (tmp_path / "broken_rules" / "bad.py").write_text("import surely_not_installed\n")

    done = mmdoctor("rules", path=tmp_path)

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in ("broken-rules", "broken_rules.bad", "surely_not_installed", "--no-plugins"))
    assert mmdoctor("rules", "--no-plugins", path=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        (
            "import typing\nif typing.TYPE_CHECKING:\n    from mmdoctor.facts.source import Source\n"
            + LOCAL.format(code="OWN001", name="x")
            .replace("from mmdoctor.facts.source import Source", "")
            .replace("source: Source", "source: 'Source'"),
            "TYPE_CHECKING",
        ),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, said: str):
    file = tmp_path / "ours.py"
    file.write_text(text)

    with pytest.raises(PluginError, match=f"ours.py.*{said}"):
        load_rules([file])


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match="no such file"):
        load_rules([tmp_path / "nothing.py"])
    (tmp_path / "rules.txt").write_text("")
    with pytest.raises(UsageError, match="not a Python file"):
        load_rules([tmp_path / "rules.txt"])


def test_a_provider_says_what_it_makes():
    with pytest.raises(PluginError, match="return annotation"):

        @provider
        def nothing():  # type: ignore[no-untyped-def]  # the point of the test
            return 1


def test_two_providers_of_one_fact_stop_the_run(tmp_path: Path):
    file = tmp_path / "ours.py"
    one = "@provider\ndef {0}(source: Source) -> Fact:\n    return Fact()\n"
    file.write_text(
        "from mmdoctor import provider\nfrom mmdoctor.facts.source import Source\nclass Fact: ...\n"
        + one.format("first")
        + one.format("second")
    )

    with pytest.raises(PluginError, match=r"two providers make the fact Fact: .*first and .*second"):
        load_rules([file])


def test_entry_points_are_those_of_the_standard_library():
    theirs = {(p.name, p.value) for p in metadata.entry_points(group="console_scripts")}
    ours = {(p.name, p.value) for p in entry_points("console_scripts")}

    assert ours == theirs
    assert [p for p in entry_points(GROUP) if p.distribution == "mmdoctor"] == [
        EntryPoint("mmdoctor", "mmdoctor", "mmdoctor_checks")
    ]


def test_of_two_distributions_of_one_name_the_first_on_the_path_counts(tmp_path: Path):
    for folder, value in (("first", "new"), ("second", "old")):
        info = tmp_path / folder / "Some_Rules-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "entry_points.txt").write_text(f"# x\n[other]\na = b\n[mmdoctor.checks]\nname = {value}\n")

    found = entry_points(GROUP, [str(tmp_path / "first"), str(tmp_path / "second"), str(tmp_path / "none")])

    assert found == [EntryPoint("some-rules", "name", "new")]
