"""For tests of rules, mmdoctor's own and plugins': call a rule with facts made by hand."""

from collections.abc import Iterator
from typing import Any

from mmdoctor.check import Check
from mmdoctor.finding import Problem
from mmdoctor.location import Location, Reading


def fires(rule: Check[...], *facts: object) -> tuple[Problem, ...]:
    """The problems that the rule finds in these facts, at least one.

    Raises:
        AssertionError: the rule stays silent.
    """
    problems = tuple(_run(rule, facts))
    assert problems, f"{rule.code} {rule.name} found nothing"
    return problems


def silent(rule: Check[...], *facts: object) -> None:
    """Check that the rule finds nothing in these facts.

    Raises:
        AssertionError: the rule found something.
    """
    problems = tuple(_run(rule, facts))
    assert not problems, f"{rule.code} {rule.name} found: {[p.message for p in problems]}"


def reading(value: Any, file: str = "config.json", pointer: str = "") -> Reading[Any]:
    """A value with a place, as a reader would have made it."""
    return Reading(value, Location(file=file, pointer=pointer))


def _run(rule: Check[...], facts: tuple[object, ...]) -> Iterator[Problem]:
    return rule.function(*facts)
