"""From the configuration of a language model to what its layers keep of each token."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.layer_kinds import Kinds, layer_kinds
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.kv_cache import CacheGeometry, CacheLayer, Kind
from mmdoctor.facts.model import MultimodalModel, TextModel, VisionModel

_CROSSED = frozenset(
    {"t5", "mt5", "umt5", "longt5", "bart", "mbart", "m2m_100", "marian", "pegasus", "blenderbot", "whisper", "trocr"}
    | {"speech_to_text", "moonshine", "pix2struct_text_model", "florence2", "vision-encoder-decoder"}
)
"""Types of which each layer attends to an encoder's states as well."""


def cache_geometry(model: MultimodalModel, text: TextModel, vision: VisionModel | None) -> CacheGeometry:
    """What each layer keeps.

    Raises:
        NotApplicable: the text model does not generate.
        Unavailable: a number is not stated, or the kinds of the layers are not known.
    """
    if not text.is_decoder:
        raise NotApplicable("the text encoder keeps nothing of earlier tokens")
    document = model.config.document
    section = document.get(text.section) if text.section else document.value
    section = section if isinstance(section, dict) else {}
    if text.num_hidden_layers is None:
        raise Unavailable("the number of layers is not stated")
    model_type = text.model_type or model.config.model_type
    kinds = layer_kinds(model_type, section, text.num_hidden_layers.value)
    if isinstance(kinds, str):
        raise Unavailable(kinds)
    layers = tuple(_layers(model, text, section, kinds))
    return CacheGeometry(
        layers=layers,
        kinds_at=document.at(f"{text.section}/layer_types" if kinds.stated else text.section),
        stated=kinds.stated,
        cross_states=_cross_states(model, vision, layers),
    )


def _layers(model: MultimodalModel, text: TextModel, section: Mapping[str, Any], kinds: Kinds) -> Iterator[CacheLayer]:
    latent = _latent(text, section)
    attended = bool({"full", "sliding", "chunked", "hybrid", "cross"} & set(kinds.kinds))
    heads, size = _heads(text, section) if latent is None and attended else (0, 0)
    shared = text.kv_shared_layers.value if text.kv_shared_layers is not None else 0
    crossed = bool({model.config.model_type, text.model_type} & _CROSSED)
    own = _own_settings(section)
    for number, kind in enumerate(kinds.kinds):
        if number >= len(kinds.kinds) - shared:
            yield CacheLayer(kind="none")
        elif latent is not None and kind == "full":
            yield latent
        else:
            window = kinds.window if kind in ("sliding", "chunked") else None
            layer = _layer(kind, heads, size, window, section, crossed=crossed)
            yield _overridden(layer, own.get(number, {}))


def _layer(
    kind: Kind, heads: int, size: int, window: int | None, section: Mapping[str, Any], *, crossed: bool
) -> CacheLayer:
    if kind == "none":
        return CacheLayer(kind=kind)
    state = _state(section) if kind in ("linear", "hybrid") else None
    if kind == "linear":
        return CacheLayer(kind=kind, state=state)
    full, wide = _of_full_layers(section, heads, size) if kind == "full" else (heads, size)
    return CacheLayer(
        kind=kind, heads=full, key_size=wide, value_size=wide, window=window, state=state, crossed=crossed
    )


def _own_settings(section: Mapping[str, Any]) -> dict[int, Mapping[str, Any]]:
    """Settings of single layers (`per_layer_config` of transformers 5: number of the layer to what differs)."""
    listed = section.get("per_layer_config")
    if not isinstance(listed, dict) or not all(isinstance(value, dict) for value in listed.values()):
        return {}
    own = {int(key): value for key, value in listed.items() if re.fullmatch(r"[0-9]{1,6}", str(key))}
    if len(own) != len(listed):
        raise Unavailable("per_layer_config names layers that are no numbers")
    return own


