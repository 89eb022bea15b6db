"""How many vectors transformers' models make of one image.

`get_image_features` and the projectors of models/*/modeling_*.py in transformers 5.23; defaults are those of the
configuration classes (configuration_*.py).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens import resizing
from mmdoctor.architectures.image_tokens.placeholders import onevision_limit
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

Counted = tuple[int, str]
"""(count, arithmetic)."""


class Tower(msgspec.Struct, frozen=True, kw_only=True):
    """A vision tower: what it makes of one tensor of pixels."""

    extra: int
    """Positions beside the patches: a class token."""
    fixed: bool
    """It refuses another number of patches than its position table has."""


# clip: CLIPVisionEmbeddings.forward compares height and width with image_size. siglip: SiglipVisionEmbeddings.forward
# adds a table of fixed length. internvl_vision and idefics interpolate or bucket positions; pixtral uses rotary ones.
TOWERS: Mapping[str, Tower] = {
    "clip_vision_model": Tower(extra=1, fixed=True),
    "siglip_vision_model": Tower(extra=0, fixed=True),
    "internvl_vision": Tower(extra=1, fixed=False),
    "pixtral": Tower(extra=0, fixed=False),
    "idefics3_vision": Tower(extra=0, fixed=False),
    "smolvlm_vision": Tower(extra=0, fixed=False),
    # Janus and Ovis 2 add their position tables as they are (JanusVisionEmbeddings, Ovis2VisionEmbeddings);
    # Kosmos2VisionEmbeddings compares height and width as CLIP's does.
    "janus_vision_model": Tower(extra=0, fixed=True),
    "ovis2_vision": Tower(extra=0, fixed=True),
    "kosmos_2_vision_model": Tower(extra=1, fixed=True),
}


class ModelClass(msgspec.Struct, frozen=True):
    """A model class: values for absent keys at its top level, its usual tower, and what it makes of an image."""

    defaults: Mapping[str, Any]
    count: Callable[["Model", Pixels], Counted]
    vision: Mapping[str, Any] = {}
    """Values for absent keys of the vision section that are not normalised."""


class Model:
    """A configuration being read for one count.

    Args:
        top: the top level of config.json.
        vision: its vision section, under normalised names.
        tower: `model_type` of the vision section.
    """

    def __init__(self, top: Values, vision: Values, tower: str | None) -> None:
        self.top = top
        self.vision = vision
        self.tower = tower

    def patch(self) -> int:
        """Pixels along one edge of the tower's patches."""
        return self.vision.integer("patch_size")

    def side(self) -> int:
        """Patches along one edge of the image size that the tower is configured for."""
        return self.vision.integer("image_size") // self.patch()

    def positions(self, pixels: Pixels) -> Counted:
        """Hidden states that the tower returns for one tensor."""
        tower = TOWERS.get(self.tower or "")
        if tower is None:
            raise UnknownValue(f"nothing is known of a vision tower {self.tower}")
        patch = self.patch()
        rows, columns = pixels.height // patch, pixels.width // patch
        if not rows or not columns:
            raise Refused(f"{pixels.width}x{pixels.height} px are less than a patch of {patch}")
        if tower.fixed and not tower.extra and rows * columns == 1:
            return self.side() ** 2, f"1 patch, spread over the {self.side() ** 2} positions of the table"
        if tower.fixed:
            self._refuse_other_sizes(pixels, rows * columns)
        text = f"({pixels.height} // {patch}) x ({pixels.width} // {patch})"
        return rows * columns + tower.extra, text + (f" + {tower.extra}" if tower.extra else "")

    def _refuse_other_sizes(self, pixels: Pixels, patches: int) -> None:
        size = self.vision.integer("image_size")
        if self.tower in ("clip_vision_model", "kosmos_2_vision_model") and (
            pixels.height != size or pixels.width != size
        ):
            raise Refused(f"the tower takes {size}x{size} px only, and gets {pixels.width}x{pixels.height}")
        if patches != self.side() ** 2:
            text = f"the tower has positions for {self.side() ** 2} patches ({size} px), and gets {patches}"
            raise Refused(f"{text} ({pixels.width}x{pixels.height} px)")

    def dropped(self) -> int:
        """1 where the first hidden state is left out."""
        strategy = self.top.text("vision_feature_select_strategy")
        if strategy not in ("default", "full"):
            raise UnknownValue(f"vision_feature_select_strategy is {strategy!r}")
        return 1 if strategy == "default" else 0


def _llava(model: Model, pixels: Pixels) -> Counted:
    positions, text = model.positions(pixels)
    dropped = model.dropped()
    if pixels.sized and dropped:
        raise Refused("the default strategy drops a patch, and the features cannot be told apart by image_sizes")
    return positions - dropped, text + (" - 1" if dropped else "")


