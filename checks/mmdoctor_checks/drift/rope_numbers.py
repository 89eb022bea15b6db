"""What DRF028 looks at in the numbers of a rotary position embedding: bases, factors, lists and lengths."""

from collections.abc import Iterator
from typing import TypeGuard

from mmdoctor.facts.rope import RopeSection, RopeSet
from mmdoctor.finding import Evidence, Fix, Problem, Severity

PRE_YARN = 1.3
"""Times the pretraining length up to which `max_position_embeddings` is that length itself, with room for an answer:
Qwen 2.5 and 3 tell users to add YaRN and leave it (32768 and 40960 with 32768)."""
LARGEST = 1e18
"""Larger numbers are taken as nonsense."""
TOLERANCE = 0.05
"""Share by which the stretched length may miss `max_position_embeddings`."""


def problem(
    section: RopeSection,
    each: RopeSet,
    message: str,
    *keys: tuple[str, str | int | None],
    severity: Severity | None = None,
    fix: Fix | None = None,
) -> Problem:
    """A problem of some settings, each with what was expected."""
    evidence = []
    for key, expected in keys:
        value = each.values.get(key)
        inside = f"{each.at}/{key}" if key in each.values else each.at
        shown = value if isinstance(value, str | int | float | None) else str(value)[:40]
        evidence.append(Evidence(key, shown, section.document.at(inside), expected))
    fix = fix or Fix("copy the section from the original model's config.json")
    return Problem(message, because=evidence, fix=fix, severity=severity)


def head(section: RopeSection, each: RopeSet) -> Evidence:
    return Evidence(f"rotated part of a head ({each.counted})", each.rotary, section.document.at(section.pointer))


def numbers(section: RopeSection, each: RopeSet) -> Iterator[Problem]:
    """Everything that is wrong with the numbers of some settings."""
    yield from _factors(section, each)
    yield from _longrope(section, each)
    yield from _yarn(section, each)


def _factors(section: RopeSection, each: RopeSet) -> Iterator[Problem]:
    """Bases and factors must be numbers that frequencies can be computed with."""
    theta = each.theta
    if section.known and theta is not None and (not is_number(theta.value) or theta.value <= 1):
        yield Problem(
            f"the base of the rotary embedding ({theta.what}) is {theta.value!r}, not a number above 1: no frequencies "
            "can be computed",
            because=[Evidence(theta.what, theta.value, theta.at)],
        )
    factor = each.values.get("factor")
    if each.read_as in ("linear", "dynamic", "yarn", "llama3") and factor is not None:
        if not is_number(factor) or factor <= 0:
            yield problem(
                section, each, f"the factor of the scaling is {factor!r}, not a number above 0", ("factor", 1)
            )
        elif factor < 1:
            said = f"the factor of the scaling is {factor}: below 1 it squeezes the context instead of extending it"
            yield problem(section, each, said, ("factor", "at least 1"), severity=Severity.WARNING)
    low, high = (each.values.get(f"{end}_freq_factor") for end in ("low", "high"))
    if each.read_as != "llama3" or low is None or high is None:
        return
    if not is_number(low) or not is_number(high) or high <= low:
        yield problem(
            section,
            each,
            f"high_freq_factor {high} is not above low_freq_factor {low}: llama3 divides by their difference, and the "
            "frequencies are wrong",
            ("high_freq_factor", f"above {low}"),
            ("low_freq_factor", None),
        )


def _longrope(section: RopeSection, each: RopeSet) -> Iterator[Problem]:
    """A list has a number for each pair of rotated numbers."""
    if each.read_as != "longrope" and each.kind != "su":
        return
    for key in ("short_factor", "long_factor"):
        numbers = each.values.get(key)
        if numbers is None:
            continue
        if not isinstance(numbers, list) or not all(is_number(number) for number in numbers):
            yield problem(section, each, f"{key} is not a list of numbers: the model does not load", (key, None))
        elif each.rotary is not None and len(numbers) != each.rotary // 2:
            place = section.document.at(f"{each.at}/{key}")
            yield Problem(
                f"{key} has {len(numbers)} numbers, and the rotated part of a head is {each.rotary} ({each.counted}), "
                f"which needs {each.rotary // 2}: the model fails when it computes its frequencies",
                because=[Evidence(f"numbers in {key}", len(numbers), place, each.rotary // 2), head(section, each)],
                fix=Fix("copy the lists from the original model's config.json; they cannot be computed"),
            )
    lengths = (each.values.get("original_max_position_embeddings"), section.get("original_max_position_embeddings"))
    if section.known and not section.original and not any(lengths) and each.values.get("factor") is None:
        yield problem(
            section,
            each,
            f"longrope has neither original_max_position_embeddings nor factor: {section.positions} is taken for the "
            "length of pretraining, and the long factors are never used",
            ("long_factor", None),
            severity=Severity.WARNING,
        )


def _yarn(section: RopeSection, each: RopeSet) -> Iterator[Problem]:
    """The scaled length should be the one that the model states."""
    before, factor = each.values.get("original_max_position_embeddings"), each.values.get("factor")
    length = section.positions
    if each.read_as != "yarn" or length is None or not is_number(before) or not is_number(factor):
        return
    if before <= 0 or length <= before * PRE_YARN or abs(before * factor / length - 1) <= TOLERANCE:
        return
    covered = before * factor
    effect = "positions beyond are not covered" if covered < length else "frequencies are those of another length"
    yield problem(
        section,
        each,
        f"YaRN stretches {before} positions by {factor:g} to {covered:g}, and max_position_embeddings is {length}: "
        + effect,
        ("factor", f"{length / before:g}"),
        ("original_max_position_embeddings", None),
        severity=Severity.WARNING,
    )


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST < value < LARGEST
