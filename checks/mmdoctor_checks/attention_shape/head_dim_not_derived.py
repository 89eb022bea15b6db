from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.geometry import (
    Heads,
    Misfit,
    corrected,
    head_misfits,
    heads_of,
    inner_misfits,
    main_text_blocks,
    other_width,
)
from mmdoctor.architectures.grouping import group_names, index_set
from mmdoctor.architectures.siblings import Odd, odd_ones
from mmdoctor.facts.model import MultimodalModel, TextModel
from mmdoctor.facts.parts import AttentionBlock, AttentionBlocks
from mmdoctor.finding import Confidence, Edit
from mmdoctor.location import Location, Reading


@check("ATT001", Severity.ERROR, yields_to=("INT008",))
def head_dim_not_derived(
    blocks: AttentionBlocks, text: TextModel | None, model: MultimodalModel | None
) -> Iterator[Problem]:
    """The attention projections have other sizes than the heads of the configuration make.

    ## What it checks

    Every layer of the language model: the rows of the query projection are `num_attention_heads x head_dim`, those of
    the key and value projections `num_key_value_heads x head_dim`, and the output projection has as many columns as the
    queries have rows (half as many in gated attention). `head_dim` is a parameter of its own: only where it is absent
    or null it is `hidden_size // num_attention_heads`. A hidden size that is no multiple of the heads is fine. Layers
    with latent attention, packed weights and layers without keys of their own are left out. Without a configuration, a
    layer is compared with its siblings.

    ## Why it matters

    Loading stops with a size mismatch, or a converter reshapes the heads wrongly and the model answers nonsense. Tools
    that compute `hidden_size // num_attention_heads` do so for models such as Gemma 3 270M (640 / 4, head_dim 256),
    Qwen3-4B (2560 / 32, head_dim 128) or Mistral Nemo.

    ## How to fix it

    Put the value that the weights prove into config.json, or convert again with a tool that keeps `head_dim`.

    ## Sources

    - https://github.com/EleutherAI/gpt-neox/issues/1434
    - https://github.com/vllm-project/speculators/issues/134
    - https://github.com/huggingface/transformers/issues/37187
    """
    misfits: list[Misfit] = []
    heads = heads_of(text) if text is not None else None
    if heads is not None and text is not None:
        own = main_text_blocks(blocks.blocks, text)
        misfits = list(head_misfits(own, heads))
        if misfits:
            yield _contradiction(misfits, heads, text)
        elif (width := other_width(own, text)) is not None and (model is None or model.known):
            yield _other_width(own[0], width, text)
    inner = list(inner_misfits(blocks.blocks))
    if inner:
        yield _unlike(inner)
    told = {id(m.block) for m in (*misfits, *inner)}
    for odd in odd_ones(blocks.blocks):
        if id(odd.block) not in told:
            yield _outlier(odd)


def _other_width(block: AttentionBlock, width: int, text: TextModel) -> Problem:
    assert text.hidden_size is not None  # other_width compares with it
    return Problem(
        f"the language model's attention reads {width} features, config.json says hidden_size "
        f"{text.hidden_size.value}: the weights will not load",
        because=[
            Evidence("hidden_size", text.hidden_size.value, text.hidden_size.at, expected=width),
            Evidence("features read", width, block.at),
        ],
        fix=_fix({"hidden_size": width}, text),
    )


def _unlike(misfits: list[Misfit]) -> Problem:
    first = misfits[0]
    name = group_names(m.tensor.name for m in misfits)[0]
    queries = first.expected // 3 if first.field == "qkv" else first.expected
    return Problem(
        f"{name} {list(first.tensor.shape)} makes {first.observed} features for the heads, the layer's output "
        f"projection takes {queries} of the queries: the {first.block.role} will not run",
        because=[
            Evidence("rows", first.observed, Location(file=first.tensor.file, tensor=name), first.expected),
            Evidence("output projection", str(list(first.block.o.shape)) if first.block.o else None, first.block.at),
        ],
        fix=Fix("take the layers from an undamaged checkpoint"),
    )


