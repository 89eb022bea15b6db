"""DRF001, on files as they lie on disk and against what the library does with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.image_tokens import image_token_counts
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import ImageTokenCounts
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings
from mmdoctor.finding import Confidence, Severity
from mmdoctor.location import Reading
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.image_tokens_vs_features import image_tokens_vs_features

CLIP = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14, "hidden_size": 64}
SIGLIP = {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14, "hidden_size": 64}
LLAVA = {
    "model_type": "llava",
    "vision_config": CLIP,
    "text_config": {"model_type": "llama"},
    "vision_feature_select_strategy": "default",
}
LLAVA_PROCESSOR = {
    "processor_class": "LlavaProcessor",
    "patch_size": 14,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
}
CLIP_IMAGES = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 336},
    "crop_size": {"height": 336, "width": 336},
    "do_center_crop": True,
    "do_resize": True,
}
QWEN = {
    "model_type": "qwen2_vl",
    "vision_config": {"model_type": "qwen2_vl", "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2},
}
QWEN_IMAGES = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "size": {"shortest_edge": 3136, "longest_edge": 12845056},
    "do_resize": True,
}


def settings(file: str, value: dict[str, Any]) -> Settings:
    return Settings(document=JsonDocument(file=file, value=value))


def model(config: dict[str, Any]) -> MultimodalModel:
    document = JsonDocument(file="config.json", value=config)
    return multimodal_model(ModelConfig(document=document, model_type=config["model_type"]))


def counts(
    config: dict[str, Any], images: dict[str, Any], processor: dict[str, Any] | None, *others: dict[str, Any]
) -> tuple[ImageTokenCounts, MultimodalModel]:
    read = model(config)
    assert read.vision is not None
    at = settings("preprocessor_config.json", images)
    kind = at.read("image_processor_type", str)
    copies = tuple(settings("other.json", o) for o in others)
    joint = None
    if processor is not None:
        joint = settings("processor_config.json", processor)
        joint = Processor(settings=joint, processor_class=joint.read("processor_class", str))
    return image_token_counts(read, read.vision, ImageProcessor(settings=at, type=kind, others=copies), joint), read


def test_agreement_is_silent() -> None:
    silent(image_tokens_vs_features, *counts(LLAVA, CLIP_IMAGES, LLAVA_PROCESSOR))
    silent(image_tokens_vs_features, *counts(QWEN, QWEN_IMAGES, None))


def test_a_merge_size_of_one_makes_four_times_the_placeholders() -> None:
    (problem,) = fires(image_tokens_vs_features, *counts(QWEN, {**QWEN_IMAGES, "merge_size": 1}, None))

    assert "576 placeholders" in problem.message
    assert problem.because[0].what == "merge_size"
    assert (problem.because[0].observed, problem.because[0].expected) == (1, 2)
    assert problem.because[0].at.pointer == "/merge_size"
    assert problem.fix is not None
    assert "merge_size to 2" in problem.fix.text


def test_a_forgotten_class_token_is_off_by_one() -> None:
    (problem,) = fires(
        image_tokens_vs_features, *counts(LLAVA, CLIP_IMAGES, {**LLAVA_PROCESSOR, "num_additional_image_tokens": 0})
    )

    assert "becomes 575 placeholders" in problem.message
    assert "makes 576 features" in problem.message


def test_the_edge_a_patch_size_of_one_more() -> None:
    (problem,) = fires(image_tokens_vs_features, *counts(LLAVA, CLIP_IMAGES, {**LLAVA_PROCESSOR, "patch_size": 15}))

    assert "becomes 484 placeholders" in problem.message


def test_a_patch_of_another_size_is_refused_by_the_model() -> None:
    (problem,) = fires(image_tokens_vs_features, *counts(QWEN, {**QWEN_IMAGES, "patch_size": 16}, None))

    assert "a patch has 1536 numbers, and the model wants 1176" in problem.message


def test_siglip_with_the_full_strategy_has_729_and_no_class_token() -> None:
    config = {**LLAVA, "vision_config": SIGLIP, "vision_feature_select_strategy": "full"}
    processor = {**LLAVA_PROCESSOR, "vision_feature_select_strategy": "full", "num_additional_image_tokens": 0}
    images = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 384, "width": 384}}

    found, read = counts(config, images, processor)

    assert found.counts[0].features.count == 729
    silent(image_tokens_vs_features, found, read)


def test_blip_2_loses_part_of_the_image_in_silence() -> None:
    config = {"model_type": "blip-2", "num_query_tokens": 32, "vision_config": {"model_type": "blip_2_vision_model"}}
    processor = {"processor_class": "Blip2Processor", "num_query_tokens": 16}
    (problem,) = fires(
        image_tokens_vs_features, *counts(config, {"image_processor_type": "BlipImageProcessor"}, processor)
    )

    assert "silently left out" in problem.message


def test_mllama_has_one_token_in_the_text() -> None:
    vision = {"model_type": "mllama_vision_model", "image_size": 560, "patch_size": 14, "max_num_tiles": 4}
    config = {"model_type": "mllama", "vision_config": vision}
    found, read = counts(
        config, {"image_processor_type": "MllamaImageProcessor", "size": {"height": 560, "width": 560}}, None
    )

    assert "6404 states" in found.counts[0].features.arithmetic
    silent(image_tokens_vs_features, found, read)


def test_delimiters_are_not_counted() -> None:
    config = {
        "model_type": "mistral3",
        "spatial_merge_size": 2,
        "vision_config": {"model_type": "pixtral", "patch_size": 14},
    }
    images = {"image_processor_type": "PixtralImageProcessor", "size": {"longest_edge": 1540}, "patch_size": 14}
    processor = {"processor_class": "PixtralProcessor", "patch_size": 14, "spatial_merge_size": 2}
    found, read = counts(config, images, processor)

    assert found.counts[0].placeholders.count == 144
    silent(image_tokens_vs_features, found, read)


def test_gemma3_ignores_pan_and_scan_of_the_file() -> None:
    vision = {"model_type": "siglip_vision_model", "image_size": 896, "patch_size": 14}
    config = {"model_type": "gemma3", "mm_tokens_per_image": 256, "vision_config": vision}
    images = {
        "image_processor_type": "Gemma3ImageProcessor",
        "size": {"height": 896, "width": 896},
        "do_pan_and_scan": True,
    }
    found, read = counts(config, images, {"processor_class": "Gemma3Processor", "image_seq_length": 256})

    assert [c.placeholders.count for c in found.counts] == [256] * 4
    silent(image_tokens_vs_features, found, read)


def test_the_copy_that_transformers_4_reads_makes_it_a_warning() -> None:
    nested = {k: v for k, v in QWEN_IMAGES.items() if k != "patch_size"}
    config = {**QWEN, "vision_config": {**QWEN["vision_config"], "patch_size": 16}}
    (problem,) = fires(image_tokens_vs_features, *counts(config, nested, None, {**QWEN_IMAGES, "patch_size": 16}))

    assert problem.severity is Severity.WARNING
    assert problem.confidence is Confidence.LIKELY
    assert "other.json" in problem.message


def test_a_family_without_a_formula_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="clip"):
        counts({"model_type": "clip", "vision_config": CLIP}, CLIP_IMAGES, None)


def test_code_of_the_artefact_is_not_guessed_about() -> None:
    with pytest.raises(NotApplicable, match="other code"):
        counts({**LLAVA, "auto_map": {"AutoModel": "modeling.X"}}, CLIP_IMAGES, LLAVA_PROCESSOR)


@pytest.mark.parametrize(
    ("images", "processor"),
    [
        ({**CLIP_IMAGES, "crop_size": {"height": -1, "width": 10**30}}, LLAVA_PROCESSOR),
        ({**CLIP_IMAGES, "crop_size": "large"}, LLAVA_PROCESSOR),
        (CLIP_IMAGES, {**LLAVA_PROCESSOR, "patch_size": 0}),
        (CLIP_IMAGES, {**LLAVA_PROCESSOR, "patch_size": [1, 2]}),
        (CLIP_IMAGES, {**LLAVA_PROCESSOR, "num_additional_image_tokens": "one"}),
    ],
)
def test_values_without_sense_are_no_mismatch(images: dict[str, Any], processor: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="cannot be counted"):
        counts(LLAVA, images, processor)


def test_an_unknown_tower_is_unknown() -> None:
    config = {**LLAVA, "vision_config": {"model_type": "my_tower", "image_size": 336, "patch_size": 14}}

    with pytest.raises(Unavailable, match="my_tower"):
        counts(config, CLIP_IMAGES, LLAVA_PROCESSOR)


FAULTS = {
    "qwen2_vl": ("/image_processor/merge_size", 1),
    "mistral3": ("/spatial_merge_size", 1),
    "paligemma": ("/image_processor/image_seq_length", 1024),
    "llava": ("/num_additional_image_tokens", 0),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_fault_is_real(name: str, tmp_path: Path) -> None:
    """The library takes the healthy folder and raises on the drifted one; the rule tells them apart."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from mmdoctor.examine import check_path
    from tests.architectures.image_token_oracle import Truth
    from tests.specimens.recipe import recipes

    made = recipes()[name].make()
    for processor in made.processors:
        processor.save_pretrained(tmp_path)
    made.model.config.save_pretrained(tmp_path)
    healthy = Truth(made.model, made.processors[0])
    healthy.model(**healthy.inputs(100, 70))
    assert not check_path(tmp_path, depth="headers", select=["DRF001"]).findings

    pointer, value = FAULTS[name]
    file = tmp_path / "processor_config.json"
    document = place = json.loads(file.read_text())
    *sections, key = pointer.strip("/").split("/")
    for section in sections:
        place = place[section]
    place[key] = value
    file.write_text(json.dumps(document))
    drifted = Truth(made.model, transformers.AutoProcessor.from_pretrained(tmp_path))

    with pytest.raises((ValueError, RuntimeError)):
        drifted.model(**drifted.inputs(100, 70))
    (finding,) = check_path(tmp_path, depth="headers", select=["DRF001"]).findings
    assert finding.severity is Severity.ERROR


def test_blip_2_really_says_nothing() -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from tests.architectures.image_token_oracle import Truth
    from tests.specimens.recipe import recipes

    made = recipes()["blip-2"].make()
    made.processors[0].num_query_tokens -= 1
    truth = Truth(made.model, made.processors[0])
    inputs = truth.inputs(100, 70)

    assert truth.placeholders(inputs) < truth.features(inputs)
    truth.model(**inputs)


def test_readings_of_the_model_come_with_their_places() -> None:
    found, _ = counts(LLAVA, CLIP_IMAGES, LLAVA_PROCESSOR)
    patch = next(u for u in found.counts[0].features.used if u.what == "vision_config.patch_size")

    assert patch.at == Reading(14, patch.at).at
    assert (patch.at.file, patch.at.pointer) == ("config.json", "/vision_config/patch_size")
