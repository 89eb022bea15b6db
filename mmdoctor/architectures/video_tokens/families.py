"""What the families make of a video, frame by frame.

transformers 5.23: models/*/video_processing_*.py for the frames, `replace_video_token` of processing_*.py for the
placeholders, `get_video_features` of modeling_*.py for the features. 4.57 computes the same.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens import pixels as single
from mmdoctor.architectures.image_tokens import resizing
from mmdoctor.architectures.image_tokens.features import CLASSES, Model
from mmdoctor.architectures.image_tokens.pixels import Size
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

Counted = tuple[int, str]
"""(count, arithmetic)."""


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """Frames of a video as the video processor hands them on."""

    frames: int
    steps: int
    pixels: Pixels


class VideoClass(msgspec.Struct, frozen=True):
    """A video processor class: its own values for absent keys and the frames it makes."""

    defaults: Mapping[str, Any]
    make: Callable[[Values, int, Size], Video]


class JointClass(msgspec.Struct, frozen=True):
    """A processor class."""

    defaults: Mapping[str, Any]
    count: Callable[[Values, Values, Video], Counted]
    """From its own settings, the video processor's, and what that made."""
    imposed: Mapping[str, Any] = {}
    """Arguments that it passes to the video processor on every call."""


class ModelClass(msgspec.Struct, frozen=True):
    """A model class: values for absent keys at its top level, and what it makes of a video."""

    defaults: Mapping[str, Any]
    count: Callable[[Model, Video], Counted]


def _plain(values: Values, frames: int, size: Size) -> Video:
    made = single.CLASSES["CLIPImageProcessor"].pixels(values, size)
    return Video(frames=frames, steps=frames, pixels=made)


