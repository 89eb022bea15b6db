"""From config.json to the same fields for every family."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.architectures import top_level
from mmdoctor.architectures.family import Family, Section
from mmdoctor.architectures.registry import find_family, general_family
from mmdoctor.architectures.spelling import (
    AUDIO_KEYS,
    TEXT_KEYS,
    VISION_KEYS,
    ClassDefaults,
    SectionReader,
    class_defaults,
)
from mmdoctor.facts.model import AudioModel, ModelConfig, MultimodalModel, TextModel, VisionModel
from mmdoctor.location import Reading

GENERIC = "generic"
"""Family of types that neither a module here nor transformers knows."""
LIBRARY = "library"
"""Family of types of transformers without a module here: its class defaults apply, and the usual spellings."""

_ENCODER_ONLY = ("Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForPreTraining")


def normalise(config: ModelConfig) -> MultimodalModel:
    """The model as its configuration states it.

    A field is None when neither the file states it nor a class default is known that transformers 4.57 and 5.23 share.
    """
    document = config.document
    family = find_family(config.model_type, config.architectures)
    native = config.model_type in class_defaults()
    known = family is not None or native
    family = family or general_family(document, LIBRARY if native else GENERIC)
    text = _text(config, family)
    vision = _vision(config, family)
    top = SectionReader(document, "", {}, config.model_type)
    return MultimodalModel(
        config=config,
        family=family.name,
        known=known,
        text=text,
        vision=vision,
        audio=_audio(config, family),
        token_ids=top_level.token_ids(document, family, text),
        tie_word_embeddings=top.boolean("tie_word_embeddings"),
        ties_by_default=top_level.ties_by_default(config.model_type, text),
        feature_layers=top_level.feature_layers(document, config.model_type, vision),
        shuffle=top_level.shuffle(document, config.model_type, vision),
        external_tower=document.read("/mm_vision_tower", str) or document.read("/vision_tower", str),
        remote_code=tuple(top_level.remote_code(document)),
    )


def _open(
    config: ModelConfig, family: Family, section: Section, keys: Mapping[str, tuple[str, ...]], kind: str
) -> SectionReader | None:
    """The reader of the first of a section's places that exists."""
    for pointer in section.at:
        value = config.document.get(pointer) if pointer else config.document.value
        if isinstance(value, dict):
            model_type = _class_of(config, section, pointer, value, kind)
            return SectionReader(
                config.document, pointer, {**keys, **section.spelling}, model_type, guessed=family.name == GENERIC
            )
    return None


def _class_of(config: ModelConfig, section: Section, pointer: str, value: Mapping[str, Any], kind: str) -> str | None:
    """The model type whose class defaults hold in a section: the one it names, else the usual one of its parent."""
    if not pointer:
        return section.model_type or config.model_type
    table = class_defaults()
    *above, key = pointer.split("/")[1:]
    parent = config.model_type or ""
    for token in above:
        parent = table.get(parent, ClassDefaults()).sections.get(token, parent)
    usual = section.model_type or table.get(parent, ClassDefaults()).sections.get(key)
    stated = value.get("model_type")
    if not isinstance(stated, str) or stated in (parent, config.model_type):
        return usual
    return table.get(stated, ClassDefaults()).sections.get(f"{kind}_config", stated)


def _text(config: ModelConfig, family: Family) -> TextModel | None:
    if family.text is None:
        return None
    reader = _open(config, family, family.text, TEXT_KEYS, "text")
    if reader is None:
        return None
    fields = {
        name: reader.integer(name)
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
            "vocab_size",
            "max_position_embeddings",
            "encoder_layers",
        )
    }
    if family.name in (GENERIC, LIBRARY) and fields["hidden_size"] is None and fields["vocab_size"] is None:
        return None
    shared = reader.integer("num_kv_shared_layers")
    mtp = reader.integer("num_nextn_predict_layers")
    return TextModel(
        section=reader.pointer,
        model_type=_stated_type(reader),
        **fields,
        tie_word_embeddings=reader.boolean("tie_word_embeddings"),
        is_decoder=family.text.decoder and _generates(config, family, reader),
        other_head_counts=reader.matching("attention_heads", "n_head", "num_heads"),
        other_kv_counts=reader.matching("key_value_heads", "kv_head", "query_group", "head_kv"),
        other_head_dims=reader.matching("head_dim", "d_kv", "kv_channels", "head_size"),
        multi_query=reader.boolean("multi_query"),
        kv_shared_layers=shared,
        mtp_layers=mtp,
        by_default=tuple(reader.by_default),
        other_stacks=_other_stacks(config, reader.pointer),
    )


def _other_stacks(config: ModelConfig, section: str) -> tuple[str, ...]:
    """Words such as `decoder` or `talker`: sections beside the text section that state attention heads of their own."""
    words = []
    for pointer, value in config.document.walk() if section else ():
        stated = isinstance(value, dict) and any("heads" in key for key in value)
        if stated and not section.startswith(pointer) and not pointer.startswith(section):
            words.append(pointer.rpartition("/")[2].removesuffix("_config"))
    return tuple(words)


def _generates(config: ModelConfig, family: Family, reader: SectionReader) -> bool:
    if family.name not in (GENERIC, LIBRARY) or reader.pointer:
        return True
    return not (config.architectures and all(name.endswith(_ENCODER_ONLY) for name in config.architectures))


def _vision(config: ModelConfig, family: Family) -> VisionModel | None:
    reader = _open(config, family, family.vision, VISION_KEYS, "vision") if family.vision else None
    if reader is None or family.vision is None:
        return None
    fields = {
        name: reader.integer(name)
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_channels",
            "patch_size",
            "temporal_patch_size",
            "image_size",
            "spatial_merge_size",
            "output_size",
            "head_dim",
            "num_positions",
        )
    }
    if family.name in (GENERIC, LIBRARY) and not any(fields.values()):
        return None
    return VisionModel(
        section=reader.pointer,
        model_type=_stated_type(reader),
        **fields,
        image_shape=reader.edges("image_size"),
        patch_shape=reader.edges("patch_size"),
        extra_positions=family.extra_positions if family.extra_positions is not None else _extra_positions(reader),
        interpolates=family.interpolates,
        global_layers=Reading(count, reader.at("num_global_layers"))
        if isinstance(count := reader.section.get("num_global_layers"), int) and not isinstance(count, bool)
        else None,
        by_default=tuple(reader.by_default),
    )


_EXTRA_POSITIONS = {
    "clip_vision_model": 1,
    "siglip_vision_model": 0,
    "siglip2_vision_model": 0,
    "internvl_vision": 1,
    "intern_vit_6b": 1,
    "vit": 1,
    "deit": 2,
    "janus_vision_model": 0,
    "got_ocr2_vision": 0,
}
"""By type of the tower, where the family takes any tower: rows of the position table beyond one a patch."""


def _extra_positions(reader: SectionReader) -> int | None:
    return _EXTRA_POSITIONS.get(reader.model_type or "")


def _audio(config: ModelConfig, family: Family) -> AudioModel | None:
    reader = _open(config, family, family.audio, AUDIO_KEYS, "audio") if family.audio else None
    if reader is None:
        return None
    fields = {
        name: reader.integer(name)
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_mel_bins", "max_source_positions")
    }
    if family.name in (GENERIC, LIBRARY) and not any(fields.values()):
        return None
    return AudioModel(
        section=reader.pointer,
        model_type=_stated_type(reader),
        **fields,
        by_default=tuple(reader.by_default),
    )


def _stated_type(reader: SectionReader) -> str | None:
    stated = reader.section.get("model_type")
    return stated if isinstance(stated, str) else reader.model_type
