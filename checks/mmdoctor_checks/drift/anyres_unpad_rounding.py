"""DRF004."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import AnyresGrids, ImageTokenCounts, TokenCount, Used
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity, any_json
from mmdoctor_checks.drift.tile_settings import named

KEY, LIMIT = "image_grid_pinpoints", "vision_aspect_ratio"
ROUNDED = "4.48"
"""Since then processor and model round alike (transformers pull 34779 and 35779)."""


@check("DRF004", Severity.ERROR, yields_to=("DRF002", "DRF003"))
def anyres_unpad_rounding(
    model: MultimodalModel, grids: AnyresGrids, counts: ImageTokenCounts | None, libraries: Libraries
) -> Iterator[Problem]:
    """Processor and model cut a large image into different tiles, or count what is left of it differently.

    ## What it checks

    `image_grid_pinpoints` stands in the image processor's settings and in config.json, and each side chooses the grid
    for an image from its own list. Lists that choose differently for some image are an error, entries that are never
    chosen are not. Every grid has to be whole tiles of the tower's `image_size`. LLaVA-OneVision has
    `vision_aspect_ratio` on both sides, too. A transformers before 4.48 in the deployment is a warning: there both
    sides round the padding differently, for a few aspect ratios.

    ## Why it matters

    `Image features and image tokens do not match` for some aspect ratios only (1128 against 1080 for an image of 161 x
    184 pixels), or the tiles are put together in the wrong order and nothing fails at all.

    ## How to fix it

    Write the list of config.json into the image processor's settings; upgrade transformers.

    ## Sources

    - https://github.com/huggingface/transformers/issues/34625
    - https://github.com/huggingface/transformers/pull/34779
    - https://github.com/huggingface/transformers/issues/35775
    - https://github.com/huggingface/transformers/pull/35779
    - https://github.com/huggingface/transformers/issues/30473
    - https://github.com/vllm-project/vllm/issues/11704
    """
    two_copies = counts is not None and counts.agreeing_copy is not None  # which are DRF001's
    if grids.uneven and grids.edge is not None:
        yield _uneven(grids, grids.edge)
    elif grids.chosen is not None and not two_copies:
        yield _chosen(grids)
    if grids.limits is not None and grids.limited is not None:
        yield _limited(*grids.limits, grids.limited)
    if libraries.older("transformers", ROUNDED):
        version = libraries.named("transformers")
        yield Problem(
            f"{version} rounds the padding of a cut image differently in processor and model: images of some aspect "
            "ratios fail with a few tokens too many or too few, such as 1128 for 1080",
            because=[
                Evidence("model_type", model.config.model_type, model.config.document.at("/model_type")),
                Evidence("transformers", libraries.version("transformers"), expected=f"{ROUNDED} or newer"),
            ],
            fix=Fix(f"upgrade transformers to {ROUNDED} or newer"),
            severity=Severity.WARNING,
        )


def _uneven(grids: AnyresGrids, edge: Used) -> Problem:
    height, width = grids.uneven[0]
    more = f" and {len(grids.uneven) - 1} more" if len(grids.uneven) > 1 else ""
    return Problem(
        f"the grid of {width}x{height} px{more} is no whole number of tiles of {edge.value} px: images that are cut by "
        "it fail, or part of them is left out",
        because=[
            Evidence(named(grids.model), grids.model.value, grids.model.at),
            Evidence("image size of the tower (pixels)", edge.value, edge.at),
        ],
        fix=Fix(f"list grids of multiples of {edge.value} px, in config.json and in the image processor's settings"),
    )


def _chosen(grids: AnyresGrids) -> Problem:
    mine, theirs = grids.chosen or ((0, 0), (0, 0))
    example = grids.example
    said = f"the processor cuts it by a grid of {mine[1]}x{mine[0]} px, the model expects {theirs[1]}x{theirs[0]} px"
    image = f"a {example.width}x{example.height} image" if example is not None else "some images"
    return Problem(
        f"{image}: {said}; {_outcome(example)}",
        because=[
            Evidence(named(grids.processor), grids.processor.value, grids.processor.at, expected=grids.model.value),
            Evidence(named(grids.model), grids.model.value, grids.model.at),
        ],
        fix=Fix(
            f"write config.json's {KEY} into the image processor's settings",
            grids.processor.set_to(any_json(grids.right)),
        ),
    )


def _outcome(count: TokenCount | None) -> str:
    if count is None:
        return "the counts differ, or the tiles are put together wrongly"
    placeholders, features = count.placeholders.count, count.features.count
    if placeholders == features:
        return f"both make {features} tokens, and the tiles are put together in the wrong order without any error"
    if features is None:
        return f"it fails: {count.features.arithmetic}"
    return f"{placeholders} placeholders and {features} features, so it fails"


def _limited(ours: Used, theirs: Used, count: TokenCount) -> Problem:
    edits: tuple[Edit, ...] = ours.set_to(theirs.value)
    return Problem(
        f"a {count.width}x{count.height} image becomes {count.placeholders.count} placeholders, the model makes "
        f"{count.features.count} features: the processor shrinks by {ours.value}, the model by {theirs.value}, so "
        "large images fail",
        because=[
            Evidence(named(ours), ours.value, ours.at, expected=theirs.value),
            Evidence(named(theirs), theirs.value, theirs.at),
        ],
        fix=Fix(f"set {LIMIT} to {theirs.value} in the processor's settings", edits),
    )