def _overridden(layer: CacheLayer, own: Mapping[str, Any]) -> CacheLayer:
    if not layer.heads:
        return layer
    heads, size = _whole(own.get("num_key_value_heads")) or layer.heads, _whole(own.get("head_dim")) or layer.key_size
    window = _whole(own.get("sliding_window")) if layer.window is not None else None
    return msgspec.structs.replace(layer, heads=heads, key_size=size, value_size=size, window=window or layer.window)


def _heads(text: TextModel, section: Mapping[str, Any]) -> tuple[int, int]:
    """(Key-value heads, numbers of a head). Falcon's older layers have one, whatever `num_kv_heads` says."""
    queries = text.num_attention_heads
    stated = text.num_key_value_heads
    single = text.multi_query is not None and text.multi_query.value
    if single and section.get("new_decoder_architecture") is not True:
        heads = 1
    elif stated is not None or queries is not None:
        heads = stated.value if stated is not None else queries.value if queries is not None else 0
    else:
        raise Unavailable("the number of attention heads is not stated")
    if text.head_dim is not None:
        return heads, text.head_dim.value
    if text.hidden_size is None or queries is None:
        raise Unavailable("the size of an attention head is not stated")
    return heads, text.hidden_size.value // queries.value


def _of_full_layers(section: Mapping[str, Any], heads: int, size: int) -> tuple[int, int]:
    """Gemma 4: layers that see everything have wider heads, and may have fewer (configuration_gemma4.py)."""
    wide, few = section.get("global_head_dim"), section.get("num_global_key_value_heads")
    few = few if section.get("attention_k_eq_v") in (True, None) else None
    return _whole(few) or heads, _whole(wide) or size


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**32 else None


def _latent(text: TextModel, section: Mapping[str, Any]) -> CacheLayer | None:
    """DeepSeek V2 and V3, Kimi, MiniCPM 3: one vector for all heads, and a shared key with the position."""
    rank, rotary = _whole(section.get("kv_lora_rank")), _whole(section.get("qk_rope_head_dim"))
    if rank is None or rotary is None or section.get("use_mla") is False:
        return None
    plain, value = _whole(section.get("qk_nope_head_dim")), _whole(section.get("v_head_dim"))
    heads = text.num_attention_heads
    expanded = heads.value * (plain + rotary + value) if heads is not None and plain and value else None
    return CacheLayer(kind="latent", heads=1, key_size=rank, value_size=rotary, expanded=expanded)


def _state(section: Mapping[str, Any]) -> int | None:
    """Gated delta networks (Qwen3-Next, Qwen3.5): a matrix a value head, and the inputs of a convolution.

    transformers 5.23, modeling_qwen3_next.py, Qwen3NextGatedDeltaNet.
    """
    keys = ("linear_num_key_heads", "linear_key_head_dim", "linear_num_value_heads", "linear_value_head_dim")
    found = [_whole(section.get(key)) for key in (*keys, "linear_conv_kernel_dim")]
    sizes = [n for n in found if n is not None]
    if len(sizes) == len(found):
        key_heads, key_size, value_heads, value_size, kernel = sizes
        channels = 2 * key_heads * key_size + value_heads * value_size
        return value_heads * key_size * value_size + channels * (kernel - 1)
    taps, width = _whole(section.get("conv_L_cache")), _whole(section.get("hidden_size"))
    return taps * width if taps is not None and width is not None else None


def _cross_states(model: MultimodalModel, vision: VisionModel | None, layers: tuple[CacheLayer, ...]) -> int | None:
    if not any(layer.kind == "cross" or layer.crossed for layer in layers):
        return None
    if (
        model.config.model_type == "whisper"
        and model.audio is not None
        and model.audio.max_source_positions is not None
    ):
        return model.audio.max_source_positions.value
    if model.config.model_type == "mllama" and vision is not None and vision.image_size and vision.patch_size:
        tiles = _whole(model.config.document.get(f"{vision.section}/max_num_tiles")) or 4
        return ((vision.image_size.value // vision.patch_size.value) ** 2 + 1) * tiles
    return None
