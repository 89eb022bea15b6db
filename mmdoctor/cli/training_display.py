"""How a training run shows itself: a live table in a terminal, a line a minute anywhere else; always on stderr."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mmdoctor.cli.output import say

if TYPE_CHECKING:
    from rich.table import Table

    from mmdoctor.reference.training import Report

_SECONDS_BETWEEN_LINES = 60.0
_SMOOTHING = 0.95
"""Share of the last shown loss in the next one: one step's loss jumps."""


@contextmanager
def watch() -> Iterator[Callable[["Report"], None]]:
    """What to call after each step."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield _Lines()
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto")
    smooth = _Smooth()
    with Live(console=console, refresh_per_second=2, transient=True) as live:
        yield lambda report: live.update(_table(report, smooth(report)))


class _Smooth:
    """Losses without the jumps."""

    def __init__(self) -> None:
        self._losses: dict[str, float] = {}

    def __call__(self, report: "Report") -> dict[str, float]:
        for name, loss in report.losses.items():
            before = self._losses.get(name, loss)
            self._losses[name] = _SMOOTHING * before + (1 - _SMOOTHING) * loss
        return self._losses


class _Lines:
    """A line now and then."""

    def __init__(self) -> None:
        self._smooth = _Smooth()
        self._next = 0.0

    def __call__(self, report: "Report") -> None:
        losses = self._smooth(report)
        if report.seconds >= self._next or report.step == report.steps:
            self._next = report.seconds + _SECONDS_BETWEEN_LINES
            say(f"{headline(report)}; " + ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items()))


def headline(report: "Report") -> str:
    """Where the run is, in a line."""
    left = f"{report.seconds_left / 60:.0f} min" if report.seconds_left >= 60 else f"{report.seconds_left:.0f} s"
    return f"step {report.step} of {report.steps}, {report.scenes_per_second:.0f} scenes/s, {left} left"


def _table(report: "Report", losses: dict[str, float]) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_row("training", ProgressBar(total=report.steps, completed=report.step, width=40))
    table.add_row("", headline(report))
    for name, loss in losses.items():
        table.add_row(name, f"loss {loss:.4f}")
    return table
