"""A stack with a section of its own is not judged by the text section."""

from typing import Any

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.describe import describe
from mmdoctor.architectures.geometry import main_text_blocks
from mmdoctor.architectures.parts import parts
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel, TextModel
from mmdoctor.facts.parts import AttentionBlock, Role

HEADS = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 100}


def model_of(value: dict[str, Any]) -> MultimodalModel:
    document = JsonDocument(file="config.json", value=value)
    return multimodal_model(ModelConfig(document=document, model_type=value["model_type"]))


def text_of(value: dict[str, Any]) -> TextModel:
    text = model_of(value).text
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


def test_a_text_part_without_layers_is_not_judged_by_the_decoder_beside_it() -> None:
    text = text_of({"model_type": "some_new_thing", "text_config": HEADS, "decoder_config": HEADS})

    assert main_text_blocks((block("decoder.layers.0.self_attn."),), text) == ()


def test_a_decoder_may_have_a_stack_called_encoder_inside() -> None:
    text = text_of({"model_type": "some_new_thing", "decoder": HEADS, "encoder": HEADS})
    blocks = (block("decoder.bert.encoder.layer.0.attention.self."),)

    assert main_text_blocks(blocks, text) == blocks


def described(names: tuple[str, ...], value: dict[str, Any] | None) -> dict[str, dict[str, int]]:
    """Role to its numbers, of matrices of 64 x 64."""
    shape = (64, 64)
    tensors = {n: Tensor(name=n, dtype="F32", shape=shape, file="model.safetensors", nbytes=16384) for n in names}
    found = parts(Checkpoint(tensors=tensors, files=()))
    details = describe(found, None if value is None else model_of(value), None, None).parts
    return {str(d.part.role): dict(d.numbers) for d in details}


ENCODER = ("text_model.embeddings.word_embeddings.weight", "text_model.layers.0.self_attn.q_proj.weight")
DECODER = ("decoder.embed_tokens.weight", "decoder.layers.0.self_attn.q_proj.weight")


def test_a_decoder_beside_a_text_encoder_is_described_by_its_own_section() -> None:
    value = {
        "model_type": "some_new_thing",
        "text_config": HEADS,
        "decoder_config": {**HEADS, "num_attention_heads": 8},
    }
    told = described((*ENCODER, *DECODER), value)

    assert told["text model"]["heads"] == 4
    assert told["decoder"] == {"layers": 2, "hidden": 64, "heads": 8, "vocabulary": 100}
    assert set(described((*ENCODER, *DECODER), None)) == {"text model", "decoder"}


def test_the_text_section_may_be_the_decoders() -> None:
    value = {"model_type": "some_new_thing", "decoder": HEADS, "text_model_config": {**HEADS, "num_attention_heads": 8}}
    told = described((*ENCODER, *DECODER), value)

    assert (told["decoder"]["heads"], told["text model"]["heads"]) == (4, 8)


def test_halves_of_one_language_model_stay_together() -> None:
    halves = ("encoder.block.0.layer.0.SelfAttention.q.weight", "decoder.block.0.layer.0.SelfAttention.q.weight")

    assert set(described(("shared.weight", *halves), None)) == {"text model"}
    assert set(described(DECODER, None)) == {"text model"}
