"""How packed images and videos are cut into patches: by the processor's classes, and by the vision towers.

Qwen2-VL and its kin flatten every patch of an image into one row of `channels x frames x pixels` numbers. The row has
to be as long as the tower's patch embedding is wide, and the processor has to merge as many patches into a placeholder
as the model merges into a feature. Class defaults: transformers 5.23, models/*/image_processing_*.py and
video_processing_*.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from mmdoctor.architectures.image_tokens import image_class
from mmdoctor.architectures.patch_weights import trained_patches
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.parts import Parts
from mmdoctor.facts.patches import Areas, PackedInput, PatchGeometry, VideoProcessor
from mmdoctor.facts.tokenizer import ImageProcessor, Settings

LARGEST = 1 << 16
"""Patches, pixels of a patch and frames above this are no settings of a model."""


class _Cut(NamedTuple):
    """A class of image or video processors that packs patches."""

    patch: int
    merge: int
    frames: int
    areas: Areas | None = None


def _image(least: int, most: int, *, renamed: bool = True, frames: int = 1) -> Areas:
    return Areas(least=least, most=most, renamed=renamed, frames=frames)


_QWEN, _GLM = _image(56 * 56, 28 * 28 * 1280), _image(112 * 112, 28 * 28 * 15000, renamed=False, frames=2)

IMAGES: Mapping[str, _Cut] = {
    "Qwen2VLImageProcessor": _Cut(14, 2, 2, _QWEN),
    "CohereCompassImageProcessor": _Cut(14, 2, 2, _QWEN),
    "VideoLlama3ImageProcessor": _Cut(14, 1, 1, _QWEN),
    "PaddleOCRVLImageProcessor": _Cut(14, 2, 1, _image(384 * 384, 1536 * 1536)),
    "HunYuanVLImageProcessor": _Cut(16, 2, 1, _image(512 * 512, 2048 * 2048)),
    "MiniMaxM3VLImageProcessor": _Cut(14, 2, 2, _image(56 * 56, 672 * 672)),
    "Glm4vImageProcessor": _Cut(14, 2, 2, _GLM),
    "Glm46VImageProcessor": _Cut(14, 2, 2, _GLM),
    "GlmgaImageProcessor": _Cut(14, 2, 2, _GLM),
    "Ernie4_5_VLMoeImageProcessor": _Cut(14, 2, 1, _image(56 * 56, 28 * 28 * 6177, renamed=False)),
    "Cosmos3EdgeImageProcessor": _Cut(16, 2, 1, _image(256 * 256, 4096 * 4096, renamed=False)),
    "Glm5NextImageProcessor": _Cut(14, 2, 2),
    "Kimi_K25ImageProcessor": _Cut(14, 2, 1),
    "MuseGlimmerImageProcessor": _Cut(14, 2, 2),
}
"""By class name without what only names its backend."""

_FRAME = Areas(least=128 * 28 * 28, most=28 * 28 * 768, renamed=True, of="frame")
_QWEN3_VIDEO = Areas(least=128 * 32 * 32, most=32 * 32 * 768, renamed=False, of="video")
_GLM_VIDEO = Areas(least=112 * 112, most=28 * 28 * 2 * 30000, renamed=False, of="video")

VIDEOS: Mapping[str, _Cut] = {
    "Qwen2VLVideoProcessor": _Cut(14, 2, 2, _FRAME),
    "Qwen3VLVideoProcessor": _Cut(16, 2, 2, _QWEN3_VIDEO),
    "CohereCompassVideoProcessor": _Cut(16, 2, 2, _QWEN3_VIDEO),
    "Glm4vVideoProcessor": _Cut(14, 2, 2, _GLM_VIDEO),
    "Glm46VVideoProcessor": _Cut(14, 2, 2, _GLM_VIDEO),
    "GlmgaVideoProcessor": _Cut(14, 2, 2, Areas(least=112 * 112, most=87_478_720, renamed=False, of="video")),
    "Ernie4_5_VLMoeVideoProcessor": _Cut(
        14, 2, 2, Areas(least=299 * 28 * 28, most=1196 * 28 * 28, renamed=False, of="frame")
    ),
    "Cosmos3EdgeVideoProcessor": _Cut(16, 2, 1, Areas(least=64 * 64, most=24 << 20, renamed=False, of="video")),
    "VideoLlama3VideoProcessor": _Cut(
        14, 2, 1, Areas(least=128 * 28 * 28, most=28 * 28 * 768, renamed=True, of="video")
    ),
    "Glm5NextVideoProcessor": _Cut(14, 2, 2),
    "MiniMaxM3VLVideoProcessor": _Cut(14, 2, 2),
    "Kimi_K25VideoProcessor": _Cut(14, 2, 4),
    "MuseGlimmerVideoProcessor": _Cut(14, 2, 2),
}

_ALL = ("patch_size", "merge_size", "temporal_patch_size")
_FLAT = ("patch_size", "merge_size")


class _Takes(NamedTuple):
    """A model type: the classes it goes with, and what its code compares or reshapes by."""

    images: str
    videos: str | None
    equal: tuple[str, ...] = _ALL
    of_videos: tuple[str, ...] | None = None
    """The same for videos, where it is not the same."""


_QWEN2, _QWEN3 = ("Qwen2VLImageProcessor", "Qwen2VLVideoProcessor"), ("Qwen2VLImageProcessor", "Qwen3VLVideoProcessor")

TYPES: Mapping[str, _Takes] = {
    # `hidden_states.view(-1, in_channels, temporal_patch_size, patch_size, patch_size)` in the patch embedding.
    **dict.fromkeys(
        ("qwen2_vl", "qwen2_5_vl", "qwen2_5_omni", "qwen2_5_omni_thinker", "exaone4_5", "hyperclovax_vision_v2"),
        _Takes(*_QWEN2),
    ),
    **dict.fromkeys(("qwen3_omni_moe", "qwen3_omni_moe_thinker"), _Takes(*_QWEN2)),
    "colqwen2": _Takes(_QWEN2[0], None),
    **dict.fromkeys(
        ("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "qwen4_exp", "cosmos3_omni", "lfm3_vl"), _Takes(*_QWEN3)
    ),
    "cohere_compass": _Takes("CohereCompassImageProcessor", "CohereCompassVideoProcessor"),
    **dict.fromkeys(("glm4v", "glm4v_moe"), _Takes("Glm4vImageProcessor", "Glm4vVideoProcessor")),
    **dict.fromkeys(("glm46v", "glm_ocr"), _Takes("Glm46VImageProcessor", "Glm46VVideoProcessor")),
    "glmga": _Takes("GlmgaImageProcessor", "GlmgaVideoProcessor"),
    "glm5_next": _Takes("Glm5NextImageProcessor", "Glm5NextVideoProcessor"),
    "minimax_m3_vl": _Takes("MiniMaxM3VLImageProcessor", "MiniMaxM3VLVideoProcessor"),
    # Conv2d or Linear over the pixels of one patch: a temporal_patch_size in their vision sections is not read
    # (PaddleOCR-VL's says 2 and its processor 1, and that is right).
    "ernie4_5_vl_moe": _Takes("Ernie4_5_VLMoeImageProcessor", "Ernie4_5_VLMoeVideoProcessor", _FLAT),
    "paddleocr_vl": _Takes("PaddleOCRVLImageProcessor", None, _FLAT),
    "hunyuan_vl": _Takes("HunYuanVLImageProcessor", None, _FLAT),
    "cosmos3_edge": _Takes("Cosmos3EdgeImageProcessor", "Cosmos3EdgeVideoProcessor", _FLAT),
    "dots3_note": _Takes(_QWEN3[0], _QWEN3[1], _FLAT),
    "kimi_k25": _Takes("Kimi_K25ImageProcessor", "Kimi_K25VideoProcessor", _FLAT),
    # The processor tells the model how it merged (`image_merge_sizes`).
    "video_llama_3": _Takes("VideoLlama3ImageProcessor", "VideoLlama3VideoProcessor", ("patch_size",)),
}
"""By `model_type`, from models/*/modeling_*.py and processing_*.py of transformers 5.23: the processors divide the grid
by `merge_size`², the models by the vision section's `spatial_merge_size`²."""

_MERGES = ("spatial_merge_size", "merge_size", "merge_kernel_size")
"""Spellings of the patches along one edge of a visual token in vision sections."""


def patch_geometry(
    model: MultimodalModel,
    vision: VisionModel,
    images: ImageProcessor | None,
    videos: VideoProcessor | None,
    parts: Parts | None,
) -> PatchGeometry:
    """Processor's and model's patches, a copy of the settings each.

    Raises:
        NotApplicable: the model's images are not packed patches, or nothing is known of what packs them.
        Unavailable: config.json does not say what the tower takes.
    """
    model_type = model.config.model_type or ""
    takes = TYPES.get(model_type) if not model.remote_code else None
    theirs = _taken(model, vision)
    inputs = [
        *(_of_images(images, takes, theirs) if images is not None else ()),
        *(_of_videos(videos, takes, theirs) if videos is not None else ()),
    ]
    if not inputs:
        raise NotApplicable(f"{model_type or 'this model'} is not known to take images as packed patches")
    if not theirs:
        raise Unavailable("config.json does not say what patches the vision tower takes")
    channels = vision.num_channels.value if vision.num_channels is not None else 3
    trained = trained_patches(parts, vision) if parts is not None else {}
    return PatchGeometry(inputs=tuple(replace(packed, channels=channels, trained=trained) for packed in inputs))


def _taken(model: MultimodalModel, vision: VisionModel) -> dict[str, Used]:
    """What the tower takes, under the processor's names."""
    document, owner = model.config.document, f"the configuration class of {vision.model_type or 'the vision tower'}"
    prefix = ".".join(part for part in vision.section.split("/") if part)
    found: dict[str, Used] = {}
    readings = {
        "patch_size": vision.patch_size,
        "temporal_patch_size": vision.temporal_patch_size,
        "merge_size": vision.spatial_merge_size,
    }
    for key, reading in readings.items():
        field = "spatial_merge_size" if key == "merge_size" else key
        if reading is not None:
            default = owner if field in vision.by_default else None
            name = field if default else (reading.at.pointer or field).rpartition("/")[2]
            found[key] = Used(f"{prefix}.{name}" if prefix else name, reading.value, reading.at, default)
    if "merge_size" not in found:
        for name in _MERGES:
            edge = _edge(document.get(f"{vision.section}/{name}"))
            if edge is not None:
                found["merge_size"] = Used(f"{prefix}.{name}", edge, document.at(f"{vision.section}/{name}"))
                break
    return found


def _of_images(images: ImageProcessor, takes: _Takes | None, theirs: Mapping[str, Used]) -> Iterator[PackedInput]:
    copies = (images.settings, *images.others)
    yield from _copies("image", copies, takes.images if takes else None, IMAGES, takes, theirs)


def _of_videos(videos: VideoProcessor, takes: _Takes | None, theirs: Mapping[str, Used]) -> Iterator[PackedInput]:
    if takes is not None and takes.videos is not None and not videos.borrowed:
        yield from _copies("video", (videos.settings, *videos.others), takes.videos, VIDEOS, takes, theirs)


def _copies(
    kind: str,
    copies: tuple[Settings, ...],
    usual: str | None,
    classes: Mapping[str, _Cut],
    takes: _Takes | None,
    theirs: Mapping[str, Used],
) -> Iterator[PackedInput]:
    found = []
    for settings in copies[:2]:
        name = _class_of(settings, kind) or usual
        cut = classes.get(name or "")
        if name is None or cut is None:
            continue
        ours = _cut_by(settings, name, cut)
        equal = takes.equal if takes is not None else _FLAT
        compared = {key: theirs[key] for key in equal if key in theirs and key in ours}
        if takes is None:  # code of its own: only what both sides state, and only where it packs as Qwen2-VL does
            compared = {k: t for k, t in compared.items() if t.default_of is None and ours[k].default_of is None}
        found.append(
            PackedInput(
                kind=kind,
                processor=name,
                settings=settings,
                ours=ours,
                theirs=compared,
                known=takes is not None,
                areas=cut.areas,
            )
        )
    fits = [not packed.wrong for packed in found]
    for index, packed in enumerate(found):
        several = len(copies) > 1
        readers = ("transformers 5", "transformers 4")[copies.index(packed.settings)] if several else ""
        yield replace(packed, read_by=readers, another=any(fits[:index] + fits[index + 1 :]))


def _class_of(settings: Settings, kind: str) -> str | None:
    for key in (f"{kind}_processor_type", "feature_extractor_type"):
        value = settings.get(key)
        if isinstance(value, str):
            name = image_class(value)
            return name.replace("Ernie4_5_VL_Moe", "Ernie4_5_VLMoe") if kind == "image" else value
    return None


def _cut_by(settings: Settings, name: str, cut: _Cut) -> dict[str, Used]:
    """What the class takes from the file, and else its own defaults; a value that makes no sense is left out."""
    found = {}
    for key, default in zip(_ALL, (cut.patch, cut.merge, cut.frames), strict=True):
        stated = settings.get(key)
        edge = _edge(stated)
        if stated is None:
            found[key] = Used(key, default, settings.at(), name)
        elif edge is not None:
            found[key] = Used(key, edge, settings.at(key))
    return found


def _edge(value: Any) -> int | None:
    """A whole number, or the edge of a square that is given as a list or as height and width."""
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")]
    if isinstance(value, list) and value and all(v == value[0] for v in value):
        value = value[0]
    return value if type(value) is int and 0 < value <= LARGEST else None