def _packed(values: Values, frames: int, size: Size, resized: Size) -> Video:
    patch, merge, depth = (values.integer(k) for k in ("patch_size", "merge_size", "temporal_patch_size"))
    if resized[0] % (patch * merge) or resized[1] % (patch * merge):
        raise Refused(f"{resized[1]}x{resized[0]} px are not whole patches of {patch} px, {merge} by {merge}")
    made = Pixels(
        original=size, height=resized[0], width=resized[1], grid=(resized[0] // patch, resized[1] // patch),
        patch_values=3 * depth * patch**2,
    )  # fmt: skip
    return Video(frames=frames, steps=math.ceil(frames / depth), pixels=made)


def _limits(values: Values) -> tuple[int, int]:
    edges = values.edges("size")
    least = values.get("min_pixels") or edges.get("shortest_edge")
    most = values.get("max_pixels") or edges.get("longest_edge")
    if type(least) is not int or type(most) is not int or least < 1 or most < 1:
        raise UnknownValue("size does not say how many pixels there may be")
    return least, most


def _qwen2(values: Values, frames: int, size: Size) -> Video:
    """video_processing_qwen2_vl.py, resize: each frame alone, unless they share a budget."""
    factor = values.integer("patch_size") * values.integer("merge_size")
    least, most = _limits(values)
    if values.flag("cap_pixels_per_frame"):
        total = int(values.integer("max_video_tokens") * factor * factor * 0.9)
        most = max(min(most, total * values.integer("temporal_patch_size") // frames), int(least * 1.05))
    resized = resizing.smart_resize(size, factor, least, most) if values.flag("do_resize") else size
    return _packed(values, frames, size, resized)


def _sharing(values: Values, frames: int, size: Size) -> Video:
    """video_processing_qwen3_vl.py and video_processing_glm4v.py, smart_resize: the budget is that of all frames."""
    factor, depth = values.integer("patch_size") * values.integer("merge_size"), values.integer("temporal_patch_size")
    least, most = _limits(values)
    if frames < depth:
        raise Refused(f"{frames} frames are fewer than temporal_patch_size {depth}")
    if values.flag("cap_pixels_per_frame"):
        cap = values.integer("max_video_tokens") * factor * factor
        most = max(min(cap, most // frames), int(least * 1.05)) * frames
    if not values.flag("do_resize"):
        return _packed(values, frames, size, size)
    resized = resizing.smart_resize_video(size, frames, depth, factor, (least, most))
    return _packed(values, frames, size, resized)


def _merged(_: Values, videos: Values, video: Video) -> Counted:
    """Frame by frame, as Qwen3-VL and GLM write them; for the others the same, since patches merge without a rest."""
    if video.pixels.grid is None:
        raise Refused(f"{videos.owner} makes no video_grid_thw: KeyError")
    rows, columns = video.pixels.grid
    merge = videos.integer("merge_size")
    return video.steps * (rows * columns // merge**2), f"{video.steps} x ({columns} x {rows} patches / {merge}²)"


def _quartered(values: Values, _: Values, video: Video) -> Counted:
    patch = _needed(values, "patch_size")
    each = (video.pixels.height // patch) * (video.pixels.width // patch) // 4
    return each * video.frames, f"{each} x {video.frames} frames"


def _halved(values: Values, _: Values, video: Video) -> Counted:
    side = math.ceil(math.isqrt(_needed(values, "num_image_tokens")) / 2)
    return side * side * video.frames + 1, f"{side}² x {video.frames} frames + 1"


def _whole(values: Values, _: Values, video: Video) -> Counted:
    patch, extra = _needed(values, "patch_size"), values.integer("num_additional_image_tokens", 0)
    each = (video.pixels.height // patch) * (video.pixels.width // patch) + extra
    return each * video.frames, f"{each} x {video.frames} frames"


def _per_frame(values: Values, _: Values, video: Video) -> Counted:
    each = _needed(values, "image_seq_length")
    return each * video.frames, f"image_seq_length {each} x {video.frames} frames"


def _needed(values: Values, key: str) -> int:
    if values.get(key) is None:
        raise Refused(f"{key} is null: TypeError in {values.owner}")
    return values.integer(key)


def _grid_features(model: Model, video: Video) -> Counted:
    made = video.pixels
    if made.grid is None or made.patch_values is None:
        raise Refused("the model needs packed patches with video_grid_thw, and the video processor makes none")
    count, text = CLASSES["qwen2_vl"].count(model, made)
    return count * video.steps, f"{video.steps} x ({text})"


def _pooled(model: Model, video: Video) -> Counted:
    """modeling_llava_next_video.py, LlavaNextVideoPooler."""
    positions, _ = model.positions(video.pixels)
    kept = positions - model.dropped()
    side, stride = math.isqrt(kept), model.top.integer("spatial_pool_stride")
    if side * side != kept or side < stride:
        raise Refused(f"{kept} vectors of a frame cannot be pooled {stride} by {stride}")
    return (side // stride) ** 2 * video.frames, f"({side} // {stride})² x {video.frames} frames"


def _interpolated(model: Model, video: Video) -> Counted:
    """modeling_llava_onevision.py, apply_pooling."""
    positions, _ = model.positions(video.pixels)
    kept, side = positions - model.dropped(), model.side()
    if kept != side * side:
        raise Refused(f"a frame has {kept} vectors, and the model lays out {side} x {side}")
    return math.ceil(side / 2) ** 2 * video.frames + 1, f"ceil({side} / 2)² x {video.frames} frames + 1"


def _all(model: Model, video: Video) -> Counted:
    positions, _ = model.positions(video.pixels)
    return positions * video.frames, f"{positions} x {video.frames} frames"


def _shuffled(model: Model, video: Video) -> Counted:
    count, text = CLASSES["internvl"].count(model, video.pixels)
    return count * video.frames, f"{text} x {video.frames} frames"


_PLAIN = {"do_resize": True, "do_center_crop": False, "crop_size": None, "do_pad": False}
_SMALL = {**_PLAIN, "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
_SQUARE = {**_PLAIN, "size": {"height": 384, "width": 384}}
_PACKED = {"do_resize": True, "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, "cap_pixels_per_frame": None}
_PACKED |= {"min_pixels": None, "max_pixels": None}

VIDEOS: Mapping[str, VideoClass] = {
    "LlavaNextVideoVideoProcessor": VideoClass(_SMALL, _plain),
    "VideoLlavaVideoProcessor": VideoClass(_SMALL, _plain),
    "LlavaOnevisionVideoProcessor": VideoClass(_SQUARE, _plain),
    "InternVLVideoProcessor": VideoClass(_SQUARE, _plain),
    "Qwen2VLVideoProcessor": VideoClass(
        {
            **_PACKED,
            "size": {"shortest_edge": 128 * 28 * 28, "longest_edge": 28 * 28 * 768},
            "max_video_tokens": 128_000,
        },
        _qwen2,
    ),
    "Qwen3VLVideoProcessor": VideoClass(
        {
            **_PACKED,
            "patch_size": 16,
            "size": {"shortest_edge": 128 * 32 * 32, "longest_edge": 32 * 32 * 768},
            "max_video_tokens": 768,
        },
        _sharing,
    ),
    "Glm4vVideoProcessor": VideoClass(
        {**_PACKED, "size": {"shortest_edge": 112 * 112, "longest_edge": 28 * 28 * 2 * 30000}}, _sharing
    ),
}
JOINTS: Mapping[str, JointClass] = {
    "Qwen2VLProcessor": JointClass({}, _merged),
    "Qwen2_5_VLProcessor": JointClass({}, _merged),
    "Qwen3VLProcessor": JointClass({}, _merged),
    "Glm4vProcessor": JointClass({}, _merged),
    "Qwen2_5OmniProcessor": JointClass(
        {}, _merged, {"size": {"shortest_edge": 128 * 28 * 28, "longest_edge": 768 * 28 * 28}}
    ),
    "LlavaNextVideoProcessor": JointClass({"patch_size": None}, _quartered),
    "LlavaOnevisionProcessor": JointClass({"num_image_tokens": None}, _halved),
    "VideoLlavaProcessor": JointClass({"patch_size": 14, "num_additional_image_tokens": 1}, _whole),
    "InternVLProcessor": JointClass({"image_seq_length": 256}, _per_frame),
}
_GRID = ModelClass({}, _grid_features)
_CLIP = {"vision_feature_select_strategy": "default"}

MODELS: Mapping[str, ModelClass] = {
    **dict.fromkeys(("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen2_5_omni_thinker", "glm4v"), _GRID),
    "llava_next_video": ModelClass({**_CLIP, "spatial_pool_stride": 2}, _pooled),
    "llava_onevision": ModelClass({"vision_feature_select_strategy": "full"}, _interpolated),
    "video_llava": ModelClass({}, _all),
    "internvl": ModelClass({**_CLIP, "downsample_ratio": 0.5}, _shuffled),
}
USUAL: Mapping[str, tuple[str, str]] = {
    "qwen2_vl": ("Qwen2VLProcessor", "Qwen2VLVideoProcessor"),
    "qwen2_5_vl": ("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor"),
    "qwen3_vl": ("Qwen3VLProcessor", "Qwen3VLVideoProcessor"),
    "qwen3_vl_moe": ("Qwen3VLProcessor", "Qwen3VLVideoProcessor"),
    "qwen2_5_omni_thinker": ("Qwen2_5OmniProcessor", "Qwen2VLVideoProcessor"),
    "glm4v": ("Glm4vProcessor", "Glm4vVideoProcessor"),
    "llava_next_video": ("LlavaNextVideoProcessor", "LlavaNextVideoVideoProcessor"),
    "llava_onevision": ("LlavaOnevisionProcessor", "LlavaOnevisionVideoProcessor"),
    "video_llava": ("VideoLlavaProcessor", "VideoLlavaVideoProcessor"),
    "internvl": ("InternVLProcessor", "InternVLVideoProcessor"),
}
"""`model_type` to (processor class, video processor class): models/auto/video_processing_auto.py."""
