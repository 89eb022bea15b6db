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

        self._what, self._total, self._done = "looking", 0, 0
        self._shown: Any = None
        self._task: Any = None
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True
        self._timer.start()

    def start(self, what: str, total: int = 0) -> None:
        with self._lock:
            self._what, self._total, self._done = what, total, 0
            if self._shown is not None:
                self._shown.remove_task(self._task)
                self._task = self._add(self._shown)

    def advance(self, nbytes: int) -> None:
        with self._lock:
            self._done += nbytes
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
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        label = TextColumn("{task.description}", markup=False)
        console = Console(stderr=True, color_system=None if os.environ.get("NO_COLOR") else "auto")
        columns = label, BarColumn(30), DownloadColumn(binary_units=True), TransferSpeedColumn()
        shown = RichProgress(*columns, console=console, transient=True)
        with self._lock:
            if not self._over:
                self._task = self._add(shown)
                self._shown = shown
                shown.start()

    def _add(self, shown: Any) -> Any:
        label = shorten(plain(self._what), _LABEL)
        return shown.add_task(label, total=self._total or None, completed=self._done)
