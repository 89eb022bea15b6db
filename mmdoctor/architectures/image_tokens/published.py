"""Image tokens of families whose code comes with the model: as the code does it that their authors published.

Nothing of an artefact is run, so what its own copy of that code does may differ. Where config.json names another class
than the published one, nothing is counted. Each function names its source.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens import crops, resizing, tiling
from mmdoctor.architectures.image_tokens.resizing import Size
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels, Side, TokenCount
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings

MAX_TILES = 64
"""Tiles of one image; published models have 40 at most."""


OWN_CODE = "the model's own code"
"""Stands for the classes of processor and image processor."""


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """The three files as a family's own code reads them."""

    config: Values
    images: Values
    joint: Values
    tower: str | None = None
    """Name of a vision tower that is loaded from elsewhere."""


Counted = tuple[Pixels, int, int, str]
"""(pixels, placeholders, features, arithmetic)."""


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A family's own code."""

    classes: frozenset[str]
    """Model classes of the published code."""
    count: Callable[[Read, Size], Counted]
    config: Mapping[str, Any] = {}
    """Values for absent keys of config.json."""
    images: Mapping[str, Any] = {}
    """Values for absent keys of the image processor's file."""
    joint: Mapping[str, Any] = {}
    """Values for absent keys of processor_config.json."""


def family_of(model: MultimodalModel) -> Published | None:
    """The published code of a model that brings its own, if it is one of these families."""
    named = {*model.config.architectures, *(r.value.rpartition(".")[2] for r in model.remote_code)}
    kind = FAMILIES.get(model.config.model_type or "")
    if kind is None and model.external_tower is not None:
        kind = _LLAVA
    return kind if kind is not None and named & kind.classes else None


def count(
    model: MultimodalModel, images: ImageProcessor | None, processor: Processor | None, size: tuple[int, int]
) -> TokenCount:
    """Tokens of an image of that (width, height).

    Raises:
        UnknownFamily: the model's code is not one of these.
        UnknownValue: a value is neither stated nor a known default.
        Refused: the code takes no image of that size.
    """
    kind = family_of(model)
    if kind is None:
        raise UnknownFamily("other code than transformers' own counts this model's image tokens")
    owner = f"the published {min(kind.classes)}"
    read = Read(
        config=Values(Settings(document=model.config.document), owner, kind.config),
        images=Values(images.settings if images is not None else None, owner, kind.images),
        joint=Values(processor.settings if processor is not None else None, owner, kind.joint),
        tower=model.external_tower.value if model.external_tower is not None else None,
    )
    width, height = size
    pixels, placeholders, features, arithmetic = kind.count(read, (height, width))
    used = (*read.images.used, *read.joint.used, *read.config.used)
    return TokenCount(
        width=width,
        height=height,
        pixels=pixels,
        placeholders=Side(count=placeholders, arithmetic=arithmetic, used=used),
        features=Side(count=features, arithmetic=arithmetic, used=used),
    )


def _tiles(values: Values, key: str, least: int = 1) -> int:
    most = values.integer(key, least)
    if most > MAX_TILES:
        raise UnknownValue(f"{key} is {most}")
    return most


def _section(read: Read, key: str, defaults: Mapping[str, Any]) -> Values:
    """A section of config.json; where it is absent, its class's defaults."""
    section = read.config.get(key)
    if not isinstance(section, dict):
        raise UnknownValue(f"{key} is no object")
    return read.config.below(key, defaults)


def _internvl(read: Read, size: Size) -> Counted:
    """OpenGVLab/InternVL, modeling_internvl_chat.py (num_image_token) and dynamic_preprocess of its README."""
    vision = _section(read, "vision_config", {"image_size": 224, "patch_size": 14})
    edge = vision.integer("image_size") if read.config.get("force_image_size") is None else 0
    edge = edge or read.config.integer("force_image_size")
    side, ratio = edge // vision.integer("patch_size"), read.config.number("downsample_ratio")
    each, tiles = int(side**2 * ratio**2), 1
    if read.config.flag("dynamic_image_size"):
        least, most = _tiles(read.config, "min_dynamic_patch"), _tiles(read.config, "max_dynamic_patch")
        columns, rows = resizing.canvas(size, (edge, edge), least, most, unordered=True)
        tiles = rows * columns
        tiles += 1 if tiles > 1 and read.config.flag("use_thumbnail") else 0
    pixels = Pixels(original=size, height=edge, width=edge, tiles=tiles)
    return pixels, each * tiles, each * tiles, f"({side}² x {ratio:g}²) x {tiles} tiles"


