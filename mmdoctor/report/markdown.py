"""The report to paste into an issue: nothing in it links, mentions, runs or tells who and where you are."""

import re
from collections.abc import Sequence

from mmdoctor.finding import Confidence, Evidence, Finding, Severity
from mmdoctor.report import self_test, words
from mmdoctor.report.model import Report
from mmdoctor.report.private import Private
from mmdoctor.report.text import plain, shorten

_MAX_VALUE = 200
"""Characters of one value; an issue is for reading."""
_SPECIAL = re.compile(r"[\\`*{}\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINKS = re.compile(r"@|#(?=\d)|(?<=:)//|(?<=[wW]{3})\.|(?<=GH)-(?=\d)")


def render(report: Report, private: Private | None = None) -> str:
    """The report as GitHub-flavoured Markdown.

    Args:
        report: what is rendered.
        private: names to take out; those of this machine when None.
    """
    return _Page(private or Private.here()).render(report)


class _Page:
    def __init__(self, private: Private) -> None:
        self._private = private

    def text(self, text: str, *, cell: bool = False) -> str:
        """Running text in which nothing is markup, a link or a mention; what stands in backticks is code."""
        pieces = re.split(r"`([^`]+)`", text)
        return "".join(
            self.code(piece, cell=cell) if odd % 2 else self._running(piece, odd) for odd, piece in enumerate(pieces)
        )

    def _running(self, text: str, index: int) -> str:
        hidden = self._private.hide(plain(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        hidden = _LINKS.sub(lambda match: f"{match[0]}<!-- -->", _SPECIAL.sub(r"\\\g<0>", hidden))
        return hidden if index else re.sub(r"^(\s*)(?:([-+#])|(\d+)([.)]))", r"\1\3\\\2\4", hidden)

    def code(self, text: str, *, cell: bool = False) -> str:
        """A code span; in a table's cell a bar needs a backslash even there."""
        hidden = shorten(self._private.hide(plain(text)), _MAX_VALUE)
        if not hidden.strip():
            return ""
        fence = "`" * (max(map(len, re.findall("`+", hidden)), default=0) + 1)
        pad = " " if hidden[0] in "` " or hidden[-1] in "` " else ""
        span = f"{fence}{pad}{hidden}{pad}{fence}"
        return span.replace("|", "\\|") if cell else span

    def render(self, report: Report) -> str:
        name = report.artifact.path.rstrip("/\\") or report.artifact.path
        lines = [
            f"### mmdoctor: {report.verdict.upper()}: {self.code(name)}",
            "",
            f"**{words.problems(report)}**; {words.coverage(report)} ({words.effort(report)})",
            "",
            *self._head(report),
        ]
        loud = [f for f in report.findings if f.severity is not Severity.NOTE]
        notes = [f for f in report.findings if f.severity is Severity.NOTE]
        for finding in loud:
            lines += ["", *self._finding(finding)]
        for crash in report.crashed:
            lines += [
                "",
                f"**crashed** {self.code(crash.code)}: {self.text(crash.error)} (a bug of the rule, not of the model)",
            ]
        if notes:
            body = [line for finding in notes for line in (*self._finding(finding), "")]
            lines += _folded(f"Notes ({len(notes)})", body)
        lines += self._rest(report)
        return "\n".join(lines).rstrip() + "\n"

    def _head(self, report: Report) -> list[str]:
        lines = [f"- {self.text(words.about(report.artifact))}"]
        if report.artifact.architectures:
            lines.append(f"- architecture: {', '.join(map(self.code, report.artifact.architectures))}")
        lines += [f"- {self.text(words.part_of(part))}" for part in report.artifact.parts]
        lines += [f"- {self.text(remark)}" for remark in report.artifact.remarks]
        lines += [f"- {self.text(words.cost_of(cost))}" for cost in report.artifact.images]
        lines += [f"  - {self.text(origin)}" for origin in words.origins_of(report.artifact.images)]
        if report.self_test is not None:
            lines += [f"- {self.text(line)}" for line in self_test.lines(report.self_test)]
        if target := words.target_of(report.target):
            lines.append(f"- target: {self.text(target)}{'' if report.target.from_flags else ' (this machine)'}")
        return lines

    def _finding(self, finding: Finding) -> list[str]:
        sure = "" if finding.confidence is Confidence.CERTAIN else f" ({finding.confidence.value})"
        lines = [
            f"#### {finding.severity.value} {finding.code} {self.text(finding.name)}{sure}",
            "",
            self.text(finding.message),
            "",
            *self._table(finding.evidence),
            "",
            f"Why: {self.text(finding.summary)}",
        ]
        return [*lines, "", f"Fix: {self.text(finding.fix.text)}"] if finding.fix else lines

    def _table(self, evidence: Sequence[Evidence]) -> list[str]:
        compared = any(e.expected is not None for e in evidence)
        rows = [["where", "what", "observed", *(["expected"] if compared else [])]]
        rows.append(["---"] * len(rows[0]))
        for e in evidence:
            observed, expected = words.values_of(e)
            row = [
                self.code(words.place_of(e.at), cell=True),
                self.text(e.what, cell=True),
                self.code(observed, cell=True),
            ]
            if compared:
                row.append("" if expected is None else self.code(expected, cell=True))
            rows.append(row)
        return [f"| {' | '.join(row)} |" for row in rows]

    def _rest(self, report: Report) -> list[str]:
        lines = []
        for title, skipped in (
            ("Could not check", report.could_not_check),
            ("Not applicable", report.not_applicable),
        ):
            if skipped:
                body = [f"- {self.text(r)} ({', '.join(codes)})" for r, codes in words.reasons(skipped)]
                lines += _folded(f"{title} ({len(skipped)})", body)
        if report.passed:
            lines += _folded(f"Passed ({len(report.passed)})", [", ".join(report.passed)])
        if report.machine:
            facts = [("mmdoctor", report.version), *words.machine_of(report.machine)]
            body = [
                "| | |",
                "| --- | --- |",
                *(f"| {self.text(k, cell=True)} | {self.code(v, cell=True)} |" for k, v in facts),
            ]
            return [*lines, *_folded("Machine and versions", body)]
        return [*lines, "", f"mmdoctor {report.version}"]


def _folded(title: str, body: Sequence[str]) -> list[str]:
    return ["", f"<details><summary>{title}</summary>", "", *body, "", "</details>"]
