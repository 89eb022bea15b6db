"""What a configuration says of the model as a whole: placeholder ids, tied weights, what the projector gets."""

from collections.abc import Iterator, Mapping

from mmdoctor.architectures.family import Family
from mmdoctor.architectures.spelling import ClassDefaults, class_defaults
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import TextModel, VisionModel
from mmdoctor.location import Reading

_TOKEN_KEYS: Mapping[str, tuple[str, ...]] = {
    "image": (
        (
            "image_token_id",
            "image_token_index",
            "media_placeholder_token_id",
            "media_token_id",
            "img_context_token_id",
            "im_patch_token_id",
            "image_context_token_id",
        )
    ),
    "video": ("video_token_id", "video_token_index"),
    "audio": ("audio_token_id", "audio_token_index"),
    "vision_start": ("vision_start_token_id",),
    "vision_end": ("vision_end_token_id",),
    "boi": ("boi_token_id", "boi_token_index"),
    "eoi": ("eoi_token_id", "eoi_token_index"),
    "audio_start": ("audio_start_token_id", "boa_token_id", "boa_token_index"),
    "audio_end": ("audio_end_token_id", "eoa_token_id", "eoa_token_index"),
}


def token_ids(document: JsonDocument, family: Family, text: TextModel | None) -> dict[str, Reading[int]]:
    """Placeholder and delimiter ids by role; the top level first, then where families nest them."""
    sections = dict.fromkeys(("", "/thinker_config", "/vlm_config", text.section if text else ""))
    found: dict[str, Reading[int]] = {}
    for role, keys in {**_TOKEN_KEYS, **family.token_keys}.items():
        for section in sections:
            readings = (document.read(f"{section}/{key}", int) for key in keys)
            reading = next((r for r in readings if r is not None and r.value >= 0), None)
            if reading is not None:
                found[role] = reading
                break
    return found


def ties_by_default(model_type: str | None, text: TextModel | None) -> bool | None:
    """Whether head and embedding are one tensor when no level says so, where both transformers generations agree.

    5.x asks the top level's class (modeling_utils.py, get_expanded_tied_weights_keys), 4.x that of the text section
    (tie_weights, config.get_text_config(decoder=True)).
    """
    table = class_defaults()
    top = inner = table.get(model_type or "", ClassDefaults()).ties
    if text is not None and text.section:
        inner = table.get(text.model_type or "", ClassDefaults()).ties
    new, old = top[0], inner[1] if inner[1] is not None else inner[0]
    return new if new is not None and new == old else None


def feature_layers(
    document: JsonDocument, model_type: str | None, vision: VisionModel | None
) -> Reading[tuple[int, ...]] | None:
    """Tower layers whose features are taken: stated, or the class default."""
    if vision is None:
        return None
    for pointer in ("/vision_feature_layer", "/vision_feature_layers", "/mm_vision_select_layer", "/select_layer"):
        value = document.get(pointer)
        layers = value if isinstance(value, list) else [value]
        if layers and all(isinstance(n, int) and not isinstance(n, bool) for n in layers):
            return Reading(tuple(layers), document.at(pointer))
    default = class_defaults().get(model_type or "", ClassDefaults()).defaults.get("vision_feature_layer")
    if isinstance(default, int):
        return Reading((default,), document.at())
    return None


def shuffle(document: JsonDocument, model_type: str | None, vision: VisionModel | None) -> Reading[int] | None:
    """Patches along one edge that are stacked before the projector; InternVL states the inverse."""
    defaults = class_defaults().get(model_type or "", ClassDefaults()).defaults
    for key, inverse in (
        ("downsample_ratio", True),
        ("scale_factor", False),
        ("downsample_factor", False),
        ("pixel_shuffle_factor", False),
        ("spatial_merge_size", False),
    ):
        value = document.get(f"/{key}")
        at = document.at(f"/{key}")
        if value is None and key not in (document.value if isinstance(document.value, dict) else {}):
            value, at = defaults.get(key), document.at()
        if isinstance(value, int | float) and not isinstance(value, bool) and 1 / 1024 < value < 1024:
            factor = 1 / value if inverse else float(value)
            return Reading(round(factor), at) if abs(factor - round(factor)) < 1e-6 else None
    return vision.spatial_merge_size if vision else None


def remote_code(document: JsonDocument) -> Iterator[Reading[str]]:
    """Values of every `auto_map`."""
    for pointer, value in document.walk():
        if isinstance(value, str) and "/auto_map/" in pointer:
            yield Reading(value, document.at(pointer))
