"""How a model family writes its configuration: a small declarative record a family."""

from collections.abc import Mapping

import msgspec

TEXT_SECTIONS = (
    "/text_config",
    "/llm_config",
    "/language_config",
    "/thinker_config/text_config",
    "/vlm_config/text_config",
    "/language",
    "/lang_config",
    "/language_model_config",
    "/decoder",
    "/text_encoder",
    "/text",
)
"""Where families put the language model, most frequent first. If none is there, the top level is the text model."""

VISION_SECTIONS = (
    "/vision_config",
    "/thinker_config/vision_config",
    "/vlm_config/vision_config",
    "/visual",
    "/vit_config",
    "/vision_encoder_config",
    "/vision_tower_config",
    "/image_config",
    "/encoder",
)
"""Where families put the vision tower."""

AUDIO_SECTIONS = (
    "/audio_config",
    "/thinker_config/audio_config",
    "/audio_encoder_config",
    "/speech_config",
    "/encoder_config",
    "/encoder",
)
"""Where families put the audio tower."""


_GENERAL: Mapping[str, tuple[str, ...]] = {}


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Where a part's settings stand and how they are spelled, as far as that is not the general way."""

    at: tuple[str, ...]
    """JSON pointers to try, in order; empty string for the top level."""
    model_type: str | None = None
    """The class that the library takes when the section names none."""
    spelling: Mapping[str, tuple[str, ...]] = {}
    """Field to its keys, where the general spellings would mislead; an empty tuple when it is never stated."""
    decoder: bool = True
    """Of a text model: whether it generates."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one family of models."""

    name: str
    model_types: tuple[str, ...]
    """Values of `model_type` at the top level."""
    classes: tuple[str, ...] = ()
    """Class names in `architectures` that tell the family when `model_type` does not."""
    text: Section | None = None
    vision: Section | None = None
    audio: Section | None = None
    extra_positions: int | None = None
    """Rows of the vision tower's position table beyond one a patch: 1 for a class token; None when not known."""
    interpolates: bool = False
    """Whether the vision tower takes images of another size than `image_size`."""
    token_keys: Mapping[str, tuple[str, ...]] = {}
    """Role of a placeholder to its keys, where the general spellings do not have it."""


def text(
    *at: str,
    model_type: str | None = None,
    decoder: bool = True,
    spelling: Mapping[str, tuple[str, ...]] = _GENERAL,
    **keys: tuple[str, ...],
) -> Section:
    """A text section; without pointers, at the usual places and else at the top level."""
    return Section(at=at or (*TEXT_SECTIONS, ""), model_type=model_type, decoder=decoder, spelling={**spelling, **keys})


def vision(
    *at: str,
    model_type: str | None = None,
    spelling: Mapping[str, tuple[str, ...]] = _GENERAL,
    **keys: tuple[str, ...],
) -> Section:
    """A vision section; without pointers, at the usual places."""
    return Section(at=at or VISION_SECTIONS, model_type=model_type, spelling={**spelling, **keys})


def audio(
    *at: str,
    model_type: str | None = None,
    spelling: Mapping[str, tuple[str, ...]] = _GENERAL,
    **keys: tuple[str, ...],
) -> Section:
    """An audio section; without pointers, at the usual places."""
    return Section(at=at or AUDIO_SECTIONS, model_type=model_type, spelling={**spelling, **keys})
