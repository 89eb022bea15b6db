"""The scores of a reference model, as a table and as JSON, schema `mmdoctor/scores/v1`."""

import json
import math

from mmdoctor import __version__
from mmdoctor.facts.reference import Scores
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.floors import ERRORS, FLOORS, missed, reaches

SCHEMA = "mmdoctor/scores/v1"

_ROWS = {
    "answers": "answers right",
    "box_iou": "boxes, mean IoU",
    "captions": "captions exact",
    "matching": "matching right",
    "masked_words": "masked words found",
    "masked_patches": "masked patches, error",
    "next_sentence": "next sentence right",
}
_RATIOS = frozenset({"box_iou", "masked_patches"})
"""Scores that are no percentage."""


def table(scores: Scores, kind: FusionKind) -> str:
    """One line a score, the floor beside it where the fusion has one, and a closing line."""
    floors = FLOORS if kind == "hybrid" else {}
    width = max(map(len, _ROWS.values()))
    lines = [f"{kind} fusion, {scores.scenes} held-out scenes, {scores.seconds:.1f} s", ""]
    for name, title in _ROWS.items():
        value, floor = getattr(scores, name), floors.get(name)
        line = f"{title:<{width}}  {_number(name, value):>7}"
        if floor is not None:
            word = "at most " if name in ERRORS else "at least"
            line += f"   {word} {_number(name, floor):>7}   {'ok' if reaches(name, value) else 'MISSED'}"
        lines.append(line)
    lines.append("")
    if floors:
        names = [_ROWS[name] for name in missed(scores)]
        lines.append(f"missed: {'; '.join(names)}" if names else "every floor is reached")
    else:
        lines.append("only the hybrid fusion has floors")
    return "\n".join(lines) + "\n"


def render(scores: Scores, kind: FusionKind) -> str:
    """The same as JSON text, closed by a newline; a score that does not exist is null."""
    content = {
        "schema": SCHEMA,
        "mmdoctor": __version__,
        "fusion": kind,
        "scenes": scores.scenes,
        "seconds": round(scores.seconds, 3),
        "scores": {name: _finite(getattr(scores, name)) for name in _ROWS},
        "floors": FLOORS if kind == "hybrid" else {},
        "missed": list(missed(scores)) if kind == "hybrid" else [],
    }
    return json.dumps(content, indent=2) + "\n"


def _number(name: str, value: float) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:.3f}" if name in _RATIOS else f"{100 * value:.1f} %"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
