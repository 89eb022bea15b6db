"""DRF017 fires one row beside the vocabulary, of embedding, head and adapter alike."""

from typing import Any

import pytest

from mmdoctor.facts.model import SpecialTokenIds
from mmdoctor.testing import reading
from mmdoctor_checks.drift.resized_embedding_mismatch import resized_embedding_mismatch
from tests.architectures.made import LLAMA, changed, examine, llama, llava, llava_config


def test_silent_on_equal_rows():
    assert examine(resized_embedding_mismatch, llama(), LLAMA) == ()
    assert examine(resized_embedding_mismatch, llava(), llava_config()) == ()


@pytest.mark.parametrize("vocabulary", [99, 101])
def test_fires_one_row_beside_and_knows_the_right_value(vocabulary: int):
    (finding,) = examine(resized_embedding_mismatch, llama(), changed(LLAMA, vocab_size=vocabulary))

    assert "the embedding has 100 rows and the head has 100 rows" in finding.message
    assert f"vocab_size is {vocabulary}" in finding.message
    assert finding.fix is not None
    assert finding.fix.edits[0].value == 100


def test_fires_on_the_inner_vocabulary_whatever_the_outer_one_says():
    right = changed(llava_config(), vocab_size=7)
    wrong = changed(llava_config(), vocab_size=100, text_config__vocab_size=99)

    assert examine(resized_embedding_mismatch, llava(), right) == ()
    (finding,) = examine(resized_embedding_mismatch, llava(), wrong)
    assert finding.fix is not None
    assert finding.fix.edits[0].pointer == "/text_config/vocab_size"


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_fires_where_only_one_was_resized_and_proposes_no_value(name: str):
    (finding,) = examine(resized_embedding_mismatch, llama() | {name: (101, 64)}, LLAMA)

    assert "101 rows" in finding.message
    assert finding.location.tensor == name
    assert finding.fix is not None
    assert not finding.fix.edits


def _mllama(rows: int, head: int) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    shapes = llama("language_model.model.", head="language_model.lm_head.weight")
    shapes |= {"language_model.model.embed_tokens.weight": (rows, 64), "language_model.lm_head.weight": (head, 64)}
    text = {k: v for k, v in LLAMA.items() if k not in ("architectures", "model_type")}
    return shapes, {"model_type": "mllama", "text_config": text}


def test_silent_on_eight_more_embedding_rows_in_llama_vision():
    assert examine(resized_embedding_mismatch, *_mllama(108, 100)) == ()


@pytest.mark.parametrize(("rows", "head"), [(100, 100), (108, 108), (109, 100)])
def test_fires_on_other_rows_in_llama_vision(rows: int, head: int):
    assert examine(resized_embedding_mismatch, *_mllama(rows, head))


def test_silent_on_a_vocabulary_padded_to_a_stated_multiple():
    value = changed(LLAMA, model_type="nomic_bert", vocab_size=97, pad_vocab_size_multiple=20)

    assert examine(resized_embedding_mismatch, llama(), value) == ()


def test_an_encoder_decoder_is_judged_by_its_shared_table():
    value = {"model_type": "t5", "d_model": 64, "vocab_size": 100, "num_heads": 4, "d_kv": 16, "num_layers": 2}
    shapes = {"shared.weight": (100, 64), "encoder.embed_tokens.weight": (100, 64), "lm_head.weight": (100, 64)}
    shapes |= {f"encoder.block.{i}.layer.0.SelfAttention.q.weight": (64, 64) for i in range(2)}

    assert examine(resized_embedding_mismatch, shapes, value) == ()
    assert examine(resized_embedding_mismatch, shapes, changed(value, vocab_size=101))


@pytest.mark.parametrize(("pad", "fires"), [(99, False), (100, True), (128255, True), (-1, False)])
def test_the_padding_token_has_a_row(pad: int, fires: bool):
    special = SpecialTokenIds(ids=(("pad_token_id", reading(pad, pointer="/pad_token_id")),))

    assert bool(examine(resized_embedding_mismatch, llama(), LLAMA, special)) is fires


def test_an_end_token_without_a_row_is_never_emitted():
    special = SpecialTokenIds(ids=(("eos_token_id", reading(128009, pointer="/eos_token_id")),))

    assert examine(resized_embedding_mismatch, llama(), LLAMA, special) == ()


@pytest.mark.parametrize(("rows", "fires"), [(100, False), (104, True)])
def test_an_adapter_brings_tables_of_the_base_models_rows(rows: int, fires: bool):
    adapter = {
        "base_model.model.model.embed_tokens.modules_to_save.default.weight": (rows, 64),
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 64),
    }

    assert bool(examine(resized_embedding_mismatch, llama() | adapter, LLAMA)) is fires


def test_silent_on_packed_tables():
    name = "model.embed_tokens.weight"

    assert examine(resized_embedding_mismatch, llama() | {name: (13, 64)}, LLAMA, dtypes={name: "U32"}) == ()


@pytest.mark.parametrize("value", [{}, {"model_type": "unheard_of", "vocab_size": 99, "hidden_size": 64}])
def test_silent_where_nothing_is_known(value: dict[str, Any]):
    assert examine(resized_embedding_mismatch, llama(), value) == ()


def test_silent_on_the_table_of_another_text_encoder():
    shapes = {"embeddings.word_embeddings.weight": (30, 16), "embeddings.position_embeddings.weight": (8, 16)}
    value = {"model_type": "blip-2", "architectures": ["Blip2ForImageTextRetrieval"], "vision_config": {}}
    value["text_config"] = {"model_type": "opt", "vocab_size": 100, "hidden_size": 64}

    assert examine(resized_embedding_mismatch, shapes, value) == ()


def test_a_head_may_lack_the_token_that_is_never_predicted():
    shapes = {"transformer.wte.weight": (513, 64), "lm_head.weight": (512, 64)}
    value = {"model_type": "imagegpt", "vocab_size": 513, "n_embd": 64}

    assert examine(resized_embedding_mismatch, shapes, value) == ()
    assert examine(resized_embedding_mismatch, shapes | {"lm_head.weight": (513, 64)}, value)
