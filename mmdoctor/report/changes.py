"""What `mmdoctor fix` would do, as a diff."""

import difflib
from collections.abc import Iterator

from mmdoctor.fixing.plan import FileChange, Plan
from mmdoctor.report.layout import Page, Span
from mmdoctor.report.text import count, cut, plain

CONTEXT = 2
"""Lines around a change."""
LARGE = 20_000
"""Lines from which on a text is no longer compared line by line."""
MOST_LINES = 200
"""Lines of one file's diff that are shown; a rebuilt index has one a tensor."""


def render(proposed: Plan, *, width: int = 80, color: bool = False, made: bool = False) -> str:
    """The changes by file, then what is left to a person.

    Args:
        proposed: the changes.
        width: columns of the terminal.
        color: whether to write colours.
        made: whether the changes are about to be made.
    """
    page = Page(width, color)
    for change in proposed.changes:
        for line in _lines(change):
            page.preformatted(*line)
        page.blank()
    files = count(len(proposed.changes), "file")
    if proposed.changes:
        codes = ", ".join(dict.fromkeys(f.code for f in proposed.settled))
        verb = "changing" if made else "would change"
        page.paragraph((f"{verb} {files}", "bold"), (f" to settle {codes}", ""))
        if not made:
            page.paragraph((f"make {'them' if len(proposed.changes) > 1 else 'it'}: mmdoctor fix --apply", ""))
    elif not proposed.left:
        page.paragraph(("nothing to settle", "bold green"))
    if proposed.left:
        page.blank()
        page.paragraph((f"{count(len(proposed.left), 'finding')} left to you", "bold"))
        for left in proposed.left:
            finding = left.finding
            page.paragraph(
                (f"{finding.severity} {finding.code} ", "red" if finding.severity.rank > 1 else "yellow"),
                (f"{plain(finding.message)} ({plain(left.why)})", ""),
                indent=2,
                hang=9,
            )
            if finding.fix is not None:
                page.paragraph((f"fix: {plain(finding.fix.text)}", ""), indent=9)
    return page.text()


def _lines(change: FileChange) -> Iterator[tuple[Span, ...]]:
    if change.to is not None:
        yield ((f"rename {plain(change.file)}", "red"),)
        yield ((f"    to {plain(change.to)}", "green"),)
        return
    before, after = (change.before or "").splitlines(), (change.after or "").splitlines()
    name = plain(change.file)
    old, new = "/dev/null" if change.before is None else f"a/{name}", f"b/{name}"
    if max(len(before), len(after)) > LARGE:
        yield ((f"{name}: {len(before):,} lines become {len(after):,}", "bold"),)
        return
    diff = difflib.unified_diff(before, after, old, new, lineterm="", n=CONTEXT)
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for number, line in enumerate(diff):
        if number == MOST_LINES:
            yield (("  ... more lines", "dim"),)
            return
        yield ((cut(plain(line), 500), "bold" if line.startswith(("---", "+++")) else styles.get(line[:1], "")),)
