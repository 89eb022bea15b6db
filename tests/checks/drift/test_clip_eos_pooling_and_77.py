"""DRF024 fires where a text encoder pools at the wrong token; OpenAI's eos of 2 is normal until tokens are added."""

from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model, text_model
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.facts.tokenizer import AddedToken, Tokenizer
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.location import Location
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.drift.clip_eos_pooling_and_77 import clip_eos_pooling_and_77
from tests.architectures.made import config, tensor

END = 49407


def _facts(
    text: dict[str, Any],
    *added: tuple[str, int],
    model_type: str = "clip",
    end: int = END,
    longest: float | None = 77,
    rows: int | None = None,
    pad: str = "<|endoftext|>",
) -> tuple[object, ...]:
    sizes = {"hidden_size": 64, "vocab_size": 49408, "max_position_embeddings": 77}
    value = {"model_type": model_type, "text_config": sizes | text, "vision_config": {"hidden_size": 64}}
    model = multimodal_model(config(value))
    tokens = (("<|endoftext|>", end), *added)
    made = tuple(
        AddedToken(id=i, content=c, special=True, at=Location(file="tokenizer.json", pointer=f"/added_tokens/{n}"))
        for n, (c, i) in enumerate(tokens)
    )
    tokenizer = Tokenizer(
        file="tokenizer.json",
        kind="BPE",
        vocabulary={"a": 320},
        added=made,
        max_id=reading(max(i for _, i in tokens)),
        max_token="",
        named={"eos_token": reading("<|endoftext|>"), "pad_token": reading(pad)},
        model_max_length=reading(longest, "tokenizer_config.json", "/model_max_length") if longest else None,
    )
    table = tensor("text_model.embeddings.position_embedding.weight", (rows or 77, 64))
    parts = Parts(parts=(Part(role=Role.TEXT, prefix="", tensors=(table,)),))
    return model, text_model(model), tokenizer, parts


def _one(*facts: object) -> Problem:
    (problem,) = fires(clip_eos_pooling_and_77, *facts)
    return problem


def _edits(problem: Problem) -> dict[str, object]:
    assert problem.fix is not None
    return {edit.pointer: edit.value for edit in problem.fix.edits if isinstance(edit, Edit)}


def test_silent_where_both_name_the_same_token() -> None:
    silent(clip_eos_pooling_and_77, *_facts({"eos_token_id": END}))
    silent(clip_eos_pooling_and_77, *_facts({}))  # the class's default is right


@pytest.mark.parametrize("model_type", ["clip", "clipseg", "groupvit", "metaclip_2", "aimv2"])
@pytest.mark.parametrize("value", [0, 5, 49406, 49408])
def test_fires_on_an_id_that_no_text_has(model_type: str, value: int) -> None:
    problem = _one(*_facts({"eos_token_id": value}, model_type=model_type))

    assert f"at id {value}, and the tokenizer writes {END}" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.pointer == "/text_config/eos_token_id"
    assert _edits(problem) == {"/text_config/eos_token_id": END}


def test_the_default_is_wrong_for_another_tokenizer() -> None:
    assert "at id 49407, and the tokenizer writes 99" in _one(*_facts({}, end=99)).message


def test_the_legacy_value_is_normal() -> None:
    problem = _one(*_facts({"eos_token_id": 2}))

    assert problem.severity is Severity.NOTE
    assert "normal for CLIP" in problem.message
    assert problem.fix is None


def test_the_legacy_value_does_not_bear_added_tokens() -> None:
    problem = _one(*_facts({"eos_token_id": 2}, ("<style>", 49408), ("<thing>", 49409)))

    assert problem.severity is None
    assert "'<style>' (id 49408) and 1 more is larger" in problem.message
    assert problem.because[0].at.pointer == "/added_tokens/1/id"
    assert _edits(problem) == {"/text_config/eos_token_id": END}
    silent(clip_eos_pooling_and_77, *_facts({"eos_token_id": END}, ("<style>", 49408)))


def test_padding_behind_the_end_spoils_every_padded_text() -> None:
    problem = _one(*_facts({"eos_token_id": 2}, ("<pad>", 49408), pad="<pad>"))

    assert "every padded text is described by another token" in problem.message


def test_metaclip_2_really_ends_its_texts_with_2() -> None:
    silent(clip_eos_pooling_and_77, *_facts({"eos_token_id": 2}, model_type="metaclip_2", end=2))
    assert "at id 2," in _one(*_facts({"eos_token_id": 2}, model_type="metaclip_2")).message


@pytest.mark.parametrize("model_type", ["owlvit", "owlv2"])
def test_owlvit_takes_the_largest_id_whatever_is_configured(model_type: str) -> None:
    silent(clip_eos_pooling_and_77, *_facts({"eos_token_id": 5}, model_type=model_type))
    problem = _one(*_facts({"eos_token_id": END}, ("<style>", 49408), model_type=model_type))
    assert "'<style>' (id 49408)" in problem.message


@pytest.mark.parametrize("longest", [78, 512, 1e30, 10**30, 10**400])
def test_warns_where_truncation_is_too_late(longest: float) -> None:
    problem = _one(*_facts({}, longest=longest))

    assert problem.severity is Severity.WARNING
    assert "77 positions" in problem.message
    assert _edits(problem) == {"/model_max_length": 77}


@pytest.mark.parametrize("longest", [77, 64, None])
def test_silent_where_texts_fit(longest: float | None) -> None:
    silent(clip_eos_pooling_and_77, *_facts({}, longest=longest))


def test_the_position_table_is_right() -> None:
    problem = _one(*_facts({"max_position_embeddings": 128}))

    assert "77 rows: the weights do not load" in problem.message
    assert _edits(problem) == {"/text_config/max_position_embeddings": 77}


@pytest.mark.parametrize("model_type", ["siglip", "llava", "altclip", "someones_own"])
def test_silent_on_encoders_that_pool_otherwise(model_type: str) -> None:
    silent(
        clip_eos_pooling_and_77, *_facts({"eos_token_id": 5}, ("<style>", 49408), model_type=model_type, longest=9999)
    )


@pytest.mark.parametrize("value", ["2", None, [2], {}, True])
def test_values_of_other_types_are_the_default(value: object) -> None:
    silent(clip_eos_pooling_and_77, *_facts({"eos_token_id": value}))
