"""A stack with a section of its own is not judged by the text section."""

from typing import Any

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.geometry import main_text_blocks
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, TextModel
from mmdoctor.facts.parts import AttentionBlock, Role

HEADS = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 100}


def text_of(value: dict[str, Any]) -> TextModel:
    document = JsonDocument(file="config.json", value=value)
    text = multimodal_model(ModelConfig(document=document, model_type=value["model_type"])).text
    assert text is not None
    return text


def block(prefix: str) -> AttentionBlock:
    q = Tensor(name=f"{prefix}q_proj.weight", dtype="F32", shape=(64, 64), file="model.safetensors", nbytes=16384)
    return AttentionBlock(role=Role.TEXT, prefix=prefix, layer=0, q=q)


def test_sections_with_heads_of_their_own_are_named() -> None:
    text = text_of({"model_type": "some_new_thing", "text_config": HEADS, "decoder_config": HEADS, "other": {"a": 1}})

    assert text.other_stacks == ("decoder",)


def test_their_blocks_are_left_out() -> None:
    text = text_of({"model_type": "some_new_thing", "text_config": HEADS, "talker_config": HEADS})
    blocks = (block("model.layers.0.self_attn."), block("talker.model.layers.0.self_attn."))

    assert main_text_blocks(blocks, text) == blocks[:1]


def test_a_word_that_all_names_share_tells_nothing() -> None:
    text = text_of({"model_type": "some_new_thing", "text_config": HEADS, "model_config": HEADS})
    blocks = (block("model.layers.0.self_attn."),)

    assert main_text_blocks(blocks, text) == blocks
