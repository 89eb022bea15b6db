"""DRF011 fires where processor and vision tower cut images into different patches."""

from typing import Any

import pytest

from mmdoctor.engine import NotApplicable
from mmdoctor.finding import Confidence, Edit, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.qwen_patch_factor_in_client import qwen_patch_factor_in_client
from tests.checks.drift.packed import IMAGES, VISION, config, geometry

PREPROCESSOR, PROCESSOR, VIDEO = "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"
VIDEOS = {**IMAGES, "video_processor_type": "Qwen2VLVideoProcessor"}
WEIGHTS = {
    "visual.patch_embed.proj.weight": (32, 3, 2, 14, 14),
    "visual.merger.mlp.0.weight": (128, 128),
    **{f"visual.blocks.{n}.attn.qkv.weight": (96, 32) for n in range(2)},
}


def _facts(
    files: dict[str, Any], model_type: str = "qwen2_vl", vision: dict[str, Any] | None = None, **more: Any
) -> tuple[Any, ...]:
    model = config(model_type, {**VISION, **(vision or {})})
    return geometry(model, files, **more), model, None


TYPES = ("qwen2_vl", "qwen2_5_vl", "exaone4_5", "qwen3_omni_moe_thinker", "hyperclovax_vision_v2")


@pytest.mark.parametrize("model_type", TYPES)
def test_fires_on_another_merge(model_type: str) -> None:
    (problem,) = fires(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: {**IMAGES, "merge_size": 1}}, model_type))

    assert "4 times as many placeholders as features" in problem.message
    assert (problem.because[0].at.pointer, problem.because[0].expected) == ("/merge_size", 2)
    assert problem.because[1].at.pointer == "/vision_config/spatial_merge_size"


def test_fires_on_rows_of_another_length_in_the_layout_of_transformers_5() -> None:
    nested = {"image_processor": {**IMAGES, "patch_size": 16, "temporal_patch_size": 1}}

    (problem,) = fires(qwen_patch_factor_in_client, *_facts({PROCESSOR: nested}))

    assert "768 numbers (3 x 1 x 16 x 16), the vision tower takes 1176 numbers (3 x 2 x 14 x 14)" in problem.message
    assert problem.because[0].at.pointer == "/image_processor/patch_size"


def test_an_absent_value_is_the_class_default() -> None:
    images = {"image_processor_type": "Qwen2VLImageProcessorFast"}

    (problem,) = fires(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: images}, "qwen3_vl", {"patch_size": 16}))

    assert "absent: default of Qwen2VLImageProcessor" in problem.because[0].what


def test_the_weights_make_the_fix_certain() -> None:
    files = {PREPROCESSOR: {**IMAGES, "merge_size": 1}}

    (unproved,) = fires(qwen_patch_factor_in_client, *_facts(files))
    (proved,) = fires(qwen_patch_factor_in_client, *_facts(files, tensors=WEIGHTS))

    assert unproved.fix is not None
    assert unproved.fix.edits == ()
    assert proved.fix is not None
    assert proved.fix.edits == (Edit(file=PREPROCESSOR, pointer="/merge_size", value=2),)


def test_the_weights_tell_that_config_json_is_wrong() -> None:
    files = {PREPROCESSOR: IMAGES, VIDEO: VIDEOS}

    (problem,) = fires(qwen_patch_factor_in_client, *_facts(files, vision={"temporal_patch_size": 1}, tensors=WEIGHTS))

    assert problem.because[0].at.pointer == "/vision_config/temporal_patch_size"
    assert problem.because[0].expected == 2
    assert problem.because[1].at.tensor == "visual.patch_embed.proj.weight"
    assert problem.fix is not None
    assert problem.fix.edits == ()


def test_a_video_alone_is_a_warning() -> None:
    (problem,) = fires(
        qwen_patch_factor_in_client, *_facts({PREPROCESSOR: IMAGES, VIDEO: {**VIDEOS, "temporal_patch_size": 1}})
    )

    assert problem.severity is Severity.WARNING
    assert problem.because[0].at.file == VIDEO


def test_an_unknown_type_is_judged_by_what_both_sides_state() -> None:
    (problem,) = fires(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: {**IMAGES, "patch_size": 16}}, "made_up_vl"))

    assert (problem.severity, problem.confidence) == (Severity.WARNING, Confidence.LIKELY)
    silent(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: {**IMAGES, "temporal_patch_size": 1}}, "made_up_vl"))


@pytest.mark.parametrize("file", [PREPROCESSOR, PROCESSOR])
def test_silent_where_they_agree(file: str) -> None:
    files = {file: IMAGES if file == PREPROCESSOR else {"image_processor": IMAGES}, VIDEO: VIDEOS}

    silent(qwen_patch_factor_in_client, *_facts(files))


def test_silent_on_a_frame_count_that_the_tower_does_not_read() -> None:
    images = {**IMAGES, "image_processor_type": "PaddleOCRVLImageProcessor", "temporal_patch_size": 1}

    silent(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: images}, "paddleocr_vl"))


def test_silent_where_the_processor_tells_the_model_how_it_merged() -> None:
    images = {**IMAGES, "image_processor_type": "VideoLlama3ImageProcessor", "merge_size": 1}

    silent(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: images}, "video_llama_3"))


def test_silent_on_videos_that_borrow_the_image_settings() -> None:
    silent(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: IMAGES}))


def test_a_copy_for_the_other_generation_makes_it_a_warning() -> None:
    files = {PROCESSOR: {"image_processor": {**IMAGES, "merge_size": 1}}, PREPROCESSOR: IMAGES}

    (problem,) = fires(qwen_patch_factor_in_client, *_facts(files))

    assert problem.severity is Severity.WARNING
    assert "in transformers 5" in problem.message


@pytest.mark.parametrize("wild", [-14, 0, "14", None, 10**30, [14, 16], {"height": 14}, True, 2.5])
def test_silent_on_values_that_are_none(wild: object) -> None:
    silent(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: {**IMAGES, "merge_size": wild}}))


def test_clients_are_told_of_another_factor() -> None:
    images = {**IMAGES, "patch_size": 16}

    (note,) = fires(qwen_patch_factor_in_client, *_facts({PREPROCESSOR: images}, "qwen3_vl", {"patch_size": 16}))

    assert note.severity is Severity.NOTE
    assert "multiples of 32" in note.message
    assert "224" in note.message


def test_other_models_are_left_alone() -> None:
    with pytest.raises(NotApplicable):
        _facts({PREPROCESSOR: {"image_processor_type": "CLIPImageProcessor"}}, "llava")
