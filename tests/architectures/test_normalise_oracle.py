"""Normalised configurations against transformers: every type, random sizes, whole files and files without defaults."""

import json
import random
from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.registry import known_types
from mmdoctor.facts.model import MultimodalModel
from tests.architectures.made import config as read

transformers = pytest.importorskip("transformers")

COMPOSITE = [
    "aya_vision",
    "blip",
    "blip-2",
    "clip",
    "colpali",
    "deepseek_vl",
    "florence2",
    "gemma3",
    "glm4v",
    "idefics2",
    "idefics3",
    "instructblip",
    "internvl",
    "janus",
    "llama4",
    "llava",
    "llava_next",
    "llava_next_video",
    "llava_onevision",
    "mistral3",
    "mllama",
    "ovis2",
    "owlvit",
    "paligemma",
    "qwen2_5_vl",
    "qwen2_audio",
    "qwen2_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "siglip",
    "smolvlm",
    "video_llava",
    "vipllava",
    "voxtral",
]
FLAT = [
    "bert",
    "bloom",
    "cohere",
    "dbrx",
    "deepseek_v3",
    "deit",
    "dinov2",
    "distilbert",
    "falcon",
    "gemma",
    "gpt2",
    "gpt_neo",
    "gpt_neox",
    "gptj",
    "layoutlmv3",
    "llama",
    "mistral",
    "mixtral",
    "mpt",
    "opt",
    "phi3",
    "qwen2",
    "qwen3",
    "roberta",
    "siglip_vision_model",
    "t5",
    "vilt",
    "vit",
    "whisper",
]

TEXT = {
    "hidden_size": "hidden_size",
    "num_attention_heads": "num_attention_heads",
    "num_key_value_heads": "num_key_value_heads",
    "vocab_size": "vocab_size",
    "head_dim": "head_dim",
}
VISION = {
    "hidden_size": ("embed_dim", "hidden_size"),
    "num_hidden_layers": ("num_hidden_layers", "depth"),
    "num_attention_heads": ("num_heads", "num_attention_heads"),
    "patch_size": ("patch_size",),
    "image_size": ("image_size",),
}


def _random_sizes(part: Any, rng: random.Random) -> None:
    """Other sizes for a configuration object, each consistent with the others."""
    heads, size = rng.choice([2, 4, 6, 8]), rng.choice([8, 16, 24])
    wanted = {
        "num_attention_heads": heads,
        "num_key_value_heads": rng.choice([h for h in (1, 2, heads) if heads % h == 0]),
        "hidden_size": heads * size,
        "num_hidden_layers": rng.randint(1, 9),
        "vocab_size": rng.randint(50, 5000),
        "head_dim": rng.choice([size, 2 * size]),
        "patch_size": rng.choice([8, 14, 16]),
        "image_size": rng.choice([112, 224, 336]),
        "embed_dim": heads * size,
        "num_heads": heads,
        "depth": rng.randint(1, 9),
        "d_model": heads * size,
        "encoder_layers": rng.randint(1, 9),
        "decoder_layers": rng.randint(1, 9),
        "encoder_attention_heads": heads,
        "decoder_attention_heads": heads,
    }
    stated = part.to_dict()
    for name, value in wanted.items():
        if isinstance(stated.get(name), int) and not isinstance(stated.get(name), bool):
            setattr(part, name, value)


def _made(model_type: str, seed: int) -> Any:
    rng = random.Random(f"{model_type}{seed}")
    built = transformers.AutoConfig.for_model(model_type)
    parts = [built]
    for part in parts:
        parts += [getattr(part, key) for key in part.sub_configs if getattr(part, key, None) is not None]
    for part in parts:
        _random_sizes(part, rng)
    return built


def _check_text(model: MultimodalModel, built: Any) -> None:
    text = built.get_text_config(decoder=True)
    assert model.text is not None
    for ours, theirs in TEXT.items():
        expected = getattr(text, theirs, None)
        reading = getattr(model.text, ours)
        if reading is not None and expected is not None:
            assert reading.value == expected, (ours, reading, expected)
        elif isinstance(expected, int) and ours in ("hidden_size", "num_attention_heads", "vocab_size"):
            raise AssertionError(f"{ours} is {expected}, and was not read")


def _check_vision(model: MultimodalModel, built: Any) -> None:
    vision = getattr(built, "vision_config", None) or getattr(getattr(built, "vlm_config", None), "vision_config", None)
    if vision is None or model.vision is None:
        return
    for ours, names in VISION.items():
        expected = next((getattr(vision, n) for n in names if isinstance(getattr(vision, n, None), int)), None)
        reading = getattr(model.vision, ours)
        if reading is not None and expected is not None:
            assert reading.value == expected, (ours, reading, expected)


@pytest.mark.parametrize("saved", ["whole", "without defaults"])
@pytest.mark.parametrize("model_type", COMPOSITE + FLAT)
def test_fields_equal_those_of_the_library(model_type: str, saved: str):
    for seed in range(5):
        built = _made(model_type, seed)
        value = built.to_dict() if saved == "whole" else built.to_diff_dict()
        value = json.loads(json.dumps(value, default=str)) | {"model_type": model_type}
        model = multimodal_model(read(value))

        assert model.known
        if model.text is not None:
            _check_text(model, built)
        _check_vision(model, built)


def test_the_types_of_the_issue_are_known():
    wanted = """
        clip siglip siglip2 blip blip-2 instructblip llava llava_next llava_next_video llava_onevision video_llava
        vipllava qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe qwen2_audio qwen2_5_omni internvl internvl_chat idefics2
        idefics3 smolvlm paligemma gemma3 gemma3n mllama llama4 pixtral mistral3 aya_vision glm4v phi3_v
        phi4_multimodal minicpmv molmo florence2 kosmos-2 deepseek_vl_v2 janus ovis kimi_vl whisper wav2vec2 clap
        vit deit dinov2 bert distilbert roberta vilt flava git layoutlmv3 owlvit vision-encoder-decoder trocr
        vision-text-dual-encoder llava_llama
    """

    assert set(wanted.split()) <= set(known_types())
