"""Finding an accelerator by the name that a user types or a driver reports."""

import re
from collections.abc import Iterator

from mmdoctor.errors import UsageError
from mmdoctor.memory.accelerators import CATALOGUE, Model, normalised

_COUNT = re.compile(r"\s*(\d{1,4})\s*[x×*]\s*(?=[a-z])", re.IGNORECASE)


def find(text: str) -> tuple[Model, int]:
    """(The accelerator that a user's or driver's name means, how many of them).

    `A100-80GB`, `a100 80g`, `NVIDIA A100 80GB PCIe` and `2xA100-80GB` all do; `24GiB` is one of that memory.

    Raises:
        UsageError: no such accelerator, or several; the message names the nearest.
    """
    counted = _COUNT.match(text)
    count = int(counted.group(1)) if counted else 1
    key, gb = normalised(text[counted.end() :] if counted else text)
    if count < 1:
        raise UsageError(f"--gpu {text}: the number of accelerators must be at least 1")
    if not key:
        return _anonymous(text, gb), count
    family = [m for m in CATALOGUE if key == m.family or key in m.aliases]
    candidates = [m for m in family if gb is None or round(gb) in _sizes(m)]
    if len(candidates) > 1:
        candidates = [m for m in candidates if m.preferred] or candidates
    if len(candidates) == 1:
        return candidates[0], count
    if candidates:
        raise UsageError(f"--gpu {text}: which one? {_or(m.name for m in candidates)}")
    if family:
        raise UsageError(f"--gpu {text}: there is no such size; there is {_or(m.name for m in family)}")
    raise UsageError(f"--gpu {text}: not an accelerator known here. {_nearest(key)}")


def smallest_with(nbytes: float) -> Model | None:
    """The accelerator of a data centre with the least memory that still lets a process allocate so many bytes."""
    fitting = [m for m in CATALOGUE if m.usable_bytes >= nbytes and m.family in _COMMON]
    return min(fitting, key=lambda m: m.usable_bytes, default=None)


_COMMON = frozenset({"t4", "l4", "l40s", "a100", "h100", "h200", "b200", "mi300x", "mi325x", "mi355x"})
"""Cards that can be rented nearly everywhere: what "a larger card" should name."""


def _sizes(model: Model) -> set[int]:
    """The sizes under which a product goes: sold, and reported."""
    return {model.gb, round(model.memory_mib / 1024), *({192} if model.family == "b200" else ())}


def _anonymous(text: str, gb: float | None) -> Model:
    if gb is None or not 1 <= gb <= 10_000:
        raise UsageError(f"--gpu {text}: neither a name such as L4-24GB nor an amount of memory such as 24GiB")
    mib = round(gb * 1024)
    size = f"{gb:g}"
    return Model(
        name=f"{size} GiB",
        family="",
        gb=round(gb),
        memory_mib=mib,
        usable_gib=gb,
        vendor="",
        source="the command line",
    )


def _nearest(key: str) -> str:
    if key.isdecimal():
        return f"Memory alone is written with its unit: {key}GiB."
    closeness = {m.name: max(_alike(key, known) for known in (m.family, *m.aliases)) for m in CATALOGUE}
    near = sorted((n for n, c in closeness.items() if c >= 0.55), key=lambda n: -closeness[n])[:4]
    return f"Nearest: {', '.join(near)}." if near else "Give its memory instead, such as 24GiB."


def _alike(a: str, b: str) -> float:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, a, b).ratio()


def _or(names: Iterator[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
