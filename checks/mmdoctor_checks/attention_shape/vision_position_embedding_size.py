from collections.abc import Iterator
from math import isqrt

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.normalise import GENERIC, LIBRARY
from mmdoctor.architectures.towers import edges, main_tower, patch_kernel, position_table, rows_of
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.image_tokens import ImageTokenCounts
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.parts import Parts
from mmdoctor.facts.tokenizer import ImageProcessor
from mmdoctor.finding import Confidence
from mmdoctor.location import Reading

COUNTED = frozenset(
    {"paligemma", "colpali", "gemma3", "shieldgemma2", "internvl", "aya_vision", "cohere2_vision", "llama4", "ovis2"}
)
"""Model types whose processor is judged by its token counts: DRF007, DRF008 and DRF009 say what else has to change."""


@check("ATT005", Severity.ERROR, yields_to=("INT008",))
def vision_position_embedding_size(
    parts: Parts,
    model: MultimodalModel,
    vision: VisionModel,
    processor: ImageProcessor | None,
    counts: ImageTokenCounts | None,
) -> Iterator[Problem]:
    """The vision tower's patch kernel or position table is of another size than the configured image makes.

    ## What it checks

    First the patch kernel: its edges are `patch_size`. Then the position table: its rows are
    `(image_size // patch_size)^2`, and one more for a class token (CLIP, ViT, InternViT, Llama 3.2 Vision), two for
    DeiT, none for SigLIP; where a family takes any tower, up to two more rows pass. Where the configuration states the
    number of positions (Qwen3-VL, SigLIP2), the table has that many. Last, for towers that take one size of image only,
    the processor sends that size. Towers with rotary positions have no table.

    ## Why it matters

    A table of another size stops the load, or the tower stops at the first image:
    `Input image size (352*352) doesn't match model (224*224)`.

    ## How to fix it

    Take the configuration that belongs to the weights, or interpolate the table to the new size once and save it.

    ## Sources

    - https://github.com/comfyanonymous/ComfyUI/issues/5402
    - https://github.com/openai/CLIP/issues/189
    - https://github.com/pytorch/torchchat/issues/1229
    """
    tower = main_tower(parts, vision.hidden_size.value if vision.hidden_size else None)
    if tower is None or model.family in (GENERIC, LIBRARY):
        return
    kernel, table = patch_kernel(tower), position_table(tower)
    if kernel is not None and vision.patch_size is not None and vision.patch_shape is not None:
        real = edges(kernel)
        if real is not None and real != vision.patch_shape and real[0] > 1:
            yield _kernel_problem(kernel, real, vision.patch_size)
            return
    if table is not None:
        problem = _table_problem(table, vision)
        if problem is not None:
            yield problem
            return
    if counts is not None and model.config.model_type in COUNTED:
        return
    if processor is not None and table is not None and not vision.interpolates:
        yield from _processor_problem(processor, vision)


def _kernel_problem(kernel: Tensor, real: tuple[int, int], configured: Reading[int]) -> Problem:
    return Problem(
        f"the patch kernel covers {real[0]}x{real[1]} pixels, the configured patch_size is {configured.value}: "
        "the tower will not load",
        because=[
            Evidence("patch_size (pixels)", configured.value, configured.at, expected=real[0]),
            Evidence("patch kernel", str(list(kernel.shape)), kernel.at),
        ],
        fix=Fix(f"set patch_size to {real[0]}, in the processor's settings too"),
    )


def _table_problem(table: Tensor, vision: VisionModel) -> Problem | None:
    rows = rows_of(table)
    if vision.num_positions is not None:
        expected, at = vision.num_positions.value, vision.num_positions.at
        if rows == expected or "num_positions" in vision.by_default:
            return None
        message = f"the position table has {rows} rows, the configuration states {expected} positions"
    elif vision.image_size is not None and vision.image_shape is not None and vision.patch_shape is not None:
        (height, width), (patch_height, patch_width) = vision.image_shape, vision.patch_shape
        grid = (height // patch_height) * (width // patch_width)
        extra = vision.extra_positions
        if rows - grid == extra or (extra is None and 0 <= rows - grid <= 2):
            return None
        expected, at = grid + (extra or 0), vision.image_size.at
        message = (
            f"the position table has {rows} rows, {height}x{width} pixels in patches of {patch_height} make {grid}"
            + (f" and {extra} for special tokens" if extra else "")
        )
        side = isqrt(max(rows - (extra or 0), 0))
        if side * side == rows - (extra or 0) and side:
            message += f" (the table is for {side * patch_height} pixels)"
    else:
        return None
    return Problem(
        f"{message}: the tower will not load",
        because=[
            Evidence("positions for the configured image", expected, at),
            Evidence("rows of the position table", rows, table.at, expected=expected),
        ],
        fix=Fix("take the configuration that belongs to these weights, or interpolate the table and save it"),
        confidence=Confidence.CERTAIN if vision.extra_positions is not None else Confidence.LIKELY,
    )


def _processor_problem(processor: ImageProcessor, vision: VisionModel) -> Iterator[Problem]:
    cropped = processor.settings.get("do_center_crop") is not False and processor.crop_size
    sent = processor.crop_size if cropped else processor.size
    if vision.image_shape is None or vision.image_size is None or set(sent) != {"height", "width"}:
        return
    if processor.settings.get("do_resize") is False and not cropped:
        return
    pixels = (sent["height"], sent["width"])
    if pixels != vision.image_shape:
        height, width = vision.image_shape
        yield Problem(
            f"the processor sends {pixels[0]}x{pixels[1]} pixels, the vision tower takes {height}x{width} only: "
            "the first image stops the model",
            because=[
                Evidence(
                    "crop_size (pixels)" if cropped else "size (pixels)",
                    f"{pixels[0]}x{pixels[1]}",
                    processor.settings.at("crop_size" if cropped else "size"),
                    expected=f"{height}x{width}",
                ),
                Evidence("image_size (pixels)", vision.image_size.value, vision.image_size.at),
            ],
            fix=Fix(f"let the processor send {height}x{width} pixels"),
        )
