"""DRF008."""

from collections.abc import Iterator
from math import isqrt

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Reading
from mmdoctor_checks.drift.tile_settings import Tile, consequence, tile_of, tile_problem

FAMILIES = {
    "gemma3": "mm_tokens_per_image",
    "shieldgemma2": "mm_tokens_per_image",
    "gemma3n": "vision_soft_tokens_per_image",
}
"""Model types and the key of config.json that states the tokens of an image."""
PUBLISHED = 256
"""Tokens of an image in every published Gemma 3, and the default of both classes (configuration_gemma3.py and
processing_gemma3.py in transformers 5.23; gemma3n alike)."""


@check("DRF008", Severity.ERROR, yields_to=("ATT005",))
def gemma3_image_seq_and_pan_and_scan(
    model: MultimodalModel, vision: VisionModel, images: ImageProcessor, counts: ImageTokenCounts | None
) -> Iterator[Problem]:
    """Gemma 3's processor and model disagree about the tokens of an image.

    ## What it checks

    The processor's `image_seq_length` against the vectors that the model pools an image to: `mm_tokens_per_image`,
    a square whose edge divides the tower's patches (896 / 14 = 64 patches an edge, pooled 4 by 4, are 16 x 16 = 256);
    of Gemma 3n `vision_soft_tokens_per_image`. The image processor's `size` has to be the tower's. `do_pan_and_scan:
    true` is a note: it cuts wide images into crops of as many tokens again, and transformers' processor turns it off
    unless a request asks for it. That the chat template writes `<start_of_image>` and no soft token is right: the
    processor replaces it.

    ## Why it matters

    `Image features and image tokens do not match: tokens: 64, features: 256` for every image; with pan and scan on one
    side only, 768 against 1024 for wide images. A pooling that does not divide the patches leaves out the last rows.

    ## How to fix it

    Let both files say the same; every published Gemma 3 has 256.

    ## Sources

    - https://github.com/modelscope/ms-swift/issues/3972
    - https://github.com/huggingface/transformers/issues/36701
    - https://github.com/huggingface/transformers/issues/36710
    - https://github.com/huggingface/transformers/issues/36864
    - https://github.com/unslothai/unsloth/issues/2297
    """
    key = FAMILIES.get(model.config.model_type or "")
    if key is None:
        return
    stated = model.config.document.read(f"/{key}", int)
    wrong = counts.wrong if counts is not None else None
    if counts is not None and wrong is not None:
        problem = tile_problem(counts, vision)
        tile = tile_of(counts, wrong, vision)
        if problem is not None and tile is not None and stated is not None and _config_is_odd(stated, tile):
            problem = _blame_the_config(consequence(wrong), key, stated, tile, problem)
        if problem is not None:
            yield problem
    elif stated is not None and key == "mm_tokens_per_image":
        yield from _pooling(stated, vision)
    yield from _pan_and_scan(images)


def _config_is_odd(stated: Reading[int], tile: Tile) -> bool:
    """Whether the processor has what every published model has, and only config.json differs."""
    return (
        tile.tokens is not None
        and tile.tokens.value == PUBLISHED != stated.value
        and tile.made == tile.taken
        and all(u.default_of is None for u in tile.used if u.what.endswith("image_size"))
    )


def _blame_the_config(said: str, key: str, stated: Reading[int], tile: Tile, problem: Problem) -> Problem:
    rest = [e for e in problem.because if e.at != stated.at and e.expected is None]
    tokens = [Evidence(tile.tokens.what, tile.tokens.value, tile.tokens.at)] if tile.tokens is not None else []
    return Problem(
        f"{said}; {key} is {stated.value}, the processor and every published model of this type have {PUBLISHED}",
        because=[Evidence(key, stated.value, stated.at, expected=PUBLISHED), *tokens, *rest],
        fix=Fix(
            f"set {key} to {PUBLISHED}; or, if the model was trained with {stated.value}, {problem.fix.text}"
            if problem.fix is not None
            else f"set {key} to {PUBLISHED}",
            (Edit(file=stated.at.file, pointer=stated.at.pointer or "", value=PUBLISHED),),
        ),
        severity=problem.severity,
        confidence=Confidence.LIKELY,
    )


def _pooling(stated: Reading[int], vision: VisionModel) -> Iterator[Problem]:
    """Where the counts agree: patches that the pooling leaves out, and a number that is not what it makes.

    modeling_gemma3.py, Gemma3MultiModalProjector: average pooling with a kernel of patches // sqrt(tokens).
    """
    if vision.image_size is None or vision.patch_size is None or vision.patch_size.value <= 0 or stated.value <= 0:
        return
    side = vision.image_size.value // vision.patch_size.value
    kernel = side // isqrt(stated.value)
    if kernel <= 0:
        return
    made, left_out = (side // kernel) ** 2, side % kernel
    evidence = [
        Evidence("mm_tokens_per_image", stated.value, stated.at, expected=None if made == stated.value else made),
        Evidence("image size (pixels)", vision.image_size.value, vision.image_size.at),
        Evidence("patch size (pixels)", vision.patch_size.value, vision.patch_size.at),
    ]
    if left_out:
        yield Problem(
            f"{side} x {side} patches are pooled {kernel} by {kernel}: the last {left_out} of each row and column are "
            "left out, so the model does not see the right and lower edge of any image",
            because=evidence,
            fix=Fix(f"use a mm_tokens_per_image whose root divides {side}, such as the published {PUBLISHED}"),
            severity=Severity.WARNING,
        )
    elif made != stated.value:
        yield Problem(
            f"mm_tokens_per_image is {stated.value}, and the model makes {made} of {side} x {side} patches: it works, "
            "since the processor says so too",
            because=evidence,
            fix=Fix(f"set mm_tokens_per_image to {made}", (_edit(stated, made),)),
            severity=Severity.NOTE,
        )


def _edit(reading: Reading[int], value: int) -> Edit:
    return Edit(file=reading.at.file, pointer=reading.at.pointer or "", value=value)


def _pan_and_scan(images: ImageProcessor) -> Iterator[Problem]:
    crops = images.settings.read("do_pan_and_scan", bool)
    if crops is None or not crops.value:
        return
    most = images.settings.read("pan_and_scan_max_num_crops", int)
    count = f"up to {most.value} crops" if most is not None else "crops"
    yield Problem(
        f"pan and scan is on in the image processor: wide images become {count} beside the whole one, of as many "
        "tokens each, where it is called by itself; transformers' processor turns it off unless a request asks for it, "
        "so training and serving may count differently",
        because=[Evidence("do_pan_and_scan", crops.value, crops.at)],
        fix=Fix("use the same setting in training and in serving"),
        severity=Severity.NOTE,
    )
