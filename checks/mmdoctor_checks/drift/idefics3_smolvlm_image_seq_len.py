"""DRF006."""

from collections.abc import Iterator
from math import ceil

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Settings
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Reading
from mmdoctor_checks.drift.tile_settings import tile_problem

FAMILIES = ("idefics2", "idefics3", "smolvlm")
CANVAS, TILE, EDGE = "size", "max_image_size", "longest_edge"


@check("DRF006", Severity.ERROR, yields_to=("ATT005", "ATT007"))
def idefics3_smolvlm_image_seq_len(
    model: MultimodalModel, vision: VisionModel, images: ImageProcessor, counts: ImageTokenCounts | None
) -> Iterator[Problem]:
    """The tiles of Idefics or SmolVLM are of another size, or of another number of tokens, than the model takes.

    ## What it checks

    `image_seq_len` of the processor against `(image_size / patch_size)² / scale_factor²` of config.json (364, 14 and 2
    make 169, 512, 16 and 4 make 64; Idefics 2: the latents of its perceiver), and `max_image_size.longest_edge`, the
    edge of a tile, against the tower's `image_size`. `size.longest_edge` is the canvas that is cut into tiles: it may
    be any multiple of a tile. One that is no multiple is a warning, since the image is scaled down to it and then up
    again to whole tiles; one smaller than a tile leaves a single blurred tile.

    ## Why it matters

    `Image features and image tokens do not match` for every image (transformers 4 says nothing for Idefics 3 and leaves
    out what is too much), or, with a canvas that was lowered to save tokens, text that cannot be read any more: 336
    instead of 1540 pixels are enlarged to 364.

    ## How to fix it

    Change only `size`, in multiples of the tile; the rest follows from config.json.

    ## Sources

    - https://github.com/huggingface/transformers/pull/32473
    - https://github.com/vllm-project/vllm/issues/48667
    """
    if model.config.model_type not in FAMILIES or model.remote_code:
        return
    if counts is not None and (problem := tile_problem(counts, vision)) is not None:
        yield problem
        return
    canvas, tile = (_edge(images.settings, key) for key in (CANVAS, TILE))
    if model.config.model_type == "idefics2" or tile is None or tile.value <= 0:
        return
    edge = vision.image_size
    if counts is not None and counts.wrong is None and edge is not None and tile.value != edge.value:
        yield Problem(
            f"tiles are {tile.value} px, and the tower was made for {edge.value} px: the counts agree, but it answers "
            "for patches at places that it was not trained on",
            because=[
                Evidence(f"{TILE}.{EDGE} (pixels)", tile.value, tile.at, expected=edge.value),
                Evidence("image size of the tower (pixels)", edge.value, edge.at),
            ],
            fix=Fix(f"set {TILE}.{EDGE} to {edge.value}, and image_seq_len to what belongs to it"),
            severity=Severity.WARNING,
        )
    elif canvas is not None and canvas.value > 0 and canvas.value % tile.value:
        yield from _uneven(images.settings, canvas, tile)


def _edge(settings: Settings, key: str) -> Reading[int] | None:
    return settings.document.read(f"{settings.pointer}/{key}/{EDGE}", int)


def _uneven(settings: Settings, canvas: Reading[int], tile: Reading[int]) -> Iterator[Problem]:
    """image_processing_idefics3.py: resize to the canvas, then resize_for_vision_encoder to whole tiles."""
    if settings.get("do_image_splitting") is False or settings.get("do_resize") is False:
        return  # the image goes straight to one tile, or is not scaled at all
    tiles = ceil(canvas.value / tile.value)
    below, above = max(1, tiles - 1) * tile.value, tiles * tile.value
    if canvas.value < tile.value:
        said = f"and enlarged to one tile of {tile.value} px again: it is never cut, and small print becomes unreadable"
    else:
        said = f"and enlarged to {above} px again, {tiles} tiles: it costs as much as {above} px and shows less"
    yield Problem(
        f"every image is scaled to {canvas.value} px along its longer edge {said}",
        because=[
            Evidence(f"{CANVAS}.{EDGE} (pixels)", canvas.value, canvas.at, expected=above),
            Evidence(f"{TILE}.{EDGE} (pixels)", tile.value, tile.at),
        ],
        fix=Fix(f"set {CANVAS}.{EDGE} to a multiple of {tile.value}: {' or '.join(map(str, sorted({below, above})))}"),
        severity=Severity.WARNING,
    )
