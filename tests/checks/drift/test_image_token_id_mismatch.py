"""DRF014 fires where configuration and tokenizer give a placeholder different ids."""

from typing import Any

import pytest

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.tokenizer import AddedToken, Expectations, Processor, Settings, Tokenizer
from mmdoctor.finding import Severity
from mmdoctor.location import Location
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.drift.image_token_id_mismatch import image_token_id_mismatch

EXPECTED = Expectations(placeholders={"image": "<image>"}, role_keys={"image": ("patch_token", "image_token")})


def _model(**ids: int) -> MultimodalModel:
    config = ModelConfig(document=JsonDocument(file="config.json", value={}), model_type="llava")
    stated = {role: reading(value, pointer=f"/{role}_token_index") for role, value in ids.items()}
    return MultimodalModel(config=config, family="llava", known=True, token_ids=stated)


def _tokenizer(added: dict[str, int], complete: bool = True, **more: Any) -> Tokenizer:
    tokens = tuple(
        AddedToken(id=i, content=c, special=True, at=Location(file="tokenizer.json", pointer=f"/added_tokens/{n}"))
        for n, (c, i) in enumerate(added.items())
    )
    top = max(added.values(), default=9)
    return Tokenizer(
        file="tokenizer.json",
        kind="BPE",
        vocabulary={"word": 5},
        added=tokens,
        max_id=reading(top, "tokenizer.json"),
        max_token="",
        complete=complete,
        **more,
    )


def _processor(**settings: str) -> Processor:
    document = JsonDocument(file="processor_config.json", value=settings)
    return Processor(settings=Settings(document=document))


def test_fires_one_beside_the_id() -> None:
    (problem,) = fires(image_token_id_mismatch, _model(image=31999), _tokenizer({"<image>": 32000}), None, EXPECTED)

    assert "31999" in problem.message
    assert "32000" in problem.message
    assert problem.because[0].at.pointer == "/image_token_index"
    assert problem.because[1].at.pointer == "/added_tokens/0/id"
    assert problem.fix is not None
    assert problem.fix.edits[0].value == 32000


def test_fires_where_the_library_renumbers_the_token() -> None:
    token = AddedToken(id=64000, content="<image>", special=True, at=Location(file="tokenizer.json"), stated=64003)
    tokenizer = Tokenizer(
        file="tokenizer.json", kind="BPE", vocabulary={}, added=(token,), max_id=reading(64000), max_token="<image>"
    )

    (problem,) = fires(image_token_id_mismatch, _model(image=64003), tokenizer, None, EXPECTED)

    assert "the file says 64003, and the library renumbers it" in problem.message


def test_silent_where_they_agree() -> None:
    silent(image_token_id_mismatch, _model(image=32000), _tokenizer({"<image>": 32000}), None, EXPECTED)


@pytest.mark.parametrize("value", [-200, -201])
def test_silent_on_the_mark_of_the_original_llava(value: int) -> None:
    silent(image_token_id_mismatch, _model(image=value), _tokenizer({"<image>": 32000}), None, EXPECTED)


def test_the_most_explicit_setting_decides() -> None:
    tokenizer = _tokenizer({"<|image|>": 10, "<|patch|>": 11, "<image>": 12})
    processor = _processor(image_token="<|image|>", patch_token="<|patch|>")

    silent(image_token_id_mismatch, _model(image=11), tokenizer, processor, EXPECTED)
    fires(image_token_id_mismatch, _model(image=10), tokenizer, processor, EXPECTED)


def test_silent_where_the_tokenizer_names_another_token() -> None:
    named = {"image_token": reading("<|img|>", "tokenizer_config.json")}

    silent(image_token_id_mismatch, _model(image=7), _tokenizer({"<|img|>": 7}, named=named), None, EXPECTED)


def test_silent_on_another_spelling_of_the_default() -> None:
    silent(image_token_id_mismatch, _model(image=10), _tokenizer({"[IMG]": 10}), None, EXPECTED)


def test_fires_where_the_placeholder_is_no_token_at_all() -> None:
    (problem,) = fires(image_token_id_mismatch, _model(image=5), _tokenizer({"<s>": 6}), None, EXPECTED)

    assert "'word'" in problem.message


def test_silent_where_not_all_tokens_are_known() -> None:
    silent(image_token_id_mismatch, _model(image=5), _tokenizer({"<s>": 6}, complete=False), None, EXPECTED)


def test_warns_on_an_id_past_the_tokenizer_for_an_unknown_family() -> None:
    unknown = Expectations()

    (problem,) = fires(image_token_id_mismatch, _model(image=7), _tokenizer({"<s>": 6}), None, unknown)
    assert problem.severity is Severity.WARNING
    silent(image_token_id_mismatch, _model(image=6), _tokenizer({"<s>": 6}), None, unknown)


def test_silent_on_a_model_without_placeholders() -> None:
    silent(image_token_id_mismatch, _model(), _tokenizer({}), None, EXPECTED)


def test_one_finding_for_all_placeholders_of_a_foreign_tokenizer() -> None:
    expected = Expectations(placeholders={"image": "<image>", "video": "<video>"})

    (problem,) = fires(image_token_id_mismatch, _model(video=3, image=4), _tokenizer({"<image>": 6}), None, expected)

    assert problem.message.startswith("config.json puts the image placeholder at id 4")
    assert "the same holds for: video" in problem.message
    assert len(problem.because) == 4
