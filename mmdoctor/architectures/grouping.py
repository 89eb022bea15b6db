"""Many tensor names in one: `layers.{0..31}.self_attn.k_proj.weight`."""

import re
from collections.abc import Iterable, Sequence

_INDEX = re.compile(r"(?<![A-Za-z0-9])\d+(?![A-Za-z0-9])")
_SHOWN = 6
"""Indices that are listed one by one before the rest becomes a count."""


def group_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names that differ in their indices only, joined, in order of first appearance."""
    groups: dict[str, list[tuple[int, ...]]] = {}
    for name in names:
        template = _INDEX.sub("\0", name)
        groups.setdefault(template, []).append(tuple(int(n) for n in _INDEX.findall(name)))
    return tuple(_joined(template, rows) for template, rows in groups.items())


def _joined(template: str, rows: Sequence[tuple[int, ...]]) -> str:
    pieces = template.split("\0")
    columns = list(zip(*rows, strict=True))
    text = pieces[0]
    for column, piece in zip(columns, pieces[1:], strict=True):
        text += index_set(column) + piece
    return text


def index_set(indices: Iterable[int]) -> str:
    """Indices as `5`, `{0..31}` or `{0,3,5}`; many scattered ones end in a count."""
    values = sorted(set(indices))
    if not values:
        return ""
    if len(values) == 1:
        return str(values[0])
    if values == list(range(values[0], values[-1] + 1)):
        return f"{{{values[0]}..{values[-1]}}}" if len(values) > 2 else f"{{{values[0]},{values[-1]}}}"
    if len(values) > _SHOWN:
        return f"{{{','.join(map(str, values[:_SHOWN]))} and {len(values) - _SHOWN} more}}"
    return f"{{{','.join(map(str, values))}}}"
