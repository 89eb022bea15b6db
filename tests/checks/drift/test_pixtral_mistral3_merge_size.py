"""DRF005: what fires, what stays silent, and the traps."""

from typing import Any

from mmdoctor.architectures import multimodal_model
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings
from mmdoctor.location import Reading
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.pixtral_mistral3_merge_size import pixtral_mistral3_merge_size

TEXT = {"model_type": "mistral", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 99}
VISION = {"model_type": "pixtral", "patch_size": 14, "hidden_size": 64, "num_attention_heads": 4, "image_size": 1540}


def facts(model: dict[str, Any], processor: dict[str, Any] | None) -> tuple[object, ...]:
    value = {"text_config": TEXT, "vision_config": VISION, **model}
    config = ModelConfig(document=JsonDocument(file="config.json", value=value), model_type=value["model_type"])
    normalised = multimodal_model(config)
    image = ImageProcessor(settings=Settings(document=JsonDocument(file="preprocessor_config.json", value={})))
    if processor is None:
        return normalised, normalised.vision, image, None
    settings = Settings(document=JsonDocument(file="processor_config.json", value=processor))
    stated = settings.read("processor_class", str)
    return normalised, normalised.vision, image, Processor(settings=settings, processor_class=stated)


def mistral3(**processor: Any) -> tuple[object, ...]:
    return facts(
        {"model_type": "mistral3", "spatial_merge_size": 2}, {"processor_class": "PixtralProcessor", **processor}
    )


def test_fires_with_four_times_the_tokens() -> None:
    (problem,) = fires(pixtral_mistral3_merge_size, *mistral3(patch_size=14, spatial_merge_size=1))

    assert "12100 tokens and 3025 features" in problem.message
    assert problem.because[0].at.pointer == "/spatial_merge_size"
    assert problem.fix is not None
    assert [(e.file, e.pointer, e.value) for e in problem.fix.edits] == [
        ("processor_config.json", "/spatial_merge_size", 2)
    ]


def test_fires_where_the_processor_states_no_merge_size() -> None:
    (problem,) = fires(pixtral_mistral3_merge_size, *mistral3(patch_size=14))

    assert (problem.because[0].observed, problem.because[0].expected) == (1, 2)


def test_fires_for_another_patch() -> None:
    (problem,) = fires(pixtral_mistral3_merge_size, *mistral3(patch_size=16, spatial_merge_size=2))

    assert "32 x 32 pixels" in problem.message


def test_fires_without_a_processor_file_where_the_type_has_one_class_only() -> None:
    (problem,) = fires(pixtral_mistral3_merge_size, *facts({"model_type": "mistral3"}, None))

    assert problem.because[0].at.file == "processor_config.json"


def test_silent_when_both_agree() -> None:
    silent(pixtral_mistral3_merge_size, *mistral3(patch_size=14, spatial_merge_size=2))


def test_silent_when_the_patch_already_holds_the_merging() -> None:
    silent(pixtral_mistral3_merge_size, *mistral3(patch_size=28, spatial_merge_size=1))


def test_silent_for_the_model_class_default_of_two() -> None:
    settings = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}

    silent(pixtral_mistral3_merge_size, *facts({"model_type": "mistral3"}, settings))


def test_silent_for_pixtral_in_llava_which_merges_nothing() -> None:
    settings = {"processor_class": "PixtralProcessor", "patch_size": 14}

    silent(pixtral_mistral3_merge_size, *facts({"model_type": "llava"}, settings))


def test_fires_for_pixtral_in_llava_with_mistral3s_processor() -> None:
    settings = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}

    fires(pixtral_mistral3_merge_size, *facts({"model_type": "llava"}, settings))


def test_silent_for_another_tower() -> None:
    clip = {"model_type": "llava", "vision_config": {**VISION, "model_type": "clip_vision_model"}}

    silent(pixtral_mistral3_merge_size, *facts(clip, {"processor_class": "PixtralProcessor", "patch_size": 16}))


def test_silent_for_zero_which_another_rule_reports() -> None:
    silent(pixtral_mistral3_merge_size, *mistral3(patch_size=0, spatial_merge_size=2))


def test_a_dictionary_is_read_as_a_patch() -> None:
    model = {"model_type": "mistral3", "vision_config": {**VISION, "patch_size": {"height": 14, "width": 14}}}
    settings = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}

    normalised, vision, image, processor = facts(model, settings)
    assert isinstance(getattr(vision, "patch_size", None), Reading)
    silent(pixtral_mistral3_merge_size, normalised, vision, image, processor)
