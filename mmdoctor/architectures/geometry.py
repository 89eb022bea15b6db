"""What the configuration makes of heads and widths, and what the weights' shapes say instead."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from mmdoctor.architectures.names import outermost
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import TextModel
from mmdoctor.facts.parts import AttentionBlock, Role

OWN_ARITHMETIC = (
    "convbert",
    "mobilebert",
    "funnel",
    "reformer",
    "longformer",
    "led",
    "fsmt",
    "mimo_v2_flash",
    "minimax",
    "zamba",
    "zamba2",
)
"""Types whose heads do not share out `hidden_size` (a part of the heads is convolutions, a bottleneck ...)."""

_GLOBAL_SIZE = {"gemma4_text": 512, "gemma4_unified_text": 512, "embedding_gemma2_text": 512}
"""Head size of the global layers where no file states it: transformers models/gemma4/configuration_gemma4.py,
`global_head_dim`."""

ONE_KV_HEAD = ("falcon", "gpt_bigcode")
"""Types whose `multi_query` decides between one key/value head and as many as there are query heads."""


class Heads(msgspec.Struct, frozen=True, kw_only=True):
    """Heads of a stack of attention layers as the configuration states or implies them."""

    query: int
    key_value: int
    size: int
    """Width of one head, in features."""
    hidden: int | None
    size_stated: bool
    """Whether `head_dim` stands in the file; else it is `hidden_size // num_attention_heads`."""
    query_choices: tuple[int, ...]
    """All numbers of query heads that some layer may have."""
    kv_choices: tuple[int, ...]
    size_choices: tuple[int, ...]


def heads_of(text: TextModel) -> Heads | None:
    """The text model's heads, or None where the configuration leaves them open."""
    if text.num_attention_heads is None:
        return None
    query = text.num_attention_heads.value
    hidden = text.hidden_size.value if text.hidden_size else None
    if text.head_dim is not None:
        size = text.head_dim.value
    elif hidden is not None:
        size = hidden // query
    else:
        return None
    key_value = text.num_key_value_heads.value if text.num_key_value_heads else query
    choices = {key_value, *text.other_kv_counts}
    if text.multi_query is not None and text.model_type in ONE_KV_HEAD:
        key_value = 1 if text.multi_query.value else query
        choices = {key_value, *(choices if text.model_type == "falcon" else ())}
    elif text.model_type in ONE_KV_HEAD:
        choices |= {1, query}
    elif text.multi_query is not None and text.multi_query.value and text.num_key_value_heads is None:
        choices, key_value = {1}, 1
    derived = {hidden // h for h in text.other_head_counts if hidden} if text.head_dim is None else set()
    derived.add(_GLOBAL_SIZE.get(text.model_type or "", size))
    return Heads(
        query=query,
        key_value=key_value,
        size=size,
        hidden=hidden,
        size_stated=text.head_dim is not None,
        query_choices=tuple(sorted({query, *text.other_head_counts})),
        kv_choices=tuple(sorted(choices)),
        size_choices=tuple(
            sorted({size, *text.other_head_dims, *derived, _GLOBAL_SIZE.get(text.model_type or "", size)})
        ),
    )


class Misfit(msgspec.Struct, frozen=True, kw_only=True):
    """One projection that has another size than the configuration makes."""

    field: str
    """`q`, `k`, `v`, `o`, `qkv` or `kv`."""
    tensor: Tensor
    block: AttentionBlock
    observed: int
    """Rows of a projection into heads, columns of the one out of them."""
    expected: int
    side: str
    """`rows` or `columns`."""


def out_in(tensor: Tensor, *, transposed: bool = False) -> tuple[int, int] | None:
    """(features out, features in) of a linear weight; None where the tensor is not a matrix."""
    if len(tensor.shape) != 2:
        return None
    rows, columns = tensor.shape
    return (columns, rows) if transposed else (rows, columns)


def projections(block: AttentionBlock) -> Iterator[tuple[str, Tensor, tuple[int, int]]]:
    """(field, tensor, (out, in)) of the projections a block has, normal matrices only."""
    for field in ("q", "k", "v", "o", "qkv", "kv"):
        tensor: Tensor | None = getattr(block, field)
        if tensor is not None:
            shape = out_in(tensor, transposed=block.transposed)
            if shape is not None:
                yield field, tensor, shape


def head_misfits(blocks: Iterable[AttentionBlock], heads: Heads) -> Iterator[Misfit]:
    """Separate projections whose size no heads of the configuration explain."""
    for block in blocks:
        if block.quantised or block.latent:
            continue
        shapes = {field: shape for field, _, shape in projections(block)}
        gated = "o" in shapes and "q" in shapes and shapes["q"][0] == 2 * shapes["o"][1]
        for field, tensor, (out, into) in projections(block):
            observed, side = (into, "columns") if field == "o" else (out, "rows")
            if field in ("q", "o"):
                factor = 2 if gated and field == "q" else 1
                fits = _explained(observed, heads.query_choices, heads.size_choices, factor)
                expected = heads.query * heads.size * factor
            elif field in ("k", "v"):
                fits = _explained(observed, heads.kv_choices, heads.size_choices, 1)
                expected = heads.key_value * heads.size
            else:
                continue
            if not fits:
                yield Misfit(field=field, tensor=tensor, block=block, observed=observed, expected=expected, side=side)


def fused_misfits(blocks: Iterable[AttentionBlock], heads: Heads) -> Iterator[Misfit]:
    """Fused projections whose rows no heads of the configuration explain."""
    for block in blocks:
        if block.quantised or block.latent:
            continue
        for field, tensor, (out, _) in projections(block):
            if field == "qkv":
                choices = {
                    (h + 2 * kv) * d for h in heads.query_choices for kv in heads.kv_choices for d in heads.size_choices
                }
                expected = (heads.query + 2 * heads.key_value) * heads.size
            elif field == "kv":
                choices = {2 * kv * d for kv in heads.kv_choices for d in heads.size_choices}
                expected = 2 * heads.key_value * heads.size
            else:
                continue
            if out not in choices:
                yield Misfit(field=field, tensor=tensor, block=block, observed=out, expected=expected, side="rows")


def _explained(width: int, counts: Iterable[int], sizes: Iterable[int], factor: int) -> bool:
    return any(width == count * size * factor for count in counts for size in sizes)


def inner_misfits(blocks: Iterable[AttentionBlock]) -> Iterator[Misfit]:
    """Projections beside the language model, in towers, projectors and fusion, that do not fit each other.

    What the queries make comes out again, and the heads of keys and values share them out.
    """
    for block in blocks:
        if block.quantised or block.latent or block.role not in _INNER:
            continue
        shapes = {field: shape for field, _, shape in projections(block)}
        if "o" not in shapes:
            continue
        inner = shapes["o"][1]
        if block.cross:
            yield from _cross_misfits(block, shapes)
            continue
        keys = shapes["k"][0] if "k" in shapes else inner
        for field, tensor, (out, _) in projections(block):
            expected = {"q": inner, "k": inner, "v": keys, "qkv": 3 * inner}.get(field, out)
            shared = (field == "k" and out and inner % out == 0) or (field == "qkv" and _grouped(out, inner))
            if out != expected and not shared:
                yield Misfit(field=field, tensor=tensor, block=block, observed=out, expected=expected, side="rows")


def _cross_misfits(block: AttentionBlock, shapes: Mapping[str, tuple[int, int]]) -> Iterator[Misfit]:
    """Keys that are not as many as the queries, where the values are as many as the output reads.

    Queries and values may be of different sizes here (Perceiver); heads that are shared are shared by both.
    """
    if block.k is None or not {"q", "k", "v"} <= shapes.keys() or not shapes["v"][0]:
        return
    group, rest = divmod(shapes["o"][1], shapes["v"][0])
    expected = shapes["q"][0] // (group or 1)
    if not rest and shapes["k"][0] != expected:
        observed = shapes["k"][0]
        yield Misfit(field="k", tensor=block.k, block=block, observed=observed, expected=expected, side="rows")


_INNER = (Role.VISION, Role.AUDIO, Role.PROJECTOR, Role.FUSION)


def _grouped(rows: int, inner: int) -> bool:
    """Whether a fused projection has fewer key and value heads than query heads, which share them out."""
    pair, odd = divmod(rows - inner, 2)
    return pair > 0 and not odd and inner % pair == 0


def true_head_size(blocks: Iterable[AttentionBlock]) -> int | None:
    """Width of one head as the norms on queries and keys show it; None without them or where they span all heads."""
    sizes = set()
    for block in blocks:
        norms = [n for n in (block.q_norm, block.k_norm) if n is not None and len(n.shape) == 1]
        for norm in norms:
            sizes.add(norm.shape[0])
    if len(sizes) != 1:
        return None
    (size,) = sizes
    widths = [out for block in blocks for field, _, (out, _) in projections(block) if field in ("q", "k")]
    return size if size and widths and all(w % size == 0 for w in widths) and size < max(widths) else None


def corrected(misfits: Iterable[Misfit], heads: Heads) -> Mapping[str, int]:
    """Settings that would make every misfit fit, if one change of one setting does; else empty."""
    observed = {m.field: m.observed for m in misfits}
    block = next(iter(misfits)).block
    widths = {field: (into if field == "o" else out) for field, _, (out, into) in projections(block)}
    q, k = widths.get("q"), widths.get("k")
    if q is None or k is None or not heads.size or not heads.query:
        return {}
    if "q" not in observed and k % heads.size == 0 and heads.query % (k // heads.size or 1) == 0:
        return {"num_key_value_heads": k // heads.size}
    size, rest = divmod(q, heads.query)
    if rest == 0 and size and k == heads.key_value * size:
        return {"head_dim": size}
    if "k" not in observed and q % heads.size == 0:
        return {"num_attention_heads": q // heads.size}
    return {}


def of_stream(blocks: Iterable[AttentionBlock], role: Role) -> tuple[AttentionBlock, ...]:
    """The attention modules of a role's most frequent stack of layers, cross-attention left out."""
    own = [b for b in blocks if b.role is role and b.layer is not None and not b.cross]
    counts = Counter(_stack_of(b) for b in own)
    largest = counts.most_common(1)[0][0] if counts else None
    return tuple(b for b in own if _stack_of(b) == largest)


def main_text_blocks(blocks: Iterable[AttentionBlock], text: TextModel) -> tuple[AttentionBlock, ...]:
    """The text model's own attention modules, those of other stacks beside it left out.

    They are the ones that read `hidden_size` features; if none does, those of the stack with the most layers, so that a
    wrong `hidden_size` shows.
    """
    if text.model_type in OWN_ARITHMETIC:
        return ()
    listed = tuple(b for b in blocks if b.role is Role.TEXT and b.layer is not None)
    others = text.other_stacks
    own = tuple(b for b in listed if set(others).isdisjoint(b.prefix.split(".")))
    own = own or tuple(b for b in listed if outermost(b.prefix) not in others)  # `decoder.bert.encoder` is the decoder
    hidden = text.hidden_size.value if text.hidden_size else None
    fitting = tuple(b for b in own if hidden is not None and hidden in _widths_in(b))
    if fitting or hidden is None:
        return fitting or own
    counts = Counter(_stack_of(b) for b in own if not (text.is_decoder and "encoder" in b.prefix))
    largest = counts.most_common(1)[0][0] if counts else None
    return tuple(b for b in own if _stack_of(b) == largest)


def _stack_of(block: AttentionBlock) -> str:
    return _INDEX.sub("#", block.prefix)


def _widths_in(block: AttentionBlock) -> set[int]:
    if block.quantised:
        return set()
    return {into for field, _, (_, into) in projections(block) if field in ("q", "qkv")} | {
        out for field, _, (out, _) in projections(block) if field == "o"
    }


def other_width(blocks: Iterable[AttentionBlock], text: TextModel) -> int | None:
    """The width that all these modules read, where it is not `hidden_size`."""
    listed = [b for b in blocks if not b.quantised and not b.latent]
    widths = {into for b in listed for field, _, (_, into) in projections(b) if field in ("q", "qkv")}
    stated = text.hidden_size.value if text.hidden_size else None
    return widths.pop() if len(widths) == 1 and stated is not None and stated not in widths else None


def text_widths(blocks: Iterable[AttentionBlock]) -> set[int]:
    """Widths of the residual streams of the text part's attention modules, in features."""
    return {width for b in blocks if b.role is Role.TEXT for width in _widths_in(b)}


_INDEX = re.compile(r"\d+")
