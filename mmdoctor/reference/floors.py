"""What the hybrid model must reach on held-out scenes. Early and late fusion are reported beside it."""

from mmdoctor.facts.reference import Scores

FLOORS: dict[str, float] = {
    "answers": 0.99,
    "box_iou": 0.85,
    "captions": 0.97,
    "matching": 0.97,
    "masked_words": 0.98,
    "masked_patches": 1 / 3,
}
"""By the field of `Scores`; the error of the masked patches must be no larger."""

ERRORS = frozenset({"masked_patches"})
"""Scores of which less is better."""


def reaches(name: str, value: float) -> bool:
    """Whether a score is good enough; a score without a floor is, NaN never is."""
    floor = FLOORS.get(name)
    if floor is None:
        return True
    return value <= floor if name in ERRORS else value >= floor


def missed(scores: Scores) -> tuple[str, ...]:
    """Names of the scores that are not what the hybrid model must reach."""
    return tuple(name for name in FLOORS if not reaches(name, getattr(scores, name)))
