"""The progress bar: on stderr, only in a terminal, only for what takes longer than a second."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdoctor.progress import Progress
from mmdoctor.report.text import plain, shorten

PATIENCE = 1.0
"""Seconds without a bar."""
_LABEL = 40
"""Columns of the bar's label."""


@contextmanager
def watch(*, quiet: bool = False) -> Iterator[Progress]:
    """A progress that draws itself where somebody can see it, and is wiped away at the end."""
    if quiet or not sys.stderr.isatty() or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        yield Progress()
        return
    bar = _Bar()
    try:
        yield bar
    finally:
        bar.stop()


class _Bar(Progress):
    """A bar that a timer draws; providers may call from several threads."""

    def __init__(self) -> None:
        import threading

        self._what, self._total, self._done, self._unit = "looking", 0, 0, "bytes"
        self._shown: Any = None
        self._task: Any = None
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        self._timer.start()

    def start(self, what: str, total: int = 0, *, unit: str = "bytes") -> None:
        with self._lock:
            self._what, self._total, self._done, self._unit = what, total, 0, unit
            if self._shown is not None:
                self._shown.remove_task(self._task)
                self._task = self._add(self._shown)

    def step(self, what: str) -> None:
        with self._lock:
            self._what = what
            if self._shown is not None:
                self._shown.update(self._task, description=_label(what))

    def advance(self, amount: int) -> None:
        with self._lock:
            self._done += amount
            if self._shown is not None:
                self._shown.update(self._task, completed=self._done)

    def stop(self) -> None:
        """Wipe the bar away, or see to it that it never comes."""
        self._timer.cancel()
        with self._lock:
            self._over = True
            if self._shown is not None:
                self._shown.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, ProgressColumn, Task, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        class Amount(ProgressColumn):
            """Bytes and their rate, or the share of the steps."""

            def __init__(self) -> None:
                super().__init__()
                self._of_bytes = DownloadColumn(binary_units=True), TransferSpeedColumn()

            def render(self, task: Task) -> Text:
                if task.fields["unit"] == "steps":
                    return Text(f"{task.percentage:.0f} %")
                return Text(" ").join(column.render(task) for column in self._of_bytes)

        label = TextColumn("{task.description}", markup=False)
        console = Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto")
        shown = RichProgress(label, BarColumn(30), Amount(), console=console, transient=True)
        with self._lock:
            if not self._over:
                self._task = self._add(shown)
                self._shown = shown
                shown.start()

    def _add(self, shown: Any) -> Any:
        return shown.add_task(_label(self._what), total=self._total or None, completed=self._done, unit=self._unit)


def _label(what: str) -> str:
    return shorten(plain(what), _LABEL)
