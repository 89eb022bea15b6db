"""DRF009."""

from collections.abc import Iterator, Mapping
from math import isqrt

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts, TokenCount, Used
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor_checks.drift.tile_settings import consequence, tile_problem

FAMILIES = ("internvl", "ovis2", "aya_vision", "cohere2_vision", "llama4")
ORIGINAL = "internvl_chat"
"""The repositories with code of their own."""


@check("DRF009", Severity.ERROR, yields_to=("ATT005", "ATT007", "DRF003"))
def internvl_tile_count(
    model: MultimodalModel, vision: VisionModel, counts: ImageTokenCounts | None
) -> Iterator[Problem]:
    """A tile of InternVL or its kin costs another number of tokens than the model makes of it.

    ## What it checks

    `image_seq_length` of the processor against `(image_size / patch_size x downsample_ratio)²` of config.json (448, 14
    and 0.5 make 256), and the tile's edge against the tower's `image_size`. The same for Ovis 2, and for Aya Vision,
    Cohere 2 Vision and Llama 4, whose processors compute the number from settings of their own (`img_size`,
    `patch_size`, `downsample_factor`, `pixel_shuffle_ratio`). Of the original repositories (`internvl_chat`), whose
    code computes everything from config.json, that the patches can be stacked at all; their preprocessor_config.json is
    one of CLIP that says nothing about tiles and is left alone.

    ## Why it matters

    `Image features and image tokens do not match: tokens: 2048, features: 4096` for every image.

    ## How to fix it

    Set the processor's value to what follows from config.json. To spend fewer tokens, allow fewer tiles
    (`--mm-processor-kwargs '{"max_dynamic_patch": 4}'`, or `max_patches` of the processor) instead of editing these.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/6514
    - https://github.com/vllm-project/vllm/issues/9989
    - https://github.com/vllm-project/vllm/issues/10518
    - https://github.com/vllm-project/vllm/issues/21899
    - https://github.com/huggingface/trl/issues/4061
    - https://github.com/OpenGVLab/InternVL/issues/550
    """
    if model.config.model_type == ORIGINAL:
        yield from _original(model, vision)
    elif (
        model.config.model_type in FAMILIES
        and counts is not None
        and counts.wrong is not None
        and counts.agreeing_copy is None
    ):
        problem = tile_problem(counts, vision) or _computed(counts, counts.wrong, vision)
        if problem is not None:
            yield problem


def _original(model: MultimodalModel, vision: VisionModel) -> Iterator[Problem]:
    """modeling_internvl_chat.py of the published repositories: pixel_shuffle views a square of patches."""
    document = model.config.document
    forced, stated = document.read("/force_image_size", int), document.read("/downsample_ratio", int, float)
    size = forced if forced is not None and forced.value else vision.image_size
    patch = vision.patch_size
    if size is None or patch is None or patch.value <= 0 or stated is None or not 0 < float(stated.value) <= 1:
        return
    side, ratio = size.value // patch.value, float(stated.value)
    if side > 0 and (side * ratio).is_integer() and (side * side * ratio * ratio).is_integer():
        return
    yield Problem(
        f"{side} x {side} patches of a tile of {size.value} px cannot be stacked by {1 / ratio:g}: every request with "
        "an image fails",
        because=[
            Evidence("image size (pixels)", size.value, size.at),
            Evidence("patch size (pixels)", patch.value, patch.at),
            Evidence("downsample_ratio", ratio, stated.at),
        ],
        fix=Fix("restore the three values that the model was trained with; the published ones are 448, 14 and 0.5"),
    )


def _computed(counts: ImageTokenCounts, count: TokenCount, vision: VisionModel) -> Problem | None:
    """For processors that compute the number: which of the values that it follows from are not the model's."""
    if counts.own is None or counts.own.count is None or vision.image_size is None:
        return None
    settings = {u.what: u for u in count.placeholders.used}
    known = {u.what.rpartition(".")[2]: u.value for u in counts.own.used}
    changes = [
        (settings[key], right)
        for key, right in _right(counts, known, settings, counts.own.count, vision.image_size.value).items()
        if key in settings and settings[key].value != right
    ]
    if not changes:
        return None
    edits: list[Edit] = []
    for used, right in changes:
        edits += used.set_to(right)
    words = ", ".join(f"{used.what} to {right}" for used, right in changes)
    return Problem(
        f"{consequence(count)}; it makes {counts.own.count} of a tile of {vision.image_size.value} px",
        because=[
            *(Evidence(used.what, used.value, used.at, expected=right) for used, right in changes),
            *(Evidence(used.what, used.value, used.at) for used in counts.own.used if used.value is not None),
        ],
        fix=Fix(f"set {words}, as it follows from config.json", tuple(edits)),
    )


def _right(
    counts: ImageTokenCounts, known: Mapping[str, object], settings: Mapping[str, Used], features: int, edge: int
) -> dict[str, int | float]:
    """What the processor's values have to be (processing_*.py of these families in transformers 5.23)."""
    patch, factor = known.get("patch_size"), known.get("downsample_factor")
    if counts.processor_class == "AyaVisionProcessor" and isinstance(patch, int) and isinstance(factor, int):
        own = settings["downsample_factor"].value if "downsample_factor" in settings else 1
        if isinstance(own, int) and own > 0 and patch * factor % own == 0:
            return {"img_size": edge, "patch_size": patch * factor // own}
        return {"img_size": edge, "patch_size": patch * factor, "downsample_factor": 1}
    if counts.processor_class == "Cohere2VisionProcessor" and isqrt(features) ** 2 == features:
        return {"patch_size": isqrt(features)}
    ratio = known.get("pixel_shuffle_ratio")
    if counts.processor_class == "Llama4Processor" and isinstance(patch, int) and isinstance(ratio, (int, float)):
        return {"patch_size": patch, "pixel_shuffle_ratio": ratio}
    return {}
