"""Kinds of layers and sizes of the cache against the library's own cache objects."""

import json
from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.kv_cache import cache_geometry
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.kv_cache import CacheGeometry
from mmdoctor.facts.model import ModelConfig

pytest.importorskip("transformers")

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers.cache_utils import get_layer_types_and_kwargs
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

SAME = {"sliding_attention": "sliding", "chunked_attention": "chunked", "linear_attention": "linear", "conv": "linear"}
SAME |= {"full_attention": "full", "hybrid": "hybrid", "dummy": "none"}


def geometry(config: Any) -> CacheGeometry:
    value = json.loads(json.dumps(config if isinstance(config, dict) else config.to_dict(), default=str))
    names = tuple(value.get("architectures") or ())
    document = JsonDocument(file="config.json", value=value)
    model = multimodal_model(ModelConfig(document=document, model_type=value.get("model_type"), architectures=names))
    if model.text is None:
        raise NotApplicable("there is no text model")
    return cache_geometry(model, model.text, model.vision)


def library(config: Any) -> list[tuple[str, int | None]]:
    """(Kind, window) of each layer."""
    kinds, settings = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
    return [(SAME.get(k, k), s.get("sliding_window")) for k, s in zip(kinds, settings, strict=True)]


def said(config: Any) -> list[tuple[str, int | None]] | str:
    try:
        found = geometry(config)
    except (NotApplicable, Unavailable) as reason:
        return str(reason)
    alike = {"latent": "full", "cross": "full"}
    return [(alike.get(layer.kind, layer.kind), layer.window) for layer in found.layers]


DERIVED = (
    "gemma2",
    "gemma3_text",
    "gemma3n_text",
    "cohere2",
    "gpt_oss",
    "olmo3",
    "qwen2",
    "qwen3",
    "qwen3_next",
    "qwen3_5_text",
    "mistral",
    "mixtral",
    "phi3",
    "starcoder2",
    "llama4_text",
    "lfm2",
    "minimax",
    "llama",
    "falcon_h1",
    "mamba2",
    "deepseek_v3",
    "jamba",
    "bamba",
    "granitemoehybrid",
)
"""Types whose kinds follow from a rule where the file lists none."""


@pytest.mark.parametrize("name", DERIVED)
def test_kinds_that_no_file_lists(name: str) -> None:
    config = CONFIG_MAPPING[name]()
    value = {k: v for k, v in config.to_dict().items() if k not in ("layer_types", "sliding_window_pattern")}
    value.pop("sliding_window", None) if name in ("gemma2", "gemma3_text", "cohere2", "gpt_oss", "olmo3") else None

    assert said({**value, "model_type": name}) == library(config)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("qwen2", {"use_sliding_window": True, "sliding_window": 1024, "max_window_layers": 20}),
        ("qwen3", {"use_sliding_window": False, "sliding_window": 1024}),
        ("mistral", {"sliding_window": None}),
        ("phi3", {"sliding_window": 2047}),
        ("gemma3_text", {"sliding_window_pattern": 4, "sliding_window": 1024}),
        ("qwen3_next", {"full_attention_interval": 3}),
        ("llama4_text", {"no_rope_layer_interval": 2, "attention_chunk_size": 4096}),
        ("lfm2", {"full_attn_idxs": [2, 5, 8]}),
        ("gemma3n_text", {"num_kv_shared_layers": 10}),
    ],
)
def test_kinds_of_other_settings(name: str, changes: dict[str, Any]) -> None:
    config = CONFIG_MAPPING[name](**changes)
    value = {k: v for k, v in config.to_dict().items() if k != "layer_types"}

    assert said({**value, **changes, "model_type": name}) == library(config)
    assert said(config) == library(config)


@pytest.mark.slow
def test_no_type_of_the_library_is_told_wrongly() -> None:
    known, wrong = 0, {}
    for name in CONFIG_MAPPING:
        try:
            config = CONFIG_MAPPING[name]()
            if config.get_text_config(decoder=True) is not config:
                continue
            real = library(config)
        except (AttributeError, TypeError, ValueError, KeyError, ImportError, StrictDataclassError):
            continue
        listed = {**config.to_dict(), "model_type": name}
        for value in (listed, {k: v for k, v in listed.items() if k != "layer_types"}):
            answer = said(value)
            known += not isinstance(answer, str)
            if not isinstance(answer, str) and answer != real:
                wrong[name] = (answer[:4], real[:4])

    assert wrong == {}
    assert known > 250


HEADS = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16}
SMALL = {**HEADS, "intermediate_size": 64, "vocab_size": 64, "num_hidden_layers": 4}
LATENT = {"kv_lora_rank": 24, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12}
EXPERTS = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_group": 1, "topk_group": 1}
DELTA = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 16}
ABSENT = object()
PLAIN = {"num_key_value_heads": ABSENT, "head_dim": ABSENT}
RUN: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("qwen2", {"num_key_value_heads": 1}),
    ("qwen3", {}),
    ("mistral", {"sliding_window": 8}),
    ("phi3", {"pad_token_id": 0}),
    ("gemma2", {"sliding_window": 8}),
    ("gemma3_text", {"sliding_window": 8, "sliding_window_pattern": 2}),
    ("cohere2", {"sliding_window": 8}),
    ("gpt2", {**PLAIN, "n_embd": 64, "n_head": 4, "n_layer": 3}),
    ("gpt_neox", PLAIN),
    ("falcon", {**PLAIN, "multi_query": True, "new_decoder_architecture": False}),
    ("opt", {**PLAIN, "ffn_dim": 64, "word_embed_proj_dim": 64}),
    ("deepseek_v3", {**PLAIN, **LATENT, **EXPERTS}),
    (
        "qwen3_next",
        {
            **DELTA,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    ("lfm2", {"full_attn_idxs": [1], "block_auto_adjust_ff_dim": False}),
]
LENGTH = 20


@pytest.mark.slow
@pytest.mark.parametrize(("name", "more"), RUN)
def test_numbers_of_a_real_cache(name: str, more: dict[str, Any]) -> None:
    config = CONFIG_MAPPING[name](**{k: v for k, v in {**SMALL, **more}.items() if v is not ABSENT})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        kept = model(torch.arange(LENGTH)[None] % 60, use_cache=True).past_key_values
    told = geometry(config)

    for layer, real in zip(told.layers, kept.layers, strict=True):
        if layer.kind == "linear":
            continue
        window = layer.window - 1 if layer.window is not None else LENGTH  # the library drops one more than it needs to
        expected = layer.numbers_per_token * min(LENGTH, window)
        assert real.keys.numel() + real.values.numel() == expected


@pytest.mark.slow
def test_states_of_gated_delta_networks() -> None:
    config = CONFIG_MAPPING["qwen3_next"](**{**SMALL, **dict(RUN)["qwen3_next"]})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        kept = model(torch.arange(LENGTH)[None] % 60, use_cache=True).past_key_values
    layer, real = geometry(config).layers[0], kept.layers[0]
    channels = real.conv_states[0].shape[1]

    # The library keeps as many inputs as the kernel is long; the newest is not needed afterwards.
    assert layer.state == real.recurrent_states[0].numel() + real.conv_states[0].numel() - channels
