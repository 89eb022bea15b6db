"""What holds for every rule of mmdoctor: its page, its place, its name, its tests."""

import re
from pathlib import Path

import pytest

from mmdoctor.check import FAMILIES, SECTIONS, Check
from mmdoctor.explain import explain
from mmdoctor.finding import Severity
from mmdoctor.plugins import load_rules
from mmdoctor.providers import Providers

ROOT = Path(__file__).parents[1]
RULES = load_rules(plugins=False).all
EVERY = pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.code}-{r.name}")
GIVEN = {"Source", "Depth", "Target", "Progress", "ImageRequest"}


def file_of(rule: Check[...]) -> Path:
    return Path(rule.place.rpartition(":")[0])


def test_there_are_rules_and_no_file_has_two():
    files = [file_of(rule) for rule in RULES]

    assert len(files) == len(set(files)) > 0


def test_every_file_with_a_rule_is_found():
    decorated = {f for f in ROOT.glob("checks/mmdoctor_checks/**/*.py") if "\n@check(" in f.read_text(encoding="utf-8")}

    assert decorated == {file_of(rule) for rule in RULES}


def test_codes_and_names_are_unique():
    assert len({r.code for r in RULES}) == len({r.name for r in RULES}) == len(RULES)


@EVERY
def test_file_function_and_rule_share_one_name(rule: Check[...]):
    assert file_of(rule).stem == rule.function.__name__ == rule.name.replace("-", "_")


@EVERY
def test_the_code_fits_the_folder(rule: Check[...]):
    letters = rule.code.rstrip("0123456789")

    assert FAMILIES[letters] == rule.family == file_of(rule).parent.name


@EVERY
def test_the_page_is_whole(rule: Check[...]):
    page = explain(rule)

    assert page.missing == ()
    assert tuple(page.sections) == SECTIONS
    assert page.sources, "at least one link"
    assert page.summary.endswith(".")
    assert "`" not in page.summary, "the first line is a sentence without code"
    assert len(page.summary) <= 120
    assert rule.code not in page.summary
    assert all(len(text) > 20 for heading, text in page.sections.items() if heading != "Sources")


@EVERY
def test_sources_are_whole_links(rule: Check[...]):
    sources = explain(rule).sections["Sources"]

    assert not re.search(r"(?<![/\w])[\w.-]+#\d+", sources), "repo#N is written out as a link"
    for line in sources.splitlines():
        assert line.startswith(("- ", "  ")), f"a list of links, not {line!r}"


@EVERY
def test_it_asks_for_facts_that_there_are(rule: Check[...]):
    provided = {kind.__name__ for kind in Providers()} | GIVEN

    assert {need.fact.__name__ for need in rule.needs} <= provided
    assert any(not need.optional for need in rule.needs), "with optional facts only it would pass on anything"


@EVERY
def test_it_yields_to_rules_that_exist(rule: Check[...]):
    assert set(rule.yields_to) <= {r.code for r in RULES} - {rule.code}


@EVERY
def test_its_severity_is_one_of_three(rule: Check[...]):
    assert rule.severity in Severity


@EVERY
def test_it_fits_on_two_screens(rule: Check[...]):
    assert len(file_of(rule).read_text(encoding="utf-8").splitlines()) < 300


@EVERY
def test_it_has_tests_that_see_it_fire_and_stay_silent(rule: Check[...]):
    name = rule.function.__name__
    folders = [ROOT / "tests" / "checks" / rule.family, ROOT / "tests" / rule.family]
    texts = [f.read_text(encoding="utf-8") for folder in folders for f in folder.glob("*.py")]
    about = "\n".join(text for text in texts if name in text)

    assert about, f"no test file mentions {name}"
    assert re.search(rf"\bfires\(\s*{name}\b|\b{name}\(|fire", about), "no test sees it fire"
    assert "silent" in about, "no test sees it stay silent"
