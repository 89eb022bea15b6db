"""The report for a terminal: verdict first, then what is wrong, worst first, with numbers, places and what to do."""

import itertools
from collections.abc import Iterable, Sequence

from mmdoctor.finding import Confidence, Evidence, Finding, Severity
from mmdoctor.location import Location
from mmdoctor.report import self_test, words
from mmdoctor.report.layout import Page, Span
from mmdoctor.report.model import Artifact, CrashedCheck, Report
from mmdoctor.report.text import columns, plain, shorten

# Named colours of the terminal's own theme only, so that they read on light and on dark.
_SEVERITY = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_VERDICT = {"pass": "bold green", "warn": "bold yellow", "fail": "bold red", "error": "bold red"}
_DIM = "dim"

_INDENT = 9
"""Columns before a finding's text: the longest severity and two blanks."""
_MAX_EVIDENCE = 12
"""Evidence lines shown of one finding; the JSON report has them all."""
_MAX_ALIGNED = 24
"""Widest observed value that the others are padded to, so that what was expected stands in one column."""
_MAX_VALUE = 400
"""Columns of one value; the JSON report has it whole."""
_MIN_VALUE = 14
"""Columns that a value needs beside its place and name; with less it goes below them."""


def render(report: Report, *, width: int = 80, color: bool = False, verbose: bool = False, quiet: bool = False) -> str:
    """The report as text, with ANSI colours or without.

    Args:
        report: what is rendered.
        width: columns of the terminal.
        color: whether to use the terminal's colours.
        verbose: also list passed checks, those that do not apply, and tracebacks.
        quiet: only the verdict and one line a finding.
    """
    page = Page(max(width, 40), color)
    if quiet:
        _verdict(page, report)
        for finding in report.findings:
            page.paragraph(*_title(finding), (f": {plain(finding.message)}", ""), hang=_INDENT)
        return page.text()
    _head(page, report.artifact)
    if report.target.from_flags or report.target.engine:
        page.paragraph((f"target: {words.target_of(report.target)}", ""), indent=2)
    if report.self_test is not None:
        for line in self_test.lines(report.self_test):
            page.paragraph((line, ""), indent=2, hang=4)
    page.blank()
    _verdict(page, report)
    for finding in report.findings:
        page.blank()
        _finding(page, finding)
    for crash in report.crashed:
        page.blank()
        _crash(page, crash, verbose)
    _rest(page, report, verbose)
    return page.text()


def _labelled(page: Page, label: str, text: str) -> None:
    """Write `label text` below a finding, the text's further lines below its first."""
    page.paragraph((f"{label} ", _DIM), (plain(text), ""), indent=_INDENT, hang=_INDENT + len(label) + 1)


def _head(page: Page, artifact: Artifact) -> None:
    name = shorten(plain(artifact.path), page.width), "bold"
    page.pieces([[name], [(words.about(artifact), "")]], "  ", hang=2)
    if artifact.parts:
        page.pieces([[(words.part_of(part), "")] for part in artifact.parts], " | ", indent=2)
    for remark in artifact.remarks:
        page.paragraph((plain(remark), ""), indent=2)
    for cost in artifact.images:
        page.paragraph((words.cost_of(cost), ""), indent=2)
    for origin in words.origins_of(artifact.images):
        page.paragraph((origin, _DIM), indent=4, hang=6)


def _verdict(page: Page, report: Report) -> None:
    verdict = report.verdict.upper(), _VERDICT[report.verdict]
    counts = [verdict, ("   ", ""), (words.problems(report), "bold")]
    page.pieces([counts, [(words.coverage(report), "")], [(words.effort(report), _DIM)]], "     ", hang=7)


def _title(finding: Finding) -> list[Span]:
    severity = finding.severity
    title = [(f"{severity.value:<{_INDENT}}", _SEVERITY[severity]), (finding.code, "bold"), (f" {finding.name}", "")]
    return title if finding.confidence is Confidence.CERTAIN else [*title, (f" ({finding.confidence.value})", _DIM)]


def _finding(page: Page, finding: Finding) -> None:
    page.paragraph(*_title(finding), hang=_INDENT)
    page.paragraph((plain(finding.message), "bold"), indent=_INDENT)
    _evidence(page, finding.evidence)
    _labelled(page, "why:", finding.summary)
    if finding.fix is not None:
        _labelled(page, "fix:", finding.fix.text)


