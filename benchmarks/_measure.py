"""Processes measured side by side: wall time and peak memory, each the median of several rounds."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

BASELINE = "python -c 'import typer, rich.console'"
"""What any program with this command line and this renderer costs at least."""


_CACHE = tempfile.TemporaryDirectory(prefix="mmdoctor-bytecode-")
_ENVIRONMENT = {**os.environ, "PYTHONPYCACHEPREFIX": _CACHE.name}
_ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)
"""Bytecode is cached, as pip does it on installation, wherever the checkout lies and whoever may write there."""


class Cost(NamedTuple):
    """What one process took."""

    seconds: float
    """Wall time."""
    peak: int
    """Largest resident set, in bytes."""


def run(command: Sequence[str]) -> Cost:
    """Run a command to its end; its output is thrown away, its exit code may be 0 or 1."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_ENVIRONMENT, cwd=_CACHE.name
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return Cost(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def compare(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Cost]:
    """The median cost of each command; the rounds alternate, so that a busy machine is busy for all of them."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cost = run(command)
            if number:  # the first round fills the caches
                costs[name].append(cost)
    return {
        name: Cost(statistics.median(c.seconds for c in taken), max(c.peak for c in taken))
        for name, taken in costs.items()
    }


def mmdoctor(*arguments: str) -> list[str]:
    """The program as a command."""
    return [sys.executable, "-m", "mmdoctor", *arguments]


def baseline() -> list[str]:
    """The baseline as a command."""
    return [sys.executable, "-c", "import typer, rich.console"]


def show(costs: Mapping[str, Cost], against: str) -> None:
    """Print a table of times, ratios to one of the commands, and peak memory."""
    width = max(map(len, costs))
    print(f"{'':<{width}}   seconds     ratio   peak MiB")
    for name, cost in costs.items():
        ratio = cost.seconds / costs[against].seconds
        print(f"{name:<{width}} {cost.seconds:9.3f} {ratio:8.2f}x {cost.peak / 2**20:10.1f}")


def verdict(claims: Mapping[str, bool]) -> None:
    """Print what holds and what does not, and exit 1 if something does not."""
    for claim, holds in claims.items():
        print(f"{'holds ' if holds else 'BROKEN'}  {claim}")
    if not all(claims.values()):
        raise SystemExit(1)