def _vipllava(model: Model, pixels: Pixels) -> Counted:
    positions, text = model.positions(pixels)
    return positions - 1, f"{text} - 1"


def _anyres_parts(model: Model, pixels: Pixels) -> tuple[int, int, tuple[int, int]]:
    """(vectors of the whole image, patches along a tile's edge, (rows, columns) of the tiles without padding)."""
    if not pixels.sized:
        raise Refused("the model needs image_sizes, and the image processor makes none")
    positions, _ = model.positions(pixels)
    base, side = positions - model.dropped(), model.side()
    size = model.vision.integer("image_size")
    height, width = resizing.best_resolution(pixels.original, model.top.resolutions("image_grid_pinpoints"))
    rows, columns = height // size, width // size
    wanted = math.ceil(height / size) * math.ceil(width / size)
    if wanted > pixels.tiles - 1 or wanted != rows * columns:  # tiles that are too many are silently cut off
        raise Refused(f"the model expects {wanted} tiles of {size} px, and gets {pixels.tiles - 1} of {pixels.edge}")
    if base != side**2:
        raise Refused(f"a tile has {base} vectors, and the model lays out {side} x {side}")
    return base, side, resizing.unpadded(pixels.original, rows * side, columns * side)


def _anyres(model: Model, pixels: Pixels) -> Counted:
    base, _, (rows, columns) = _anyres_parts(model, pixels)
    return base + rows * (columns + 1), f"{base} for the whole image, {rows} x ({columns} + 1) for the tiles"


def _onevision(model: Model, pixels: Pixels) -> Counted:
    base, side, left = _anyres_parts(model, pixels)
    rows, columns = onevision_limit(left, side, model.top.text("vision_aspect_ratio"))
    return base + rows * (columns + 1), f"{base} for the whole image, {rows} x ({columns} + 1) for the tiles"


def _merged(model: Model, pixels: Pixels) -> Counted:
    if pixels.grid is None or pixels.patch_values is None:
        raise Refused("the model needs packed patches with image_grid_thw, and the image processor makes none")
    patch, merge = model.patch(), model.vision.integer("spatial_merge_size")
    wanted = model.vision.integer("num_channels") * model.vision.integer("temporal_patch_size") * patch**2
    if wanted != pixels.patch_values:
        raise Refused(
            f"a patch has {pixels.patch_values} numbers, and the model wants {wanted} (patches of {patch} px)"
        )
    rows, columns = pixels.grid
    if rows % merge or columns % merge:
        raise Refused(f"{columns} x {rows} patches cannot be merged {merge} by {merge}")
    return rows * columns // merge**2, f"{columns} x {rows} patches / {merge}²"