def _evidence(page: Page, evidence: Sequence[Evidence]) -> None:
    shown, indent = evidence[:_MAX_EVIDENCE], _INDENT + 2
    room = page.width - indent
    places = [_place(e.at, room * 45 // 100) for e in shown]
    whats = [shorten(plain(e.what), room * 45 // 100) for e in shown]
    left = max(map(columns, places)) + 2 * any(places) + max(map(columns, whats)) + 2
    # One long value is wrapped in its row; a comparison that has to be wrapped is no longer one.
    aligned = _aligned(shown)
    wide = [e for e in shown if sum(columns(text) for text, _ in _value(e, aligned)) > room - left]
    crowded = 2 * len(wide) > len(shown) or any(e.expected is not None for e in wide)
    if room - left < _MIN_VALUE or (page.width < 100 and crowded):
        _stacked(page, shown, indent)
    else:
        _rows(page, shown, places, whats, indent)
    if len(evidence) > len(shown):
        page.paragraph((f"and {len(evidence) - len(shown)} more", _DIM), indent=indent)


def _aligned(evidence: Sequence[Evidence]) -> int:
    """Columns that observed values are padded to where something was expected."""
    compared = [columns(words.values_of(e)[0]) for e in evidence if e.expected is not None]
    return max((n for n in compared if n <= _MAX_ALIGNED), default=0)


def _stacked(page: Page, evidence: Sequence[Evidence], indent: int) -> None:
    """Evidence below its places, each named once, where not all fits side by side."""
    for place, members in itertools.groupby(evidence, lambda e: _place(e.at, page.width - indent)):
        group = list(members)
        below = indent + 2 * bool(place)
        if place:
            page.paragraph((place, "cyan"), indent=indent)
        _rows(page, group, [""] * len(group), [plain(e.what) for e in group], below)


def _rows(page: Page, evidence: Sequence[Evidence], places: Sequence[str], whats: Sequence[str], indent: int) -> None:
    """Place, name and value in columns; names so long that the values find no room are not padded."""
    place_width, what_width = max(map(columns, places)), max(map(columns, whats))
    gap = 2 if place_width else 0
    aligned = _aligned(evidence)
    if page.width - indent - place_width - gap - what_width - 2 < _MIN_VALUE:
        place_width, what_width, aligned = 0, 0, 0
    left = indent + place_width + gap + what_width + 2
    for e, place, what in zip(evidence, places, whats, strict=True):
        padded = place + " " * (place_width - columns(place) + gap), "cyan"
        name = what + " " * (max(what_width - columns(what), 0) + 2), ""
        page.paragraph(padded, name, *_value(e, aligned), indent=indent, hang=left if what_width else indent + 2)


def _place(at: Location, width: int) -> str:
    """The place in at most that many columns: whole, or the tensor alone, or its ends."""
    whole = words.place_of(at)
    if columns(whole) <= width or not at.tensor:
        return shorten(whole, width)
    return shorten(plain(at.tensor), width)


def _value(evidence: Evidence, width: int) -> list[Span]:
    observed, expected = (value and shorten(value, _MAX_VALUE) for value in words.values_of(evidence))
    said = [(observed or "", "bold")]
    if expected is not None:
        said += [(" " * (width - columns(observed or "")) + "  expected ", _DIM), (expected, "green")]
    return said


def _crash(page: Page, crash: CrashedCheck, verbose: bool) -> None:
    page.paragraph(("crashed  ", "bold red"), (crash.code, "bold"), (f": {plain(crash.error)}", ""), hang=_INDENT)
    if verbose and crash.traceback:
        for line in crash.traceback.rstrip().splitlines():
            page.paragraph((plain(line), _DIM), indent=_INDENT)
    else:
        _labelled(page, "fix:", "this is a bug of the rule, not of the model; --verbose shows where, please report it")


def _rest(page: Page, report: Report, verbose: bool) -> None:
    if report.could_not_check:
        page.blank()
        _skips(page, "could not check", words.reasons(report.could_not_check))
    if verbose and report.not_applicable:
        page.blank()
        _skips(page, "not applicable", words.reasons(report.not_applicable))
    if verbose and report.passed:
        page.blank()
        page.paragraph(("passed: ", "bold"), (", ".join(report.passed), ""), hang=2)
    if report.findings:
        page.blank()
        if codes := words.settled_by_program(report.findings):
            page.paragraph((f"{', '.join(codes)}: ", ""), (f"mmdoctor fix {words.quoted(report.artifact.path)}", ""))
        page.paragraph((f"more: mmdoctor explain {report.findings[0].code}", _DIM))


def _skips(page: Page, title: str, grouped: Iterable[tuple[str, list[str]]]) -> None:
    page.paragraph((f"{title}:", "bold"))
    for reason, codes in grouped:
        page.paragraph((f"{reason} ", ""), (f"({', '.join(codes)})", _DIM), indent=2, hang=4)
