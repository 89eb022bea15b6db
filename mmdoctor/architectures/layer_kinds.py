"""Which layers of a language model see all tokens, which a window, which a state.

Files list it (`layer_types`) since transformers 4.53; for older ones the rules of the configuration classes hold
(transformers 5.23, models/*/configuration_*.py, `__post_init__`; cache_utils.py, get_layer_types_and_kwargs).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from mmdoctor.facts.kv_cache import Kind

Section = Mapping[Any, Any]
MAX_LAYERS = 4096
"""Published models have 126."""

_NAMED: Mapping[str, Kind] = {
    "full_attention": "full",
    "attention": "full",
    "sliding_attention": "sliding",
    "chunked_attention": "chunked",
    "linear_attention": "linear",
    "mamba": "linear",
    "conv": "linear",
    "hybrid": "hybrid",
    "moe": "none",
    "mlp": "none",
}
"""Values of `layer_types`; others (compressed, indexed) keep more than keys and values, and are not known."""

_WINDOWED = ("sliding_window", "attention_chunk_size")
_TELLING = (
    *("index_", "pattern", "interval", "mamba", "ssm", "linear_", "conv_", "attn_layer", "layer_idx", "hybrid"),
    *("state_size", "block_types", "lru_"),
)
"""Parts of keys that tell of layers which differ from each other, or keep more than keys and values."""

_ODD = frozenset({"funnel", "longcat_flash"})
"""Types whose layers are counted in another way: in blocks, or with two attentions each."""


class Kinds(msgspec.Struct, frozen=True):
    """Kind and window, layer by layer."""

    kinds: tuple[Kind, ...]
    window: int | None = None
    stated: bool = False


def layer_kinds(model_type: str | None, section: Section, layers: int) -> Kinds | str:
    """Kinds of so many layers; why they are not known, where they are not."""
    if not 0 < layers <= MAX_LAYERS:
        return f"{layers} layers are no number that makes sense"
    if model_type in _ODD or isinstance(section.get("block_configs"), list):
        return "the layers have settings of their own"
    listed = section.get("layer_types")
    rule = _RULES.get(model_type or "")
    if isinstance(listed, list):
        named = [_NAMED.get(name) if isinstance(name, str) else None for name in listed]
        if None in named or len(named) != layers:
            return "layer_types names kinds of layers that are not known, or not as many as there are"
        found = Kinds(tuple(n for n in named if n is not None), _window(model_type, section), stated=True)
    elif rule is not None:
        found = rule(section, layers)
    elif model_type in _uniform():
        found = _windowed(section, layers)
    elif not any(part in str(key) for key in section for part in (*_TELLING, *_WINDOWED)):
        found = _same("full", layers)
    else:
        return f"how the layers of {model_type} attend is not known"
    if found.window is None and {"sliding", "chunked"} & set(found.kinds):
        return "some layers see a window, and its size is not stated"
    return found


def _same(kind: Kind, layers: int, window: int | None = None) -> Kinds:
    return Kinds((kind,) * layers, window)


def _window(model_type: str | None, section: Section) -> int | None:
    for key in _WINDOWED:
        if (size := _stated_window(section, key)) is not None:
            return size
    return _WINDOWS.get(model_type or "")


def _stated_window(section: Section, key: str) -> int | None:
    value = section.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**40 else None


def _number(section: Section, key: str, default: int) -> int:
    value = section.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def _every(
    step: int, other: Kind = "sliding", *, key: str = "sliding_window_pattern"
) -> Callable[[Section, int], Kinds]:
    """Each `step`-th layer sees everything."""

    def kinds(section: Section, layers: int) -> Kinds:
        period = _number(section, key, step)
        found: tuple[Kind, ...] = tuple("full" if (i + 1) % period == 0 else other for i in range(layers))
        return Kinds(found, _stated_window(section, "sliding_window") or _WINDOWS.get(str(section.get("model_type"))))

    return kinds


def _windowed(section: Section, layers: int) -> Kinds:
    """All layers, where a window is stated and not switched off (Phi-3, StarCoder 2, Mixtral)."""
    window = _stated_window(section, "sliding_window")
    window = None if section.get("use_sliding_window") is False else window
    return _same("full", layers) if window is None else _same("sliding", layers, window)


def _windowed_by_default(section: Section, layers: int) -> Kinds:
    if "sliding_window" not in section:
        return _same("sliding", layers, 4096)
    return _windowed(section, layers)


def _from_layer(section: Section, layers: int) -> Kinds:
    """Qwen 2 to 3: the layers from `max_window_layers` on, and only if `use_sliding_window`."""
    window = _stated_window(section, "sliding_window") if "sliding_window" in section else 4096
    if section.get("use_sliding_window") is not True or window is None:
        return _same("full", layers)
    first = section.get("max_window_layers", 28)
    first = first if isinstance(first, int) and not isinstance(first, bool) else 28
    return Kinds(tuple("full" if i < first else "sliding" for i in range(layers)), window)


def _llama4(section: Section, layers: int) -> Kinds:
    """Layers without rotary positions see everything."""
    listed, period = section.get("no_rope_layers"), _number(section, "no_rope_layer_interval", 4)
    rotary = listed if isinstance(listed, list) and len(listed) == layers else [(i + 1) % period for i in range(layers)]
    window = _stated_window(section, "attention_chunk_size") if "attention_chunk_size" in section else 8192
    if window is None:
        return _same("full", layers)
    return Kinds(tuple("chunked" if flag else "full" for flag in rotary), window)


def _among(key: str, default: Sequence[int] | None, inside: Kind, outside: Kind) -> Callable[[Section, int], Kinds]:
    """Layers named by their numbers."""

    def kinds(section: Section, layers: int) -> Kinds:
        listed = section.get(key)
        chosen = {n for n in listed if isinstance(n, int)} if isinstance(listed, list) else None
        chosen = set(default if default is not None else range(layers)) if chosen is None else chosen
        return Kinds(tuple(inside if i in chosen else outside for i in range(layers)))

    return kinds


def _jamba(section: Section, layers: int) -> Kinds:
    period, offset = _number(section, "attn_layer_period", 8), section.get("attn_layer_offset", 4)
    return Kinds(tuple("full" if i % period == offset else "linear" for i in range(layers)))


def _minimax(_: Section, layers: int) -> Kinds:
    return Kinds(tuple("full" if (i + 1) % 2 else "linear" for i in range(layers)))


def _gemma3n(section: Section, layers: int) -> Kinds:
    return _every(5, key="")(section, layers)


_WINDOWS: Mapping[str, int] = {
    "gemma2": 4096,
    "gemma3": 4096,
    "gemma3_text": 4096,
    "gemma3n_text": 512,
    "gemma4_text": 512,
    "cohere2": 4096,
    "gpt_oss": 128,
    "exaone4": 4096,
    "olmo3": 4096,
    "mistral": 4096,
    "llama4_text": 8192,
}
"""Windows of classes whose file states none."""

_RULES: Mapping[str, Callable[[Section, int], Kinds]] = {
    "gemma2": _every(2, key=""),
    "gemma3_text": _every(6),
    "gemma3n_text": _gemma3n,
    "cohere2": _every(4),
    "gpt_oss": _every(2, key=""),
    "olmo3": _every(4, key=""),
    **dict.fromkeys(
        ("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"), _every(4, "linear", key="full_attention_interval")
    ),
    **dict.fromkeys(
        ("phi3", "phi3_v", "phi4_multimodal", "phimoe", "mixtral", "starcoder2", "llava_mistral"), _windowed
    ),
    "mistral": _windowed_by_default,
    **dict.fromkeys(
        (
            *("qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text"),
            *("qwen2_vl", "qwen2_5_vl", "llava_qwen", "mineru2_qwen"),
        ),
        _from_layer,
    ),
    "llama4_text": _llama4,
    "mllama_text_model": _among("cross_attention_layers", (3, 8, 13, 18, 23, 28, 33, 38), "cross", "full"),
    "lfm2": _among("full_attn_idxs", None, "full", "linear"),
    "bamba": _among("attn_layer_indices", (), "full", "linear"),
    "granitemoehybrid": _among("", (), "full", "linear"),
    "jamba": _jamba,
    **dict.fromkeys(("speech_to_text", "moonshine", "speecht5"), lambda _, layers: _same("full", layers)),
    "minimax": _minimax,
    **dict.fromkeys(("mamba", "mamba2", "falcon_mamba"), lambda _, layers: _same("linear", layers)),
    **dict.fromkeys(("falcon_h1",), lambda _, layers: _same("hybrid", layers)),
}
"""By the type of the language model, where its file lists no kinds."""


@cache
def _uniform() -> frozenset[str]:
    """Types of which all layers see everything unless a window is stated (written by tools/uniform_layers.py)."""
    found = msgspec.json.decode((Path(__file__).parent / "uniform_layers.json").read_bytes(), type=dict[str, list[str]])
    return frozenset(found["types"])
