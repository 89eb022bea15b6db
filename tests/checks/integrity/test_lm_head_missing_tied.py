"""INT014 fires where no level of the configuration ties the head that is not there."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.facts.tokenizer import ChatTemplate, ChatTemplates
from mmdoctor.finding import Severity
from mmdoctor.location import Location
from mmdoctor_checks.integrity.lm_head_missing_tied import lm_head_missing_tied
from tests.architectures.made import LLAMA, changed, examine, llama, llava, llava_config, without

HEADLESS = llama(head=None)
VLM = without(llava(), "lm_head")


def _source(name: str = "model", *files: str) -> Source:
    entries = tuple(FileEntry(path=f, kind=FileKind.JSON, size=1) for f in files)
    return Source(root=Path("/nowhere"), name=name, files=entries)


def test_silent_with_a_head():
    assert examine(lm_head_missing_tied, llama(), LLAMA) == ()
    assert examine(lm_head_missing_tied, llava(), llava_config()) == ()


def test_fires_where_the_flag_is_false():
    (finding,) = examine(lm_head_missing_tied, HEADLESS, LLAMA)

    assert "tie_word_embeddings is false" in finding.message
    assert finding.severity is Severity.ERROR
    assert finding.location.pointer == "/tie_word_embeddings"


def test_fires_where_the_class_does_not_tie_and_no_level_says_so():
    (finding,) = examine(lm_head_missing_tied, HEADLESS, changed(LLAMA, tie_word_embeddings=None))

    assert "leaves tie_word_embeddings to its class" in finding.message


def test_silent_where_the_class_ties():
    value = changed(LLAMA, model_type="gemma", architectures=["GemmaForCausalLM"], tie_word_embeddings=None)

    assert examine(lm_head_missing_tied, HEADLESS, value) == ()


def test_silent_where_it_is_tied():
    assert examine(lm_head_missing_tied, HEADLESS, changed(LLAMA, tie_word_embeddings=True)) == ()


def test_fires_where_both_levels_say_false():
    value = changed(llava_config(), text_config__tie_word_embeddings=False)

    (finding,) = examine(lm_head_missing_tied, VLM, value)
    assert finding.severity is Severity.ERROR
    assert "at both levels" in finding.message


def test_silent_where_both_levels_say_true():
    value = changed(llava_config(), tie_word_embeddings=True, text_config__tie_word_embeddings=True)

    assert examine(lm_head_missing_tied, VLM, value) == ()


@pytest.mark.parametrize(
    ("top", "text", "right"), [(False, True, "transformers 4 ties"), (True, False, "transformers 5 ties")]
)
def test_warns_where_the_levels_disagree(top: bool, text: bool, right: str):
    value = changed(llava_config(), tie_word_embeddings=top, text_config__tie_word_embeddings=text)

    (finding,) = examine(lm_head_missing_tied, VLM, value)
    assert finding.severity is Severity.WARNING
    assert right in finding.message
    assert finding.fix is not None
    assert {e.pointer for e in finding.fix.edits} == {"/tie_word_embeddings", "/text_config/tie_word_embeddings"}


def test_only_a_note_where_the_library_that_saved_it_ties():
    value = changed(
        llava_config(),
        tie_word_embeddings=True,
        text_config__tie_word_embeddings=False,
        transformers_version="5.23.0",
    )

    (finding,) = examine(lm_head_missing_tied, VLM, value)
    assert finding.severity is Severity.NOTE


@pytest.mark.parametrize(
    "source",
    [
        _source("Qwen3-VL-Embedding-8B"),
        _source("bge-reranker"),
        _source("model", "modules.json"),
        _source("model", "config_sentence_transformers.json"),
    ],
)
def test_silent_on_models_that_only_embed_or_rank(source: Source):
    assert examine(lm_head_missing_tied, HEADLESS, LLAMA, source) == ()


def test_silent_where_the_template_asks_for_a_representation():
    text = "{%- set default_system_message = 'Represent the user\\'s input.' -%}"
    templates = ChatTemplates(copies=(ChatTemplate(at=Location(file="chat_template.jinja"), text=text),))

    assert examine(lm_head_missing_tied, HEADLESS, LLAMA, templates) == ()


@pytest.mark.parametrize("architecture", ["LlamaModel", "LlamaForSequenceClassification", "LlavaModel"])
def test_silent_on_classes_without_a_head(architecture: str):
    assert examine(lm_head_missing_tied, HEADLESS, changed(LLAMA, architectures=[architecture])) == ()


@pytest.mark.parametrize(
    "name", ["language_model.lm_head.weight", "output.weight", "embed_out.weight", "model.lm_head.weight"]
)
def test_silent_on_a_head_of_another_name(name: str):
    assert examine(lm_head_missing_tied, {**HEADLESS, name: (100, 64)}, LLAMA) == ()


def test_silent_on_a_scorer_that_nobody_knows():
    assert examine(lm_head_missing_tied, {**HEADLESS, "log_softmax.mlp.weight": (100, 64)}, LLAMA) == ()


@pytest.mark.parametrize(
    "value", [{}, {"model_type": "unheard_of", "architectures": ["XForCausalLM"], "vocab_size": 100}]
)
def test_silent_where_nothing_is_known(value: dict[str, Any]):
    assert examine(lm_head_missing_tied, HEADLESS, value) == ()
