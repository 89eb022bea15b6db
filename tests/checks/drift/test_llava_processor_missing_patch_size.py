"""DRF002."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.image_tokens import image_token_counts
from mmdoctor.architectures.image_tokens.llava import llava_processor
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import ImageTokenCounts, LlavaProcessor
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.llava_processor_missing_patch_size import llava_processor_missing_patch_size

CLIP = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14, "hidden_size": 64}
SIGLIP = {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14, "hidden_size": 64}
LLAVA = {"model_type": "llava", "vision_config": CLIP, "vision_feature_select_strategy": "default"}
IMAGES = {
    "image_processor_type": "CLIPImageProcessor",
    "processor_class": "LlavaProcessor",
    "size": {"shortest_edge": 336},
    "crop_size": {"height": 336, "width": 336},
}
GOOD = {
    "processor_class": "LlavaProcessor",
    "patch_size": 14,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
}


def made(
    config: dict[str, Any], processor: dict[str, Any] | None, images: dict[str, Any] = IMAGES
) -> tuple[LlavaProcessor, ImageTokenCounts | None]:
    model = multimodal_model(
        ModelConfig(document=JsonDocument(file="config.json", value=config), model_type=config["model_type"])
    )
    at = Settings(document=JsonDocument(file="preprocessor_config.json", value=images))
    image_processor = ImageProcessor(settings=at, type=at.read("image_processor_type", str))
    joint = None
    if processor is not None:
        own = Settings(document=JsonDocument(file="processor_config.json", value=processor))
        joint = Processor(settings=own, processor_class=own.read("processor_class", str))
    assert model.vision is not None
    llava = llava_processor(model, model.vision, image_processor, joint)
    try:
        return llava, image_token_counts(model, model.vision, image_processor, joint)
    except Unavailable:
        return llava, None


def without(*keys: str) -> dict[str, Any]:
    return {k: v for k, v in GOOD.items() if k not in keys}


def test_fires_without_a_patch_size_and_writes_the_right_values() -> None:
    (problem,) = fires(
        llava_processor_missing_patch_size, *made(LLAVA, without("patch_size", "num_additional_image_tokens"))
    )

    assert "has no patch_size" in problem.message
    assert problem.fix is not None
    assert '{"patch_size": 14, "num_additional_image_tokens": 1}' in problem.fix.text
    assert [(e.file, e.pointer, e.value) for e in problem.fix.edits] == [
        ("processor_config.json", "/patch_size", 14),
        ("processor_config.json", "/num_additional_image_tokens", 1),
    ]


def test_null_is_as_good_as_absent() -> None:
    fires(llava_processor_missing_patch_size, *made(LLAVA, {**GOOD, "patch_size": None}))


def test_no_file_at_all_gets_the_whole_file_written() -> None:
    (problem,) = fires(llava_processor_missing_patch_size, *made(LLAVA, None))

    assert problem.fix is not None
    written = json.loads(problem.fix.text.partition(": ")[2])
    assert written == GOOD


def test_complete_settings_are_silent() -> None:
    silent(llava_processor_missing_patch_size, *made(LLAVA, GOOD))


def test_an_absent_strategy_that_counts_wrong_fires() -> None:
    (problem,) = fires(llava_processor_missing_patch_size, *made(LLAVA, without("vision_feature_select_strategy")))

    assert "577 tokens where the model makes 576 features" in problem.message
    assert problem.fix is not None
    assert problem.fix.edits[0].value == "default"


def test_an_absent_strategy_that_counts_right_is_no_problem() -> None:
    silent(
        llava_processor_missing_patch_size,
        *made(LLAVA, without("vision_feature_select_strategy", "num_additional_image_tokens")),
    )


def test_a_guess_is_another_rules_business() -> None:
    guessed = {**GOOD, "patch_size": 16, "vision_feature_select_strategy": "full"}
    silent(llava_processor_missing_patch_size, *made(LLAVA, guessed))


def test_siglip_gets_the_full_strategy_and_no_class_token() -> None:
    config = {**LLAVA, "vision_config": SIGLIP, "vision_feature_select_strategy": "full"}
    (problem,) = fires(llava_processor_missing_patch_size, *made(config, {"processor_class": "LlavaProcessor"}))

    assert problem.fix is not None
    assert {e.pointer: e.value for e in problem.fix.edits} == {
        "/patch_size": 14,
        "/vision_feature_select_strategy": "full",
        "/num_additional_image_tokens": 0,
    }


def test_onevision_needs_the_number_of_tokens_instead() -> None:
    config = {"model_type": "llava_onevision", "vision_config": SIGLIP}
    images = {"image_processor_type": "LlavaOnevisionImageProcessor"}
    processor = {"processor_class": "LlavaOnevisionProcessor"}
    (problem,) = fires(llava_processor_missing_patch_size, *made(config, processor, images))

    assert problem.fix is not None
    assert {e.pointer: e.value for e in problem.fix.edits} == {
        "/num_image_tokens": 729,
        "/vision_feature_select_strategy": "full",
    }


def test_an_unknown_tower_gets_no_guess() -> None:
    config = {**LLAVA, "vision_config": {"model_type": "my_tower", "image_size": 224}}
    (problem,) = fires(llava_processor_missing_patch_size, *made(config, {"processor_class": "LlavaProcessor"}))

    assert problem.fix is not None
    assert not problem.fix.edits


@pytest.mark.parametrize(
    ("config", "processor"),
    [
        ({"model_type": "video_llava", "vision_config": CLIP}, {"processor_class": "VideoLlavaProcessor"}),
        ({**LLAVA, "vision_config": {"model_type": "pixtral"}}, {"processor_class": "PixtralProcessor"}),
        ({"model_type": "qwen2_vl", "vision_config": {"patch_size": 14}}, None),
        ({**LLAVA, "mm_vision_tower": "openai/clip-vit-large-patch14-336"}, None),
    ],
)
def test_processors_with_defaults_and_other_code_are_not_applicable(
    config: dict[str, Any], processor: dict[str, Any] | None
) -> None:
    images = IMAGES if config["model_type"] == "llava" else {"image_processor_type": "Qwen2VLImageProcessor"}
    with pytest.raises(NotApplicable):
        made(config, processor, {k: v for k, v in images.items() if k != "processor_class" or processor is None})


@pytest.mark.parametrize(("name", "key"), [("llava", "patch_size"), ("llava_onevision", "num_image_tokens")])
def test_the_fault_is_real(name: str, key: str, tmp_path: Path) -> None:
    """The library raises without the setting, and works again with what the fix writes."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from mmdoctor.examine import check_path
    from tests.architectures.image_token_oracle import Truth
    from tests.specimens.recipe import recipes

    specimen = recipes()[name].make()
    for processor in specimen.processors:
        processor.save_pretrained(tmp_path)
    specimen.model.config.save_pretrained(tmp_path)
    file = tmp_path / "processor_config.json"
    document = json.loads(file.read_text())
    expected = document.pop(key)
    file.write_text(json.dumps(document))

    with pytest.raises(TypeError):
        Truth(specimen.model, transformers.AutoProcessor.from_pretrained(tmp_path)).inputs(100, 70)
    (finding,) = check_path(tmp_path, depth="headers", select=["DRF001", "DRF002"]).findings
    assert finding.code == "DRF002"
    assert finding.fix is not None
    assert [(e.pointer, e.value) for e in finding.fix.edits] == [(f"/{key}", expected)]

    file.write_text(json.dumps({**document, **{e.pointer.strip("/"): e.value for e in finding.fix.edits}}))
    repaired = Truth(specimen.model, transformers.AutoProcessor.from_pretrained(tmp_path))
    inputs = repaired.inputs(100, 70)
    assert repaired.placeholders(inputs) == repaired.features(inputs)