def _contradiction(misfits: list[Misfit], heads: Heads, text: TextModel) -> Problem:
    first = misfits[0]
    fix = corrected([m for m in misfits if m.block is first.block], heads)
    because = []
    for field in dict.fromkeys(m.field for m in misfits):
        same = [m for m in misfits if m.field == field]
        names = group_names(m.tensor.name for m in same)
        because.append(
            Evidence(
                f"{same[0].tensor.name.removesuffix('.weight').rpartition('.')[2]} {same[0].side}",
                f"{list(same[0].tensor.shape)}",
                Location(file=same[0].tensor.file, tensor=names[0]),
                expected=f"{same[0].expected} {same[0].side}",
            )
        )
    for label, setting in _settings(text):
        because.append(Evidence(label, setting.value, setting.at, expected=fix.get(label)))
    leaf = first.tensor.name.removesuffix(".weight").rpartition(".")[2]
    layers = index_set(m.block.layer for m in misfits if m.block.layer is not None) or "?"
    count = heads.query if first.field in ("q", "o") else heads.key_value
    kind = "heads" if first.field in ("q", "o") else "key/value heads"
    origin = "config says head_dim" if heads.size_stated else f"head_dim is {heads.hidden} // {heads.query} ="
    return Problem(
        f"{leaf} {list(first.tensor.shape)} has {first.observed} {first.side}, "
        f"but {origin} {heads.size} and {count} {kind} make {first.expected}: "
        f"layers {layers} will not load ({_reading_of(first, heads)})",
        because=because,
        fix=_fix(fix, text),
    )


def _reading_of(misfit: Misfit, heads: Heads) -> str:
    """What the weights would mean, in arithmetic."""
    count = heads.query if misfit.field in ("q", "o") else heads.key_value
    size, rest = divmod(misfit.observed, count)
    if rest == 0 and size:
        return f"{count} heads x {size} = {misfit.observed}"
    count, rest = divmod(misfit.observed, heads.size or 1)
    return (
        f"{count} heads x {heads.size} = {misfit.observed}" if rest == 0 else f"no head count divides {misfit.observed}"
    )


def _settings(text: TextModel) -> Iterator[tuple[str, Reading[int]]]:
    for name in ("head_dim", "num_attention_heads", "num_key_value_heads", "hidden_size"):
        value: Reading[int] | None = getattr(text, name)
        if value is not None:
            yield name, value


def _fix(change: dict[str, int] | object, text: TextModel) -> Fix:
    edits = []
    if isinstance(change, dict):
        for name, value in change.items():
            stated: Reading[int] | None = getattr(text, name)
            place = stated.at if stated is not None and name not in text.by_default else None
            file = place.file if place is not None else "config.json"
            pointer = place.pointer if place is not None and place.pointer else f"{text.section}/{name}"
            edits.append(Edit(file=file, pointer=pointer, value=value))
        if edits:
            settings = " and ".join(f"{name} to {value}" for name, value in change.items())
            return Fix(f"set {settings} in config.json: the weights prove it", tuple(edits))
    return Fix("take the config.json that belongs to these weights, or convert them again")


def _outlier(odd: Odd) -> Problem:
    name = f"{odd.block.prefix}*"
    return Problem(
        f"layer {odd.block.layer} differs from all its siblings in {odd.what}: {odd.observed[0]} and {odd.observed[1]} "
        f"features, where the others have {odd.usual[0]} and {odd.usual[1]}: the layer will not load or not run",
        because=[
            Evidence(f"{odd.what} (features)", f"{odd.observed[0]}, {odd.observed[1]}", odd.block.at),
            Evidence("the same in a sibling", f"{odd.usual[0]}, {odd.usual[1]}", odd.sibling.at),
        ],
        fix=Fix(f"replace {name} by the layer of an undamaged checkpoint"),
        confidence=Confidence.LIKELY,
    )
