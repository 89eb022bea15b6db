"""How many placeholders transformers' processor classes write into the prompt for one image.

`replace_image_token` of models/*/processing_*.py in transformers 5.23, and the loop in `__call__` before that.
Only the id that the model scatters features to is counted, no delimiters, row markers or line breaks.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens import resizing
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

Counted = tuple[int, str]
"""(count, arithmetic)."""


def _nothing(_: Values) -> dict[str, Any]:
    return {}


class ProcessorClass(msgspec.Struct, frozen=True):
    """A processor class."""

    defaults: Mapping[str, Any]
    count: Callable[[Values, Values, Pixels], Counted]
    """From its own settings, the image processor's, and what that made."""
    imposed: Callable[[Values], Mapping[str, Any]] = _nothing
    """Arguments that it passes to the image processor on every call, whatever stands in that one's file."""


def _needed(values: Values, key: str) -> int:
    if values.get(key) is None:
        raise Refused(f"{key} is null: TypeError in {values.owner}")
    return values.integer(key)


def _grid(values: Values, pixels: Pixels) -> tuple[int, int, int]:
    patch = _needed(values, "patch_size")
    return pixels.height // patch, pixels.width // patch, patch


def _dropped(values: Values) -> int:
    return 1 if values.get("vision_feature_select_strategy") == "default" else 0


def _tail(extra: int, dropped: int) -> str:
    return (f" + {extra}" if extra else "") + (f" - {dropped}" if dropped else "")


def _llava(values: Values, _: Values, pixels: Pixels) -> Counted:
    rows, columns, patch = _grid(values, pixels)
    extra, dropped = values.integer("num_additional_image_tokens", 0), _dropped(values)
    text = f"({pixels.height} // {patch}) x ({pixels.width} // {patch}){_tail(extra, dropped)}"
    return rows * columns + extra - dropped, text


