"""Which rules run."""

from collections.abc import Iterator

import pytest

from mmdoctor.check import Check, check
from mmdoctor.errors import UsageError
from mmdoctor.finding import Problem, Severity
from mmdoctor.select import find, select


def rule(code: str, name: str) -> Check[...]:
    def function() -> Iterator[Problem]:
        """Something is wrong."""
        yield from ()

    function.__name__ = name
    return check(code, Severity.ERROR)(function)


RULES = (
    rule("DRF005", "merge_size_mismatch"),
    rule("DRF017", "embedding_too_small"),
    rule("MEM001", "weights_exceed_vram"),
)


def codes(chosen: tuple[str, ...] = (), ignored: tuple[str, ...] = ()) -> list[str]:
    return [r.code for r in select(RULES, chosen, ignored)]


def test_all_rules_run_unless_something_is_said():
    assert codes() == ["DRF005", "DRF017", "MEM001"]


@pytest.mark.parametrize(
    "selector",
    [
        "MEM",
        "mem",
        "gpu_memory",
        "gpu-memory",
        "MEM001",
        "mem001",
        "weights-exceed-vram",
        "weights_exceed_vram",
        " MEM ",
    ],
)
def test_a_rule_goes_by_family_code_and_name(selector: str):
    assert codes((selector,)) == ["MEM001"]


def test_selectors_are_separated_by_commas_or_given_several_times():
    assert codes(("MEM,DRF005",)) == codes(("MEM", "DRF005")) == ["DRF005", "MEM001"]


def test_ignored_rules_are_left_out():
    assert codes(ignored=("DRF",)) == ["MEM001"]
    assert codes(("DRF",), ("DRF005",)) == ["DRF017"]


def test_the_more_specific_selector_wins():
    assert codes(("DRF005",), ("DRF",)) == ["DRF005"]
    assert codes(("ALL", "DRF005"), ("DRF",)) == ["DRF005", "MEM001"]


def test_of_two_alike_ignore_wins():
    assert codes(("DRF005", "MEM"), ("DRF005",)) == ["MEM001"]


@pytest.mark.parametrize(
    ("selector", "near"),
    [("DRF05", "DRF005"), ("merge-size-mismach", "merge-size-mismatch"), ("DFR", "DRF"), ("gpu_memmory", "gpu_memory")],
)
def test_an_unknown_selector_names_the_nearest(selector: str, near: str):
    with pytest.raises(UsageError, match=f"{selector}.*did you mean {near}"):
        codes((selector,))
    with pytest.raises(UsageError, match="ignore: "):
        codes(ignored=(selector,))


def test_an_unknown_selector_that_is_near_to_nothing_says_where_to_look():
    with pytest.raises(UsageError, match="mmdoctor rules"):
        codes(("zzzzzzzzzz",))


def test_a_rule_is_found_by_code_and_by_name():
    assert find(RULES, "drf005") is find(RULES, "merge-size-mismatch") is RULES[0]
    with pytest.raises(UsageError, match="did you mean"):
        find(RULES, "DRF006")
    with pytest.raises(UsageError):
        find(RULES, "DRF")
