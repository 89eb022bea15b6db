from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.geometry import projections
from mmdoctor.architectures.towers import main_tower, mlp_width, published_tower, tower_blocks, tower_width
from mmdoctor.facts.model import VisionModel
from mmdoctor.facts.parts import AttentionBlocks, Parts
from mmdoctor.finding import Confidence, Edit


@check("ATT004", Severity.ERROR, yields_to=("INT008", "ATT001"))
def vision_head_count_wrong(parts: Parts, blocks: AttentionBlocks, vision: VisionModel) -> Iterator[Problem]:
    """The vision tower's width or heads in the configuration are not those of its weights.

    ## What it checks

    `hidden_size` of the vision configuration is the width of the tower's attention weights; it is a multiple of
    `num_attention_heads`, unless a head size of its own is stated; and for a tower whose width, feed-forward width and
    layers are those of a published one (CLIP, SigLIP so400m, InternViT ...) the heads are that tower's. Settings that
    the file leaves out count with the value that the library's class has for them. The Qwen spellings `embed_dim`,
    `num_heads` and `depth` are understood, and 25 heads of 128 features (InternViT-6B) are legal.

    ## Why it matters

    A vision configuration that was saved in part falls back to the defaults of its class. A wrong width stops the load.
    A wrong number of heads does not show in any shape: the model loads and sees nonsense.

    ## How to fix it

    Write the full `vision_config`, from the tower's own config.json.

    ## Sources

    - https://github.com/huggingface/transformers/issues/48402
    - https://github.com/huggingface/transformers/issues/39089
    """
    heads, width = vision.num_attention_heads, vision.hidden_size
    tower = main_tower(parts, width.value if width else None)
    if tower is None:
        return
    real = tower_width(tower, blocks.blocks)
    first = next((b for b in tower_blocks(tower, blocks.blocks)), None)
    if real is None or first is None:
        return
    if width is not None and width.value != real:
        source = (
            "the class default, as the file states none," if "hidden_size" in vision.by_default else "the configured"
        )
        yield Problem(
            f"the vision tower's weights are {real} features wide, {source} hidden_size is {width.value}: "
            "the tower will not load",
            because=[
                Evidence("hidden_size of the vision tower", width.value, width.at, expected=real),
                Evidence("width of the attention weights (features)", real, first.at),
            ],
            fix=Fix("write the tower's full vision_config, from its own config.json"),
        )
        return
    if heads is None:
        return
    if vision.head_dim is not None:
        rows = next((out for field, _, (out, _) in projections(first) if field == "q"), None)
        if rows is not None and rows != heads.value * vision.head_dim.value:
            yield Problem(
                f"the vision tower's queries have {rows} features, {heads.value} heads of head_dim "
                f"{vision.head_dim.value} make {heads.value * vision.head_dim.value}: the tower will not load",
                because=[
                    Evidence("num_attention_heads of the vision tower", heads.value, heads.at),
                    Evidence("head_dim of the vision tower", vision.head_dim.value, vision.head_dim.at),
                    Evidence("features of the queries", rows, first.at),
                ],
                fix=Fix("state the tower's own heads and head_dim"),
            )
        return
    if real % heads.value:
        yield Problem(
            f"the vision tower's {real} features cannot be shared out to {heads.value} attention heads: "
            "the model will not load",
            because=[
                Evidence("num_attention_heads of the vision tower", heads.value, heads.at),
                Evidence("width of the attention weights (features)", real, first.at),
            ],
            fix=Fix("state the tower's own number of heads"),
        )
        return
    known = published_tower(real, tower.layers or 0, mlp_width(tower) or 0)
    if known is not None and known.heads != heads.value:
        yield Problem(
            f"the vision tower has the sizes of {known.name} ({real} features, {tower.layers} layers), which has "
            f"{known.heads} heads of {real // known.heads}; with {heads.value} heads of {real // heads.value} it loads "
            "and sees nonsense",
            because=[
                Evidence("num_attention_heads of the vision tower", heads.value, heads.at, expected=known.heads),
                Evidence("width of the attention weights (features)", real, first.at),
            ],
            fix=Fix(
                f"set the tower's heads to {known.heads}",
                (Edit(file=heads.at.file, pointer=heads.at.pointer or "", value=known.heads),)
                if "num_attention_heads" not in vision.by_default
                else (),
            ),
            confidence=Confidence.LIKELY,
        )
