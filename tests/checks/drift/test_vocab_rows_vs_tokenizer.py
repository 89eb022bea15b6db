"""DRF016 fires past the last row of the embedding, by use; padding is normal."""

from typing import Any

import pytest

from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.tokenizer import AddedToken, ChatTemplate, ChatTemplates, Expectations, Tokenizer
from mmdoctor.finding import Severity
from mmdoctor.location import Location
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.drift.vocab_rows_vs_tokenizer import vocab_rows_vs_tokenizer

NOTHING = Expectations()


def _rows(rows: int, dtype: str = "BF16") -> Embeddings:
    name = "model.embed_tokens.weight"
    return Embeddings(
        embedding=Tensor(name=name, dtype=dtype, shape=(rows, 8), file="model.safetensors", nbytes=rows * 16)
    )


def _model(**ids: int) -> MultimodalModel:
    config = ModelConfig(document=JsonDocument(file="config.json", value={}))
    stated = {role: reading(value) for role, value in ids.items()}
    return MultimodalModel(config=config, family="generic", known=False, token_ids=stated)


def _token(number: int, content: str, stated: int | None = None) -> AddedToken:
    at = Location(file="tokenizer.json", pointer="/added_tokens/0")
    return AddedToken(id=number, content=content, special=True, at=at, stated=stated)


def _tokenizer(*added: AddedToken, vocabulary: int = 100, **more: Any) -> Tokenizer:
    top = max([vocabulary - 1, *(token.id for token in added)])
    words = {f"w{i}": i for i in range(vocabulary)}
    return Tokenizer(
        file="tokenizer.json", kind="BPE", vocabulary=words, added=added, max_id=reading(top), max_token="", **more
    )


PAD = {"pad_token": reading("<pad>", "tokenizer_config.json")}


def test_fires_on_a_named_token_past_the_last_row_and_not_on_the_last_row() -> None:
    (problem,) = fires(
        vocab_rows_vs_tokenizer, _tokenizer(_token(100, "<pad>"), named=PAD), _rows(100), _model(), None, NOTHING
    )
    assert problem.severity is Severity.ERROR
    assert "'<pad>' (the pad token) has id 100, and the embedding has 100 rows" in problem.message
    assert problem.because[0].at.pointer == "/added_tokens/0/id"

    silent(vocab_rows_vs_tokenizer, _tokenizer(_token(100, "<pad>"), named=PAD), _rows(101), _model(), None, NOTHING)


def test_fires_on_a_placeholder_and_on_a_token_of_the_template() -> None:
    tokenizer = _tokenizer(_token(100, "<image>"))
    templates = ChatTemplates(copies=(ChatTemplate(at=Location(), text="{{ '<image>' }}"),))

    (placeholder,) = fires(vocab_rows_vs_tokenizer, tokenizer, _rows(100), _model(image=100), None, NOTHING)
    (written,) = fires(vocab_rows_vs_tokenizer, tokenizer, _rows(100), _model(), templates, NOTHING)

    assert "the image placeholder" in placeholder.message
    assert "written by the chat template" in written.message
    assert (placeholder.severity, written.severity) == (Severity.ERROR, Severity.ERROR)


def test_warns_only_on_tokens_that_nothing_uses() -> None:
    infill = (_token(100, "<PRE>"), _token(101, "<SUF>"))

    (problem,) = fires(vocab_rows_vs_tokenizer, _tokenizer(*infill), _rows(100), _model(), None, NOTHING)

    assert problem.severity is Severity.WARNING
    assert "and 1 more" in problem.message


def test_fires_on_the_trained_vocabulary() -> None:
    (problem,) = fires(vocab_rows_vs_tokenizer, _tokenizer(vocabulary=101), _rows(100), _model(), None, NOTHING)

    assert problem.severity is Severity.ERROR
    assert "part of the vocabulary" in problem.message


def test_fires_on_a_stated_id_that_the_library_renumbers() -> None:
    tokenizer = _tokenizer(_token(100, "<pad>", stated=605), named=PAD)

    (problem,) = fires(vocab_rows_vs_tokenizer, tokenizer, _rows(600), _model(), None, NOTHING)

    assert "renumbers it to 100" in problem.message


@pytest.mark.parametrize("rows", [100, 128, 1124])
def test_silent_on_padding(rows: int) -> None:
    silent(vocab_rows_vs_tokenizer, _tokenizer(), _rows(rows), _model(), None, NOTHING)


def test_a_note_where_padding_does_not_explain_the_rows() -> None:
    (problem,) = fires(vocab_rows_vs_tokenizer, _tokenizer(), _rows(1125), _model(), None, NOTHING)

    assert problem.severity is Severity.NOTE


def test_families_that_hide_their_placeholder_get_a_note_at_most() -> None:
    hides = Expectations(hides_placeholders=True, role_keys={"image": ("image_token",)})
    named = {"image_token": reading("<image>")}

    (problem,) = fires(
        vocab_rows_vs_tokenizer,
        _tokenizer(_token(100, "<image>"), named=named),
        _rows(100),
        _model(image=100),
        None,
        hides,
    )

    assert problem.severity is Severity.NOTE


@pytest.mark.parametrize("embeddings", [Embeddings(), _rows(50, "U8"), _rows(50, "I32")])
def test_silent_without_a_plain_table(embeddings: Embeddings) -> None:
    silent(vocab_rows_vs_tokenizer, _tokenizer(), embeddings, _model(), None, NOTHING)


def test_mllamas_smaller_head_is_no_matter() -> None:
    table = _rows(108).embedding
    head = Tensor(name="lm_head.weight", dtype="BF16", shape=(100, 8), file="model.safetensors", nbytes=1600)

    silent(
        vocab_rows_vs_tokenizer,
        _tokenizer(_token(100, "<|image|>")),
        Embeddings(embedding=table, head=head),
        _model(image=100),
        None,
        NOTHING,
    )
