"""The exit code of a report, the same for every format."""

from mmdoctor.finding import Severity
from mmdoctor.report.model import Report

PASSED, FAILED, UNUSABLE = 0, 1, 2


def exit_code(report: Report, *, fail_on: str = "error", on_coverage: bool = False, exit_zero: bool = False) -> int:
    """0 when the gate opens, 1 when findings close it, 2 when nothing can be said.

    Args:
        report: what was found.
        fail_on: the mildest severity that closes the gate, or `never`.
        on_coverage: whether a check that applies and could not look closes it.
        exit_zero: whether findings leave it open all the same. A crashed check never does.
    """
    if report.verdict == "error":
        return UNUSABLE
    if exit_zero:
        return PASSED
    bad = fail_on != "never" and any(f.severity.rank >= Severity(fail_on).rank for f in report.findings)
    uncovered = on_coverage and bool(report.could_not_check)
    return FAILED if bad or uncovered else PASSED
