"""What DRF028 looks at where positions have several axes: the parts of a head for time, height and width."""

from collections.abc import Iterator
from typing import Any

from mmdoctor.facts.rope import RopeSection, RopeSet
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity, any_json
from mmdoctor_checks.drift.rope_numbers import head


def sections(section: RopeSection, each: RopeSet, *, vllm: bool) -> Iterator[Problem]:
    """The parts for time, height and width must be there and make up the rotated part of a head."""
    stated = each.values.get("mrope_section")
    usual = list(section.usual_mrope)
    fits = bool(usual) and each.rotary == 2 * sum(usual)
    if stated is None:
        if usual and section.known and not (each.layers and not section.nests):
            yield from _without(section, each, usual, fits=fits, vllm=vllm)
        return
    place = section.document.at(f"{each.at}/mrope_section")
    fix = Fix(f"set mrope_section to {usual}", (_whole(section, f"{each.at}/mrope_section", usual),)) if fits else None
    if not isinstance(stated, list) or not all(type(part) is int and part >= 0 for part in stated):
        yield Problem(
            f"mrope_section is {str(stated)[:40]!r}, not a list of numbers of frequencies: the model fails",
            because=[Evidence("mrope_section", str(stated)[:40], place, str(usual) if fits else None)],
            fix=fix,
        )
    elif each.rotary is not None and 2 * sum(stated) != each.rotary:
        yield Problem(
            f"mrope_section {stated} is for 2 x {sum(stated)} = {2 * sum(stated)} rotated numbers of a head, and there "
            f"are {each.rotary} ({each.counted}): {_effect(section, each)}",
            because=[
                Evidence("sum of mrope_section", sum(stated), place, each.rotary // 2),
                head(section, each),
            ],
            fix=fix or Fix("copy mrope_section from the original model's config.json"),
        )
    elif fits and stated != usual:
        yield Problem(
            f"mrope_section is {stated}, and the models of this type were trained with {usual}: time, height and width "
            "of images are read from other parts of a head, without an error",
            because=[Evidence("mrope_section", str(stated), place, str(usual))],
            fix=fix,
            severity=Severity.WARNING,
            confidence=Confidence.LIKELY,
        )


def _effect(section: RopeSection, each: RopeSet) -> str:
    """transformers cuts the head into the parts, or takes every third number of it (`mrope_interleaved`)."""
    if each.values.get("mrope_interleaved") is True or section.interleaves:
        return "images get wrong positions, without an error"
    return "the first forward pass fails (`split_with_sizes expects split_sizes to sum exactly`)"


def _without(section: RopeSection, each: RopeSet, usual: list[int], *, fits: bool, vllm: bool) -> Iterator[Problem]:
    new = section.get("rope_parameters") is not None and not section.get("rope_scaling")
    if not fits and each.rotary is None:
        return
    if not fits:
        said = (
            f"mrope_section is absent, and the default {usual} is for {2 * sum(usual)} rotated numbers of a head, not "
            f"{each.rotary}: {_effect(section, each)}"
        )
    elif section.needs_mrope and not new:
        said = "mrope_section is absent: transformers 4 fails without it, and vLLM gives images the positions of text"
    else:
        said = (
            f"mrope_section is absent: transformers takes {usual}, but vLLM tells by it that the model has positions "
            "in time, height and width, and gives images the positions of text"
        )
    blank = section.of_defaults and new and not fits  # the class's own defaults do not fit: no trained model
    severe = (not fits and not blank) or vllm or (section.needs_mrope and not new)
    pointer = f"{each.at}/mrope_section" if each.stated else f"{section.pointer}/rope_scaling"
    edit = _whole(section, pointer, usual if each.stated else {"type": "default", "mrope_section": usual})
    yield Problem(
        said,
        because=[
            Evidence("mrope_section", None, section.document.at(each.at), str(usual) if fits else None),
            head(section, each),
        ],
        fix=Fix(f"set mrope_section to {usual}", (edit,))
        if fits
        else Fix("copy mrope_section from the original model's config.json"),
        severity=Severity.ERROR if severe else Severity.NOTE if new or not section.in_old else Severity.WARNING,
    )


def _whole(section: RopeSection, pointer: str, value: Any) -> Edit:
    return Edit(file=section.document.file, pointer=pointer, value=any_json(value))
