"""What the control group grants this process: memory and CPUs, cgroup v1 and v2."""

import math
from collections.abc import Iterator
from pathlib import Path

UNLIMITED = 1 << 60
"""Limits from here on mean none: cgroup v1 writes 2^63 rounded down to a page for "no limit"."""


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes of memory that the control group grants, the smallest of it and its parents; None without a limit."""
    limits = [
        value
        for folder, name in _files(root, "memory", "memory.max", "memory.limit_in_bytes")
        if (value := _number(folder / name)) is not None and 0 < value < UNLIMITED
    ]
    return min(limits, default=None)


def memory_headroom(root: Path = Path("/")) -> int | None:
    """Bytes still to be had before a limit is reached, page cache counted as free; None without a limit."""
    rooms = []
    for folder, name in _files(root, "memory", "memory.max", "memory.limit_in_bytes"):
        limit = _number(folder / name)
        if limit is None or not 0 < limit < UNLIMITED:
            continue
        used = _number(folder / ("memory.current" if name == "memory.max" else "memory.usage_in_bytes")) or 0
        rooms.append(max(0, limit - max(0, used - _inactive_file(folder))))
    return min(rooms, default=None)


def cpu_limit(root: Path = Path("/")) -> int | None:
    """CPUs that the control group's quota amounts to, rounded up; None without a quota."""
    quotas = []
    for folder, name in _files(root, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        words = _text(folder / name).split()
        if name == "cpu.cfs_quota_us":
            words += _text(folder / "cpu.cfs_period_us").split()
        if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]) > 0:
            quotas.append(max(1, math.ceil(int(words[0]) / int(words[1]))))
    return min(quotas, default=None)


def _files(root: Path, controller: str, modern: str, legacy: str) -> Iterator[tuple[Path, str]]:
    """(folder, file name) of a limit in this process's group and all its parents."""
    mount = root / "sys/fs/cgroup"
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield from ((folder, modern) for folder in _upwards(mount, path))
        elif controller in controllers.split(","):
            yield from ((folder, legacy) for folder in _upwards(mount / controller, path))


def _upwards(mount: Path, path: str) -> Iterator[Path]:
    # In a container without its own cgroup namespace the path is the host's and does not exist below the mount:
    # the mount itself is then the container's group, and it always comes last here.
    parts = [p for p in path.split("/") if p not in ("", ".", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _inactive_file(folder: Path) -> int:
    for line in _text(folder / "memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(65536)
    except OSError:
        return ""