def _phi3(read: Read, size: Size) -> Counted:
    """microsoft/Phi-3-vision-128k-instruct, image_processing_phi3_v.py (HD_transform and num_img_tokens)."""
    most = _tiles(read.images, "num_crops")
    height, width = tiling.hd_transform(size, most)
    rows, columns = height // 336, width // 336
    tokens = (rows * columns + 1) * 144 + 1 + (rows + 1) * 12
    pixels = Pixels(original=size, height=336, width=336, tiles=rows * columns + 1, layout=(rows, columns))
    return pixels, tokens, tokens, f"({rows} x {columns} + 1) x 144 + 1 + ({rows} + 1) x 12"


def _minicpm(read: Read, size: Size) -> Counted:
    """openbmb/MiniCPM-V-2_6, image_processing_minicpmv.py (get_sliced_grid); MiniCPM-V-2 does so in its model."""
    stated = {k: read.images.stated(k) for k in ("max_slice_nums", "scale_resolution", "image_feature_size")}
    older = all(v is None for v in stated.values())
    source = read.config if older else read.images
    rows = columns = 0
    if source.flag("slice_mode"):
        grid = tiling.sliced(size, source.integer("scale_resolution"), _tiles(source, "max_slice_nums"))
        columns, rows = grid or (0, 0)
    queries = read.config.integer("query_num")
    each = queries if older else read.images.integer("image_feature_size")
    edge, tiles = source.integer("scale_resolution"), rows * columns + 1
    pixels = Pixels(original=size, height=edge, width=edge, tiles=tiles, layout=(rows, columns))
    return pixels, each * tiles, queries * tiles, f"{each} x (1 + {rows} x {columns} slices)"