def _anyres(values: Values, images: Values, pixels: Pixels) -> Counted:
    rows, columns, patch = _grid(values, pixels)
    best = resizing.best_resolution(pixels.original, images.resolutions("image_grid_pinpoints"))
    left = resizing.unpadded(pixels.original, rows * (best[0] // pixels.height), columns * (best[1] // pixels.width))
    extra, dropped = values.integer("num_additional_image_tokens", 0), _dropped(values)
    base = f"{rows} x {columns}{_tail(extra, dropped)} for the whole image"
    text = f"{base}, {left[0]} x ({left[1]} + 1) for the tiles, patches of {patch}"
    return rows * columns + extra - dropped + left[0] * left[1] + left[0], text


def _onevision(values: Values, images: Values, pixels: Pixels) -> Counted:
    whole = _needed(values, "num_image_tokens")
    edge = math.isqrt(whole)
    best = resizing.best_resolution(pixels.original, images.resolutions("image_grid_pinpoints"))
    left = resizing.unpadded(pixels.original, edge * (best[0] // pixels.height), edge * (best[1] // pixels.width))
    left = onevision_limit(left, edge, values.text("vision_aspect_ratio"))
    dropped = _dropped(values)
    text = f"{whole}{_tail(0, dropped)} for the whole image, {left[0]} x ({left[1]} + 1) for the tiles"
    return whole - dropped + left[0] * left[1] + left[0], text


def onevision_limit(size: tuple[int, int], edge: int, aspect_ratio: str) -> tuple[int, int]:
    """(rows, columns) after shrinking to the most tiles that `anyres_max_9` allows (LLaVA-OneVision, both sides)."""
    most = aspect_ratio.removeprefix("anyres_max_")
    if not most.isdecimal() or not 1 <= int(most) <= 10_000:
        raise UnknownValue(f"vision_aspect_ratio is {aspect_ratio!r}")
    ratio = math.sqrt(size[0] * size[1] / (int(most) * edge**2))
    return (int(size[0] // ratio), int(size[1] // ratio)) if ratio > 1.1 else size


def _merged(values: Values, images: Values, pixels: Pixels) -> Counted:
    if pixels.grid is None:
        raise Refused(f"{images.owner} makes no image_grid_thw: KeyError in {values.owner}")
    rows, columns = pixels.grid
    merge = images.integer("merge_size")
    return rows * columns // merge**2, f"{columns} x {rows} patches / {merge}²"


def _pixtral(values: Values, images: Values, pixels: Pixels) -> Counted:
    if not pixels.sized:
        raise Refused(f"{images.owner} makes no image_sizes: KeyError in {values.owner}")
    edge = values.integer("patch_size") * values.integer("spatial_merge_size")
    text = f"({pixels.height} // {edge}) x ({pixels.width} // {edge})"
    return (pixels.height // edge) * (pixels.width // edge), text


def _pixtral_imposes(values: Values) -> dict[str, Any]:
    return {"patch_size": values.integer("patch_size") * values.integer("spatial_merge_size")}


def _per_tile(key: str) -> Callable[[Values, Values, Pixels], Counted]:
    def count(values: Values, _: Values, pixels: Pixels) -> Counted:
        each = _needed(values, key)
        return each * pixels.tiles, f"{each} x {pixels.tiles} tiles" if pixels.tiles > 1 else f"{key} {each}"

    return count


def _aya(values: Values, _: Values, pixels: Pixels) -> Counted:
    edge = values.integer("img_size") // (values.integer("patch_size") * values.integer("downsample_factor"))
    return edge**2 * pixels.tiles, f"{edge} x {edge} x {pixels.tiles} tiles"


def _cohere(_: Values, images: Values, pixels: Pixels) -> Counted:
    edge = images.integer("patch_size")
    return edge**2 * pixels.tiles, f"{edge} x {edge} x {pixels.tiles} tiles"


def _llama4(values: Values, _: Values, pixels: Pixels) -> Counted:
    patch, ratio = values.integer("patch_size"), values.number("pixel_shuffle_ratio")
    shrunk = round(1.0 / ratio**2)
    if not shrunk:
        raise Refused(f"pixel_shuffle_ratio is {ratio:g}: ZeroDivisionError")
    each = (pixels.height // patch) * (pixels.width // patch) // shrunk
    return (
        each * pixels.tiles,
        f"({pixels.height} // {patch}) x ({pixels.width} // {patch}) / {shrunk} x {pixels.tiles} tiles",
    )


def _of_the_image_processor(_: Values, images: Values, __: Pixels) -> Counted:
    count = images.integer("image_seq_length")
    return count, f"image_seq_length {count}"


def _queries(values: Values, _: Values, __: Pixels) -> Counted:
    # processing_blip_2.py: without the setting no placeholder is written, and the image is silently left out.
    count = values.get("num_query_tokens")
    count = 0 if count is None else values.integer("num_query_tokens")
    return count, f"num_query_tokens {count}"


def _one(_: Values, __: Values, ___: Pixels) -> Counted:
    return 1, "one token: the text attends to the image by cross-attention"


_TOWER = {"patch_size": None, "vision_feature_select_strategy": None, "num_additional_image_tokens": 0}

CLASSES: Mapping[str, ProcessorClass] = {
    "LlavaProcessor": ProcessorClass(_TOWER, _llava),
    "VideoLlavaProcessor": ProcessorClass(
        {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}, _llava
    ),
    "LlavaNextProcessor": ProcessorClass(_TOWER, _anyres),
    "LlavaNextVideoProcessor": ProcessorClass(_TOWER, _anyres),
    "LlavaOnevisionProcessor": ProcessorClass(
        {"num_image_tokens": None, "vision_feature_select_strategy": None, "vision_aspect_ratio": "anyres_max_9"},
        _onevision,
    ),
    "Qwen2VLProcessor": ProcessorClass({}, _merged),
    "Qwen2_5_VLProcessor": ProcessorClass({}, _merged),
    "Qwen3VLProcessor": ProcessorClass({}, _merged),
    "Qwen2_5OmniProcessor": ProcessorClass({}, _merged),
    "Glm4vProcessor": ProcessorClass({}, _merged),
    "Glm46VProcessor": ProcessorClass({}, _merged),
    "PixtralProcessor": ProcessorClass({"patch_size": 16, "spatial_merge_size": 1}, _pixtral, _pixtral_imposes),
    "InternVLProcessor": ProcessorClass(
        {"image_seq_length": 256}, _per_tile("image_seq_length"), lambda _: {"crop_to_patches": True}
    ),
    "AyaVisionProcessor": ProcessorClass(
        {"patch_size": 28, "img_size": 364, "downsample_factor": 1}, _aya, lambda _: {"crop_to_patches": True}
    ),
    "Cohere2VisionProcessor": ProcessorClass({}, _cohere),
    "Idefics2Processor": ProcessorClass({"image_seq_len": 64}, _per_tile("image_seq_len")),
    "Idefics3Processor": ProcessorClass({"image_seq_len": 169}, _per_tile("image_seq_len")),
    "SmolVLMProcessor": ProcessorClass({"image_seq_len": 169}, _per_tile("image_seq_len")),
    "PaliGemmaProcessor": ProcessorClass({}, _of_the_image_processor),
    "ColPaliProcessor": ProcessorClass({}, _of_the_image_processor),
    # processing_gemma3.py passes do_pan_and_scan=False on every call: what the file says counts only for direct users.
    "Gemma3Processor": ProcessorClass(
        {"image_seq_length": 256}, _per_tile("image_seq_length"), lambda _: {"do_pan_and_scan": False}
    ),
    "ShieldGemma2Processor": ProcessorClass(
        {"image_seq_length": 256}, _per_tile("image_seq_length"), lambda _: {"do_pan_and_scan": False}
    ),
    "Blip2Processor": ProcessorClass({"num_query_tokens": None}, _queries),
    "InstructBlipProcessor": ProcessorClass({"num_query_tokens": None}, _per_tile("num_query_tokens")),
    "MllamaProcessor": ProcessorClass({}, _one),
    "Llama4Processor": ProcessorClass({"patch_size": 14, "pixel_shuffle_ratio": 0.5}, _llama4),
}
"""By class name."""
