"""What models keep of a token: numbers that engines print, rules of older files, and nonsense."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.architectures.kv_cache import cache_geometry
from mmdoctor.architectures.registry import known_types
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.kv_cache import CacheGeometry
from tests.architectures.made import LLAMA
from tests.architectures.test_normalise import normalised


def geometry(value: dict[str, Any]) -> CacheGeometry:
    model = normalised(value)
    if model.text is None:
        raise NotApplicable("no text")
    return cache_geometry(model, model.text, model.vision)


def text(layers: int, heads: int, kv: int, size: int, **more: Any) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv,
        "head_dim": size,
        "hidden_size": heads * size,
        "vocab_size": 1000,
        **more,
    }


DEEPSEEK = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128}
PRINTED: list[tuple[dict[str, Any], int]] = [
    # Qwen2.5-VL-7B: 57,344 bytes a token at two bytes a number.
    ({"model_type": "qwen2_5_vl", "text_config": text(28, 28, 4, 128)}, 57_344 // 2),
    # Qwen3-VL-8B: 147,456 bytes (vLLM's log).
    ({"model_type": "qwen3_vl", "text_config": text(36, 32, 8, 128)}, 147_456 // 2),
    # DeepSeek-V3: 61 layers x 576 numbers, 70,272 bytes (vLLM's log of Kimi-K2.5, which has the same).
    ({"model_type": "deepseek_v3", **text(61, 128, 128, 128), **DEEPSEEK}, 70_272 // 2),
    # Phi-3.5-vision: 393,216 bytes, all 32 heads of 96.
    ({"model_type": "phi3_v", **text(32, 32, 32, 96)}, 393_216 // 2),
    # Falcon-7B: one head for all.
    ({"model_type": "falcon", **text(32, 71, 71, 64), "multi_query": True}, 32 * 2 * 64),
    # Llama 3.2 Vision: 32 of 40 layers keep the text.
    ({"model_type": "mllama", "text_config": text(40, 32, 8, 128), "vision_config": {}}, 32 * 2 * 8 * 128),
]


@pytest.mark.parametrize(("config", "numbers"), PRINTED)
def test_numbers_of_a_token(config: dict[str, Any], numbers: int) -> None:
    assert geometry(config).numbers_per_token == numbers


def test_windows_drop_what_is_too_old() -> None:
    """Gemma 3 27B: 10 of 62 layers see everything, the others 1024 tokens."""
    found = geometry({"model_type": "gemma3", "text_config": text(62, 32, 16, 128, sliding_window=1024)})
    each = 2 * 16 * 128

    assert [layer.kind for layer in found.layers].count("full") == 10
    assert not found.stated
    assert found.numbers(1024) == 62 * each * 1024
    assert found.numbers(131_072) == (10 * 131_072 + 52 * 1024) * each


def test_states_of_fixed_size() -> None:
    """Qwen3.6-27B: 48 value heads and 16 key heads of 128, a convolution of four taps."""
    linear = {"linear_num_key_heads": 16, "linear_num_value_heads": 48, "linear_conv_kernel_dim": 4}
    linear |= {"linear_key_head_dim": 128, "linear_value_head_dim": 128}
    found = geometry(
        {"model_type": "qwen3_5", "text_config": text(64, 24, 4, 256, model_type="qwen3_5_text", **linear)}
    )

    assert [layer.kind for layer in found.layers[:4]] == ["linear", "linear", "linear", "full"]
    assert found.layers[0].state == 48 * 128 * 128 + (2 * 16 + 48) * 128 * 3
    assert found.state == 48 * found.layers[0].state
    assert found.numbers_per_token == 16 * 2 * 4 * 256


def test_cross_attention_keeps_the_image() -> None:
    value = {"image_size": 560, "patch_size": 14, "max_num_tiles": 4}
    found = geometry({"model_type": "mllama", "text_config": text(40, 32, 8, 128), "vision_config": value})

    assert found.cross_states == 1601 * 4
    assert [layer.kind for layer in found.layers].count("cross") == 8


def test_an_encoder_is_kept_as_well() -> None:
    found = geometry({"model_type": "whisper"})

    assert all(layer.crossed for layer in found.layers)
    assert found.cross_states == 1500


def test_shared_layers_keep_nothing() -> None:
    config = text(30, 8, 2, 256, num_kv_shared_layers=10, sliding_window=512)

    assert [layer.kind for layer in geometry({"model_type": "gemma3n", "text_config": config}).layers[20:]] == [
        "none"
    ] * 10


def test_wider_heads_where_everything_is_seen() -> None:
    kinds = ["sliding_attention", "full_attention"]
    config = text(2, 8, 4, 256, layer_types=kinds, sliding_window=512, global_head_dim=512)
    found = geometry({"model_type": "gemma4", "text_config": {**config, "num_global_key_value_heads": 2}})

    assert [layer.numbers_per_token for layer in found.layers] == [2 * 4 * 256, 2 * 2 * 512]
    assert found.stated
    assert found.kinds_at.pointer == "/text_config/layer_types"


def test_settings_of_single_layers() -> None:
    kinds = ["sliding_attention", "full_attention"]
    config = text(2, 8, 4, 256, layer_types=kinds, sliding_window=512, per_layer_config={"01": {"head_dim": 512}})

    assert [layer.key_size for layer in geometry({"model_type": "gemma4", "text_config": config}).layers] == [256, 512]


def test_the_flat_layout_of_the_hub() -> None:
    config = {"model_type": "qwen2_5_vl", **text(28, 28, 4, 128, use_sliding_window=False, sliding_window=32768)}

    assert {layer.kind for layer in geometry({**config, "vision_config": {}}).layers} == {"full"}


@pytest.mark.parametrize(
    "config",
    [
        {**LLAMA, "model_type": "new_hybrid", "mamba_d_state": 16},
        {**LLAMA, "model_type": "new_windows", "sliding_window": 512},
        {**LLAMA, "model_type": "llama", "layer_types": ["compressed_sparse_attention"] * LLAMA["num_hidden_layers"]},
        {**LLAMA, "model_type": "llama", "layer_types": ["full_attention"]},
        {**LLAMA, "model_type": "nemotron_nas", "block_configs": [{}]},
        {**LLAMA, "model_type": "deepseek_v32", "index_head_dim": 128},
    ],
)
def test_kinds_that_nobody_knows_are_not_guessed_at(config: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        geometry(config)


def test_an_unknown_type_without_anything_odd_is_plain() -> None:
    assert {layer.kind for layer in geometry({**LLAMA, "model_type": "brand_new"}).layers} == {"full"}


def test_encoders_keep_nothing() -> None:
    with pytest.raises(NotApplicable):
        geometry({**LLAMA, "model_type": "bert"})


KEYS = ["layer_types", "sliding_window", "num_hidden_layers", "kv_lora_rank", "qk_rope_head_dim", "num_attention_heads"]
KEYS += [
    "no_rope_layers",
    "full_attn_idxs",
    "cross_attention_layers",
    "use_sliding_window",
    "max_window_layers",
    "head_dim",
]
KEYS += [
    "sliding_window_pattern",
    "full_attention_interval",
    "attn_layer_offset",
    "attention_chunk_size",
    "multi_query",
]
KIND = st.sampled_from(["full_attention", "sliding_attention", "x"])
NUMBER = st.integers(-2, 10**30) | st.floats() | st.none() | st.booleans() | st.text(max_size=3)
VALUE = NUMBER | st.lists(st.integers(-1, 9)) | st.lists(KIND, max_size=4) | st.dictionaries(st.text(), st.none())


@settings(deadline=None, max_examples=300)
@given(kind=st.sampled_from(known_types()), changes=st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=5))
def test_settings_without_sense(kind: str, changes: dict[str, Any]) -> None:
    inner = {**LLAMA, **changes}

    with suppress(NotApplicable, Unavailable):
        found = geometry({"model_type": kind, **inner, "text_config": inner, "llm_config": inner, "decoder": inner})
        assert found.numbers(1000) >= 0