def _molmo(read: Read, size: Size) -> Counted:
    """allenai/Molmo-7B-D-0924, image_preprocessing_molmo.py: crops that overlap, pooled 2 by 2, and the whole image."""
    base, margins = read.images.numbers("base_image_input_size"), read.images.numbers("overlap_margins")
    patch = read.images.integer("image_patch_size")
    side, margin = base[0] // patch, sum(margins)
    if side <= margin:
        raise UnknownValue(f"overlap_margins of {margin} patches leave nothing of {side}")
    inner = [edge - margin * patch for edge in size]
    rows, columns = crops.least_scaled((inner[0], inner[1]), (side - margin) * patch, _tiles(read.images, "max_crops"))
    window, whole = (side - margin) // 2, read.images.integer("image_token_length_w")
    high = (rows * window + margin // 2), (columns * window + margin // 2)
    tokens = high[0] * high[1] + whole * read.images.integer("image_token_length_h")
    pixels = Pixels(original=size, height=base[0], width=base[-1], tiles=rows * columns + 1, layout=(rows, columns))
    return pixels, tokens, tokens, f"{high[0]} x {high[1]} for the crops, {whole} x {whole} for the whole image"


def _deepseek(read: Read, size: Size) -> Counted:
    """deepseek-ai/DeepSeek-VL2, processing_deepseek_vl_v2.py (tokenize_with_images), of at most two images."""
    vision = _section(read, "vision_config", {"image_size": 384, "patch_size": 14})
    projector = _section(read, "projector_config", {"downsample_ratio": 2})
    wide = read.joint.resolutions("candidate_resolutions")
    edge, patch = wide[0][0], read.joint.integer("patch_size")
    height, width = resizing.best_resolution(size, [(h, w) for w, h in wide])
    rows, columns = height // edge, width // edge
    made = math.ceil(edge // patch / read.joint.integer("downsample_ratio"))
    kept = math.ceil(edge // vision.integer("patch_size") / projector.integer("downsample_ratio"))
    pixels = Pixels(original=size, height=edge, width=edge, tiles=rows * columns + 1, layout=(rows, columns))
    text = f"{made} x ({made} + 1) + 1 + {rows * made} x ({columns * made} + 1)"
    return pixels, _framed(made, rows, columns), _framed(kept, rows, columns), text


def _framed(side: int, rows: int, columns: int) -> int:
    return side * (side + 1) + 1 + rows * side * (columns * side + 1)


def _kimi(read: Read, size: Size) -> Counted:
    """moonshotai/Kimi-VL-A3B-Instruct, image_processing_kimi_vl.py (rescale)."""
    patch, merge = read.images.integer("patch_size"), read.images.numbers("merge_kernel_size")
    limit, (height, width) = read.images.integer("in_token_limit"), size
    if len(merge) != 2 or not all(merge):
        raise UnknownValue("merge_kernel_size is not a pair of numbers")
    if (width // patch) * (height // patch) > limit:
        scale = math.sqrt(limit / ((width // patch) * (height // patch)))
        width, height = int(width * scale), int(height * scale)
    if not read.images.flag("pad_input"):
        raise UnknownValue("pad_input is off")
    rows, columns = math.ceil(height / (merge[0] * patch)), math.ceil(width / (merge[1] * patch))
    grid = (rows * merge[0], columns * merge[1])
    if max(grid) >= _KIMI_POSITIONS:
        raise Refused(f"{grid[1]} x {grid[0]} patches are more than the {_KIMI_POSITIONS} positions of a side")
    pixels = Pixels(original=size, height=grid[0] * patch, width=grid[1] * patch, grid=grid)
    return pixels, rows * columns, rows * columns, f"{grid[1]} x {grid[0]} patches / {merge[0] * merge[1]}"


_KIMI_POSITIONS = 512
"""image_processing_kimi_vl.py raises from there on."""


def _ovis(read: Read, size: Size) -> Counted:
    """AIDC-AI/Ovis, modeling_ovis.py (preprocess_image, max_partition 9 unless asked otherwise)."""
    visual = _section(read, "visual_tokenizer_config", {"hidden_stride": 1})
    tower = visual.below("backbone_config", {"image_size": 384, "patch_size": 14})
    edge, stride = tower.integer("image_size"), visual.integer("hidden_stride")
    rows, columns = tiling.covering(size, edge, _OVIS_TILES)
    each = math.ceil(edge // tower.integer("patch_size") / stride) ** 2
    tiles = rows * columns + (1 if rows * columns > 1 else 0)
    pixels = Pixels(original=size, height=edge, width=edge, tiles=tiles, layout=(rows, columns))
    return (
        pixels,
        each * tiles,
        each * tiles,
        f"ceil({edge // tower.integer('patch_size')} / {stride})² x {tiles} tiles",
    )


_OVIS_TILES = 9


def _llava(read: Read, size: Size) -> Counted:
    """haotian-liu/LLaVA, llava_arch.py (prepare_inputs_labels_for_multimodal): spliced in for one marker."""
    pixels, tokens, text = crops.original_llava(read.config, read.tower or "", size)
    return pixels, tokens, tokens, text


_LLAVA = Published(
    classes=frozenset(
        {"LlavaLlamaForCausalLM", "LlavaMistralForCausalLM", "LlavaQwenForCausalLM", "LlavaMptForCausalLM"}
    ),
    count=_llava,
    config={"mm_vision_select_feature": "patch", "mm_patch_merge_type": "flat", "image_aspect_ratio": "square"},
)
_MINICPM = Published(
    classes=frozenset({"MiniCPMV", "MiniCPMO"}),
    count=_minicpm,
    config={"query_num": 64, "slice_mode": True, "max_slice_nums": 9, "scale_resolution": 448},
    images={"slice_mode": True, "max_slice_nums": 9, "scale_resolution": 448, "image_feature_size": 64},
)

FAMILIES: Mapping[str, Published] = {
    "internvl_chat": Published(
        classes=frozenset({"InternVLChatModel"}),
        count=_internvl,
        config={
            "vision_config": {},
            "force_image_size": None,
            "downsample_ratio": 0.5,
            "dynamic_image_size": False,
            "use_thumbnail": False,
            "min_dynamic_patch": 1,
            "max_dynamic_patch": 6,
        },
    ),
    "phi3_v": Published(classes=frozenset({"Phi3VForCausalLM"}), count=_phi3, images={"num_crops": 1}),
    "minicpmv": _MINICPM,
    "minicpmo": _MINICPM,
    "molmo": Published(
        classes=frozenset({"MolmoForCausalLM"}),
        count=_molmo,
        images={
            "base_image_input_size": [336, 336],
            "overlap_margins": [4, 4],
            "image_patch_size": 14,
            "max_crops": 12,
            "image_token_length_w": 12,
            "image_token_length_h": 12,
        },
    ),
    "deepseek_vl_v2": Published(
        classes=frozenset({"DeepseekVLV2ForCausalLM"}),
        count=_deepseek,
        config={"vision_config": {}, "projector_config": {}},
    ),
    "kimi_vl": Published(
        classes=frozenset({"KimiVLForConditionalGeneration"}),
        count=_kimi,
        images={"patch_size": 14, "merge_kernel_size": [2, 2], "in_token_limit": 4096, "pad_input": False},
    ),
    "ovis": Published(classes=frozenset({"Ovis"}), count=_ovis),
    "llava_llama": _LLAVA,
    "llava_mistral": _LLAVA,
    "llava_qwen": _LLAVA,
}
"""By `model_type`."""
