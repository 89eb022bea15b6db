from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.geometry import Heads, fused_misfits, heads_of, main_text_blocks
from mmdoctor.architectures.grouping import group_names, index_set
from mmdoctor.facts.model import TextModel
from mmdoctor.facts.parts import AttentionBlocks
from mmdoctor.finding import Edit
from mmdoctor.location import Location


@check("ATT003", Severity.ERROR, yields_to=("INT008", "ATT001"))
def gqa_fused_qkv_shape(blocks: AttentionBlocks, text: TextModel) -> Iterator[Problem]:
    """A fused query-key-value projection has another number of rows than the heads of the configuration make.

    ## What it checks

    `qkv_proj`, `wqkv`, `c_attn`, `query_key_value` and their like have
    `(num_attention_heads + 2 x num_key_value_heads) x head_dim` rows; one without grouped heads has three times the
    query rows, multi-query attention one key and one value head. An absent `num_key_value_heads` means as many as there
    are query heads. InternLM2 interleaves the heads group by group: the total is the same. Biases and packed weights
    are left out, and so are the vision tower's (ATT004).

    ## Why it matters

    A loader that expects three equal parts stops with `shape '[...]' is invalid for input of size ...`, or takes keys
    for queries and answers nonsense.

    ## How to fix it

    State the `num_key_value_heads` that the weights have, or convert again with a tool that knows grouped queries.

    ## Sources

    - https://github.com/meta-llama/llama/issues/427
    - https://github.com/alibaba/Megatron-LLaMA/issues/21
    """
    heads = heads_of(text)
    misfits = list(fused_misfits(main_text_blocks(blocks.blocks, text), heads)) if heads else []
    if not misfits or heads is None:
        return
    first = misfits[0]
    leaf = first.tensor.name.removesuffix(".weight").rpartition(".")[2]
    names = group_names(m.tensor.name for m in misfits)
    meant = _kv_heads(first.observed, first.field, heads)
    place = text.num_key_value_heads or text.num_attention_heads
    assert place is not None  # heads_of needs them
    pointer = f"{text.section}/num_key_value_heads"
    sum_of = f"({heads.query} + 2 x {heads.key_value})" if first.field == "qkv" else f"2 x {heads.key_value}"
    yield Problem(
        f"{leaf} {list(first.tensor.shape)} has {first.observed} rows, "
        f"but the configuration's {sum_of} heads x {heads.size} make {first.expected}: "
        f"layers {index_set(m.block.layer for m in misfits if m.block.layer is not None)} will not load"
        + (f"; with {meant} key/value heads they would" if meant else ""),
        because=[
            Evidence("fused rows", first.observed, Location(file=first.tensor.file, tensor=names[0]), first.expected),
            Evidence(
                "num_key_value_heads" if text.num_key_value_heads else "num_attention_heads", place.value, place.at
            ),
        ],
        fix=Fix(
            f"set num_key_value_heads to {meant}: the weights prove it",
            (Edit(file=place.at.file, pointer=pointer, value=meant),),
        )
        if meant
        else Fix("take the config.json that belongs to these weights, or convert them again"),
    )


def _kv_heads(rows: int, field: str, heads: Heads) -> int | None:
    """The number of key/value heads that would give these rows, if one does and shares out the query heads."""
    count, rest = divmod(rows, heads.size or 1)
    pairs = count - heads.query if field == "qkv" else count
    if rest or pairs < 2 or pairs % 2:
        return None
    return pairs // 2 if heads.query % (pairs // 2) == 0 else None
