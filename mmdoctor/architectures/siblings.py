"""Layers that differ from all the others of their stack."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from mmdoctor.architectures.geometry import projections
from mmdoctor.facts.parts import AttentionBlock

ENOUGH = 3
"""Layers from which a majority means something."""


class Odd(msgspec.Struct, frozen=True, kw_only=True):
    """One attention module that is at odds with its siblings."""

    block: AttentionBlock
    sibling: AttentionBlock
    """One that all others are like."""
    what: str
    """The relation that differs: `width`, `q and o`, `k and v`."""
    observed: tuple[int, int]
    usual: tuple[int, int]


def odd_ones(blocks: Iterable[AttentionBlock]) -> Iterator[Odd]:
    """Modules in which a relation is broken that holds in all their siblings.

    Relations, not sizes: pruned and hybrid models have layers of different sizes, but the width of the residual stream
    is the same in all of them, and what goes into the heads comes out of them again.
    """
    stacks: dict[tuple[object, ...], list[AttentionBlock]] = {}
    for block in blocks:
        if block.quantised or block.latent or block.layer is None:
            continue
        head, _, tail = block.prefix.rpartition(f".{block.layer}.")
        fields = tuple(field for field, _, _ in projections(block))
        stacks.setdefault((block.role, head, tail, block.cross, fields), []).append(block)
    for members in stacks.values():
        if len(members) >= ENOUGH:
            yield from _odd_in(members)


def _odd_in(members: list[AttentionBlock]) -> Iterator[Odd]:
    relations = {id(block): dict(_relations(block)) for block in members}
    reported: set[int] = set()
    for what in ("width in", "width out", "q and o", "k and v", "k and q"):
        held = [(b, relations[id(b)][what]) for b in members if what in relations[id(b)]]
        counts = Counter(_key(what, pair) for _, pair in held)
        if len(held) < ENOUGH or len(counts) != 2:
            continue
        (usual, _), (_, rare) = counts.most_common()
        if rare != 1:
            continue
        sibling, usual_pair = next((b, p) for b, p in held if _key(what, p) == usual)
        block, pair = next((b, p) for b, p in held if _key(what, p) != usual)
        entrance = what == "width in" and block.layer == min(b.layer or 0 for b, _ in held)
        if id(block) not in reported and not entrance:  # the first layer may take another width in
            reported.add(id(block))
            yield Odd(block=block, sibling=sibling, what=what, observed=pair, usual=usual_pair)


def _relations(block: AttentionBlock) -> Iterator[tuple[str, tuple[int, int]]]:
    shapes = {field: shape for field, _, shape in projections(block)}
    into = next((shapes[f][1] for f in ("q", "qkv") if f in shapes), None)
    if into is not None:
        yield "width in", (into, into)
    if "o" in shapes:
        yield "width out", (shapes["o"][0], shapes["o"][0])
    if "q" in shapes and "o" in shapes:
        yield "q and o", (shapes["q"][0], shapes["o"][1])
    if "k" in shapes and "v" in shapes:
        yield "k and v", (shapes["k"][0], shapes["v"][0])
    if "k" in shapes and "q" in shapes and not block.cross:
        yield "k and q", (shapes["k"][1], shapes["q"][1])


def _key(what: str, pair: tuple[int, int]) -> object:
    """What siblings must share: a width itself, else the proportion of the two."""
    first, second = pair
    return first if what.startswith("width") else first / second if second else None
