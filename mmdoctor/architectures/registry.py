"""All families by model type and by class name, and the general one for types that no module knows."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module

from mmdoctor.architectures.family import Family, audio, text, vision
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.documents import JsonDocument

_MODULES = (
    "llava",
    "qwen",
    "gemma",
    "internvl",
    "idefics",
    "blip",
    "mistral",
    "llama",
    "speech",
    "contrastive",
    "image_encoders",
    "language",
    "remote",
    "bundled",
)

_TEXT_MARKS = ("vocab_size", "padded_vocab_size", "n_vocab")
_VISION_MARKS = ("patch_size", "image_size", "num_channels", "in_chans", "img_size", "embed_dim", "patch_sizes")
_AUDIO_MARKS = ("num_mel_bins", "conv_dim", "feat_extract_norm", "n_mels", "num_feat_extract_layers")


@cache
def _families() -> tuple[Mapping[str, Family], Mapping[str, Family]]:
    by_type: dict[str, Family] = {}
    by_class: dict[str, Family] = {}
    for family in _all():
        by_type |= dict.fromkeys(family.model_types, family)
        by_class |= dict.fromkeys(family.classes, family)
    return by_type, by_class


def _all() -> Iterator[Family]:
    for name in _MODULES:
        yield from import_module(f"mmdoctor.architectures.{name}").FAMILIES


def known_types() -> tuple[str, ...]:
    """Every model type that a family module knows."""
    return tuple(sorted(_families()[0]))


def find_family(model_type: str | None, architectures: tuple[str, ...]) -> Family | None:
    """The family of a model type, or of the first class name that tells one; None when no module knows it."""
    by_type, by_class = _families()
    if model_type in by_type:
        return by_type[str(model_type)]
    if model_type is None or model_type not in class_defaults():
        return next((by_class[name] for name in architectures if name in by_class), None)
    return None


def general_family(document: JsonDocument, name: str) -> Family:
    """A family for a type without a module: sections at the usual places, the top level by the settings it has."""
    top = document.value if isinstance(document.value, dict) else {}

    def marked(marks: tuple[str, ...]) -> bool:
        return any(key in top for key in marks)

    has_text, has_vision, has_audio = marked(_TEXT_MARKS), marked(_VISION_MARKS), marked(_AUDIO_MARKS)
    text_here = text() if has_text or not (has_vision or has_audio) else text(*text().at[:-1])
    vision_here = vision(*vision().at, "") if has_vision and not has_text else vision()
    audio_here = audio(*audio().at, "") if has_audio else audio()
    return Family(name=name, model_types=(), text=text_here, vision=vision_here, audio=audio_here, interpolates=True)
