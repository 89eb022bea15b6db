"""DRF003: the class token of the tower, in families that leave it out, keep it, or have none."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.finding import Confidence, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.cls_token_off_by_one import cls_token_off_by_one
from tests.checks.drift.image_folder import CLIP, SIGLIP, TEXT, arguments, found, settle, square, write

STRATEGY = "vision_feature_select_strategy"
CLIP_IMAGES = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 336},
    "crop_size": square(336),
    "do_center_crop": True,
    "do_resize": True,
}
SIGLIP_IMAGES = {"image_processor_type": "SiglipImageProcessor", "size": square(384), "do_resize": True}
NEXT_IMAGES = {**CLIP_IMAGES, "image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[336, 672]]}
ONEVISION_IMAGES = {
    "image_processor_type": "LlavaOnevisionImageProcessor",
    "size": square(384),
    "image_grid_pinpoints": [[384, 768]],
}
BY_CLIP = {"processor_class": "LlavaProcessor", "patch_size": 14, STRATEGY: "default", "num_additional_image_tokens": 1}
BY_SIGLIP = {**BY_CLIP, STRATEGY: "full", "num_additional_image_tokens": 0}


def llava(folder: Path, processor: dict[str, Any], *, siglip: bool = False, nested: bool = True, **config: Any) -> Path:
    tower, images = (SIGLIP, SIGLIP_IMAGES) if siglip else (CLIP, CLIP_IMAGES)
    value = {"model_type": "llava", "vision_config": tower, "text_config": TEXT, **config}
    return write(folder, value, images, processor, nested=nested)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("changed", "tokens"), [({"num_additional_image_tokens": 0}, 575), ({STRATEGY: "full"}, 577)])
def test_a_processor_of_another_tower(tmp_path: Path, changed: dict[str, Any], tokens: int, *, nested: bool) -> None:
    folder = llava(tmp_path, {**BY_CLIP, **changed}, nested=nested, vision_feature_select_strategy="default")

    (finding,) = found(folder, "DRF001", "DRF003")

    assert (finding.code, finding.severity) == ("DRF003", Severity.ERROR)
    assert f"becomes {tokens} placeholders, the model makes 576 features" in finding.message
    assert (finding.location.file, finding.location.pointer) == ("processor_config.json", f"/{next(iter(changed))}")
    settle(folder, finding)
    assert not found(folder, "DRF001", "DRF003")


def test_without_the_setting_the_class_counts_no_class_token(tmp_path: Path) -> None:
    processor = {k: v for k, v in BY_CLIP.items() if k != "num_additional_image_tokens"}

    (finding,) = found(llava(tmp_path, processor), "DRF001", "DRF003")

    assert finding.confidence is Confidence.LIKELY
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF003")
    assert json.loads((tmp_path / "processor_config.json").read_text())["num_additional_image_tokens"] == 1


def test_clip_by_the_other_strategy_in_config_json(tmp_path: Path) -> None:
    (finding,) = found(llava(tmp_path, BY_CLIP, vision_feature_select_strategy="full"), "DRF001", "DRF003")

    assert "makes 577 features" in finding.message
    assert finding.location.file == "config.json"
    assert finding.confidence is Confidence.LIKELY


@pytest.mark.parametrize("config", [{}, {STRATEGY: "default"}])
def test_siglip_whose_first_patch_would_be_thrown_away(tmp_path: Path, config: dict[str, Any]) -> None:
    (finding,) = found(llava(tmp_path, BY_SIGLIP, siglip=True, **config), "DRF001", "DRF003")

    assert "729 placeholders, the model makes 728 features" in finding.message
    assert "no class token" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF003")


def test_siglip_with_the_processor_of_clip_comes_out_right_by_chance(tmp_path: Path) -> None:
    """One more and one less: the library takes it."""
    assert not found(llava(tmp_path, BY_CLIP, siglip=True, **{STRATEGY: "full"}), "DRF001", "DRF003")


def test_both_drop_the_first_patch_of_siglip_is_a_note(tmp_path: Path) -> None:
    processor = {**BY_SIGLIP, STRATEGY: "default"}

    (finding,) = found(llava(tmp_path, processor, siglip=True, **{STRATEGY: "default"}), "DRF001", "DRF003")

    assert finding.severity is Severity.NOTE
    assert "728 patches are used" in finding.message


@pytest.mark.parametrize(
    ("family", "processor", "images"),
    [
        ("llava_next", {"processor_class": "LlavaNextProcessor"}, NEXT_IMAGES),
        ("llava_next_video", {"processor_class": "LlavaNextVideoProcessor"}, NEXT_IMAGES),
        ("vipllava", {"processor_class": "LlavaProcessor"}, CLIP_IMAGES),
        ("video_llava", {"processor_class": "VideoLlavaProcessor"}, {**CLIP_IMAGES}),
    ],
)
def test_the_same_in_its_relatives(
    tmp_path: Path, family: str, processor: dict[str, Any], images: dict[str, Any]
) -> None:
    config = {"model_type": family, "vision_config": CLIP, "text_config": TEXT, "image_grid_pinpoints": [[336, 672]]}
    healthy = {**BY_CLIP, **processor}
    assert not found(write(tmp_path, config, images, healthy), "DRF001", "DRF003")

    (finding,) = found(
        write(tmp_path, config, images, {**healthy, "num_additional_image_tokens": 0}), "DRF001", "DRF003"
    )

    assert finding.code == "DRF003"
    assert finding.location.pointer == "/num_additional_image_tokens"


@pytest.mark.parametrize("key", [STRATEGY, "num_image_tokens"])
def test_llava_onevision(tmp_path: Path, key: str) -> None:
    config = {"model_type": "llava_onevision", "vision_config": SIGLIP, "text_config": TEXT}
    config["image_grid_pinpoints"] = [[384, 768]]
    healthy = {"processor_class": "LlavaOnevisionProcessor", "num_image_tokens": 729, STRATEGY: "full"}
    assert not found(write(tmp_path, config, ONEVISION_IMAGES, healthy), "DRF001", "DRF003")
    drifted = {**healthy, key: "default" if key == STRATEGY else 730}

    (finding,) = found(write(tmp_path, config, ONEVISION_IMAGES, drifted), "DRF001", "DRF003")

    assert (finding.code, finding.location.pointer) == ("DRF003", f"/{key}")
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF003")


def test_internvl_cannot_keep_its_class_token(tmp_path: Path) -> None:
    tower = {"model_type": "internvl_vision", "image_size": [448, 448], "patch_size": [14, 14], "hidden_size": 64}
    config = {"model_type": "internvl", "vision_config": tower, "text_config": TEXT, STRATEGY: "full"}
    images = {"image_processor_type": "GotOcr2ImageProcessorFast", "size": square(448)}
    processor = {"processor_class": "InternVLProcessor", "image_seq_length": 256}

    (finding,) = found(write(tmp_path, config, images, processor), "DRF001", "DRF003", "DRF009")

    assert (finding.code, finding.location.file) == ("DRF003", "config.json")
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF003", "DRF009")


def test_the_position_table_of_577_rows_and_27_patches_of_384_pixels_are_right(tmp_path: Path) -> None:
    assert not found(llava(tmp_path / "clip", BY_CLIP), "DRF001", "DRF003")
    assert not found(llava(tmp_path / "siglip", BY_SIGLIP, siglip=True, **{STRATEGY: "full"}), "DRF001", "DRF003")


def test_a_clip_that_keeps_its_class_token_on_both_sides_is_right(tmp_path: Path) -> None:
    processor = {**BY_CLIP, STRATEGY: "full"}

    assert not found(llava(tmp_path, processor, **{STRATEGY: "full"}), "DRF001", "DRF003")


def test_another_patch_size_is_not_the_class_token(tmp_path: Path) -> None:
    (finding,) = found(llava(tmp_path, {**BY_CLIP, "patch_size": 16}), "DRF001", "DRF003")

    assert finding.code == "DRF001"


def test_two_copies_that_differ_are_left_to_the_general_rule(tmp_path: Path) -> None:
    config = {"model_type": "llava", "vision_config": SIGLIP, "text_config": TEXT, STRATEGY: "full"}
    folder = write(tmp_path, config, {**SIGLIP_IMAGES, "size": square(378 + 14)}, BY_SIGLIP)
    (folder / "preprocessor_config.json").write_text(json.dumps(SIGLIP_IMAGES))

    assert [(f.code, f.severity) for f in found(folder, "DRF001", "DRF003")] == [("DRF001", Severity.WARNING)]


@pytest.mark.parametrize("value", [None, "neither", 3, []])
def test_a_strategy_without_sense_is_no_crash(tmp_path: Path, value: object) -> None:
    assert all(f.code == "DRF003" for f in found(llava(tmp_path, BY_CLIP, **{STRATEGY: value}), "DRF003"))


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = cls_token_off_by_one, llava(tmp_path / "b", {**BY_CLIP, "num_additional_image_tokens": 0})
    healthy = llava(tmp_path / "a", BY_CLIP)
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