def _mistral(model: Model, pixels: Pixels) -> Counted:
    if not pixels.sized:
        raise Refused("the model needs image_sizes, and the image processor makes none")
    patch, merge = model.patch(), model.top.integer("spatial_merge_size")
    rows, columns = pixels.height // patch, pixels.width // patch
    split = (pixels.height // (patch * merge)) * (pixels.width // (patch * merge))
    count = (rows // merge) * (columns // merge)
    if not count or count != split:
        raise Refused(f"{columns} x {rows} patches cannot be merged {merge} by {merge}")
    if count == 1:
        raise Refused("a single vector cannot be split by image_sizes: the model squeezes it away")
    return count, f"({pixels.height} // {patch * merge}) x ({pixels.width} // {patch * merge})"


def _shuffled(model: Model, pixels: Pixels) -> Counted:
    positions, _ = model.positions(pixels)
    kept = positions - model.dropped()
    ratio = model.top.number("downsample_ratio")
    side = math.isqrt(kept)
    if side * side != kept:
        raise Refused(f"{kept} vectors of a tile are not a square")
    small = int(side * ratio)
    if small != side * ratio:
        raise Refused(f"{side} x {side} vectors cannot be stacked by {1 / ratio:g}")
    return small * small * pixels.tiles, f"({side} x {ratio:g})² x {pixels.tiles} tiles"


def _downsampled(model: Model, pixels: Pixels) -> Counted:
    positions, _ = model.positions(pixels)
    strategy = model.top.get("vision_feature_select_strategy")
    kept = positions - (1 if strategy == "default" else 0)
    side, factor = math.isqrt(kept), model.top.integer("downsample_factor")
    if side * side != kept or side % factor:
        raise Refused(f"{kept} vectors of a tile cannot be stacked {factor} by {factor}")
    return (side // factor) ** 2 * pixels.tiles, f"({side} / {factor})² x {pixels.tiles} tiles"


def _connected(model: Model, pixels: Pixels) -> Counted:
    positions, _ = model.positions(pixels)
    side, factor = math.isqrt(positions), model.top.integer("scale_factor")
    if side * side != positions or side % factor:
        raise Refused(f"{positions} vectors of a tile cannot be stacked {factor} by {factor}")
    return positions // factor**2 * pixels.tiles, f"{side}² / {factor}² x {pixels.tiles} tiles"


def _resampled(model: Model, pixels: Pixels) -> Counted:
    section = model.top.get("perceiver_config")
    latents = section.get("resampler_n_latents", 64) if isinstance(section, dict) else 64
    if type(latents) is not int or latents < 1:
        raise UnknownValue("perceiver_config.resampler_n_latents is not a number")
    return latents * pixels.tiles, f"{latents} latents x {pixels.tiles}"


def _patches(model: Model, pixels: Pixels) -> Counted:
    return model.positions(pixels)


def _pooled(model: Model, pixels: Pixels) -> Counted:
    positions, _ = model.positions(pixels)
    side, wanted = model.side(), math.isqrt(model.top.integer("mm_tokens_per_image"))
    kernel = side // wanted
    if positions != side**2 or not kernel:
        raise Refused(f"{positions} vectors are not {side} x {side}")
    return (side // kernel) ** 2 * pixels.tiles, f"({side} // {kernel})² x {pixels.tiles}"


def _queries(model: Model, _: Pixels) -> Counted:
    count = model.top.integer("num_query_tokens")
    return count, f"num_query_tokens {count}"


def _attended(model: Model, _: Pixels) -> Counted:
    states = (model.side() ** 2 + 1) * model.vision.integer("max_num_tiles")
    return 1, f"none in the text; it attends to {states} states by cross-attention"


def _llama4(model: Model, pixels: Pixels) -> Counted:
    patch, ratio = model.patch(), model.vision.number("pixel_shuffle_ratio")
    size = model.vision.integer("image_size")
    if (pixels.height // patch) * (pixels.width // patch) != (size // patch) ** 2:
        raise Refused(f"the tower has positions for {size}x{size} px, and gets {pixels.width}x{pixels.height}")
    small = int(size // patch * ratio)
    return small * small * pixels.tiles, f"({size} // {patch} x {ratio:g})² x {pixels.tiles} tiles"


_CLIP = {"vision_feature_select_strategy": "default"}
_NEXT = {**_CLIP, "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]}
_ONEVISION = {
    "vision_feature_select_strategy": "full",
    "vision_aspect_ratio": "anyres_max_9",
    "image_grid_pinpoints": [[384 * h, 384 * w] for h in range(1, 7) for w in range(1, 7)],
}

CLASSES: Mapping[str, ModelClass] = {
    "llava": ModelClass(_CLIP, _llava),
    "vipllava": ModelClass({}, _vipllava),
    "video_llava": ModelClass(_CLIP, _llava),
    "llava_next": ModelClass(_NEXT, _anyres),
    "llava_next_video": ModelClass(_NEXT, _anyres),
    "llava_onevision": ModelClass(_ONEVISION, _onevision),
    **dict.fromkeys(
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen2_5_omni_thinker"),
        ModelClass({}, _merged),
    ),
    **dict.fromkeys(("glm4v", "glm4v_moe", "glm46v"), ModelClass({}, _merged)),
    "mistral3": ModelClass({"spatial_merge_size": 2}, _mistral),
    "internvl": ModelClass({"vision_feature_select_strategy": "default", "downsample_ratio": 0.5}, _shuffled),
    "aya_vision": ModelClass({"vision_feature_select_strategy": "full", "downsample_factor": 2}, _downsampled),
    "cohere2_vision": ModelClass({"vision_feature_select_strategy": None, "downsample_factor": 2}, _downsampled),
    "idefics2": ModelClass({"perceiver_config": None}, _resampled),
    "idefics3": ModelClass({"scale_factor": 2}, _connected),
    "smolvlm": ModelClass({"scale_factor": 2}, _connected),
    **dict.fromkeys(("paligemma", "colpali"), ModelClass({}, _patches)),
    **dict.fromkeys(("gemma3", "shieldgemma2"), ModelClass({"mm_tokens_per_image": 256}, _pooled)),
    "blip-2": ModelClass({"num_query_tokens": 32}, _queries),
    "instructblip": ModelClass({"num_query_tokens": 32}, _queries),
    "mllama": ModelClass({}, _attended),
    "llama4": ModelClass({}, _llama4),
}
"""By `model_type`."""
