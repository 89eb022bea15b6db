"""What model types expect, against the mappings of the installed library."""

import pytest

from mmdoctor.architectures.expectations import expectations
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.tokenizer import Expectations


def _expected(model_type: str | None) -> Expectations:
    config = ModelConfig(document=JsonDocument(file="config.json", value={}), model_type=model_type)
    return expectations(MultimodalModel(config=config, family="generic", known=False))


@pytest.mark.parametrize(
    ("model_type", "image", "audio", "tokenizer"),
    [
        ("llava", True, False, True),
        ("qwen2_5_vl", True, False, True),
        ("whisper", False, True, True),
        ("vit", True, False, False),
        ("qwen2_5_omni", True, True, True),
        ("vision-encoder-decoder", True, False, True),
    ],
)
def test_needs(model_type: str, image: bool, audio: bool, tokenizer: bool) -> None:
    found = _expected(model_type)

    assert (found.known, found.image, found.audio, found.tokenizer) == (True, image, audio, tokenizer)


@pytest.mark.parametrize("model_type", ["bert", "llama", "made_up", None])
def test_types_without_a_processor_need_nothing(model_type: str | None) -> None:
    assert not _expected(model_type).known


def test_needs_are_those_of_the_installed_library() -> None:
    auto = pytest.importorskip("transformers.models.auto.image_processing_auto")
    processing = pytest.importorskip("transformers.models.auto.processing_auto")

    image_types = set(auto.IMAGE_PROCESSOR_MAPPING_NAMES) - set(processing.PROCESSOR_MAPPING_NAMES)

    assert {t for t in image_types if not _expected(t).image} == set()
    assert "transformers" in _expected("llava").source


@pytest.mark.parametrize(
    ("model_type", "text"),
    [("qwen2_vl", "<|image_pad|>"), ("mllama", "<|image|>"), ("llama4", "<|patch|>"), ("mistral3", "[IMG]")],
)
def test_placeholders(model_type: str, text: str) -> None:
    assert _expected(model_type).placeholders["image"] == text


def test_a_token_of_the_prompt_is_not_taken_for_the_placeholder() -> None:
    assert _expected("llama4").role_keys["image"] == ("patch_token",)
    assert "image_token" in _expected("llava").role_keys["image"]


@pytest.mark.parametrize(("model_type", "chat"), [("llava", True), ("paligemma", False), ("llama", None)])
def test_chat(model_type: str, chat: bool | None) -> None:
    assert _expected(model_type).chat is chat
