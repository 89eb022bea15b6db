"""The terminal report: golden pages, and text that stays text."""

import re
from collections.abc import Callable

import msgspec
import pytest

from mmdoctor.finding import Evidence
from mmdoctor.location import Location
from mmdoctor.report.terminal import render
from mmdoctor.report.text import columns
from tests.report.reports import BAD, CRASHED, GOOD, MERGE, hostile

Golden = Callable[[str, str], None]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("width", [80, 160])
def test_a_report_with_findings(golden: Golden, width: int):
    golden(f"terminal-bad-{width}.txt", render(BAD, width=width))


def test_a_report_without_findings(golden: Golden):
    golden("terminal-good.txt", render(GOOD))


def test_verbose_lists_what_passed_and_what_does_not_apply(golden: Golden):
    golden("terminal-verbose.txt", render(BAD, verbose=True))


def test_quiet_has_a_line_a_finding(golden: Golden):
    golden("terminal-quiet.txt", render(BAD, quiet=True, width=160))


def test_a_crash_is_never_a_pass(golden: Golden):
    golden("terminal-crashed.txt", render(CRASHED))
    assert "KeyError" in render(CRASHED, verbose=True)


def test_colours_change_nothing_but_colours(golden: Golden):
    colored = render(BAD, color=True)

    golden("terminal-color.txt", colored)
    assert ANSI.sub("", colored) == render(BAD)


def test_only_the_terminals_own_colours_are_used():
    codes = {int(n) for sequence in ANSI.findall(render(BAD, color=True)) for n in re.findall(r"\d+", sequence)}

    assert codes <= {0, 1, 2, 31, 32, 33, 36, 39}, "named colours follow the theme, light or dark; others do not"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, 240])
@pytest.mark.parametrize("report", [BAD, GOOD, CRASHED, hostile()], ids=["bad", "good", "crashed", "hostile"])
def test_no_line_is_wider_than_the_terminal_or_ends_in_blanks(report, width: int):
    for line in render(report, width=width, verbose=True).splitlines():
        assert columns(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("color", [False, True])
def test_nothing_from_an_artefact_moves_the_cursor_or_hides(color: bool):
    text = ANSI.sub("", render(hostile(), verbose=True, color=color))

    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]", text
    )
    assert "[red]x[/red]" in text, "Rich markup is text"
    assert "\\x1b[2J" in text
    assert "\n# head" not in text
    text.encode("utf-8")


def test_a_name_too_long_for_its_column_keeps_its_distance():
    evidence = (
        Evidence("rows of decoder.layers.{0,1}.cross_attn.k_proj.weight", "[64, 128]", Location(file="a"), "128 rows"),
        Evidence("heads", 4, Location(file="config.json", line=3, column=5), 2),
    )
    text = render(msgspec.structs.replace(BAD, findings=(msgspec.structs.replace(MERGE, evidence=evidence),)))

    assert "k_proj.weight  [64, 128]\n" in text
    assert "heads  4  expected 2\n" in text


def test_many_pieces_of_evidence_are_cut():
    many = BAD.findings[0].evidence * 10
    report = msgspec.structs.replace(BAD, findings=(msgspec.structs.replace(MERGE, evidence=many),))

    text = render(report)

    assert text.count("preprocessor_config.json:12:3") == 6
    assert "and 8 more" in text
