"""DRF004: the grids of both sides, the limit of LLaVA-OneVision, and old releases."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import AnyresGrids
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import ModelConfig
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.anyres_unpad_rounding import anyres_unpad_rounding
from tests.checks.drift.image_folder import CLIP, SIGLIP, TEXT, fact, found, settle, square, write

PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
ONEVISION = [[384 * h, 384 * w] for h in range(1, 7) for w in range(1, 7)]
NEXT_PROCESSOR = {
    "processor_class": "LlavaNextProcessor",
    "patch_size": 14,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
}
NEXT_IMAGES = {
    "image_processor_type": "LlavaNextImageProcessor",
    "size": {"shortest_edge": 336},
    "crop_size": square(336),
    "do_center_crop": True,
}


def following(folder: Path, ours: Any, theirs: Any, *, family: str = "llava_next", nested: bool = True) -> Path:
    config = {"model_type": family, "vision_config": CLIP, "text_config": TEXT, "image_grid_pinpoints": theirs}
    images = {**NEXT_IMAGES, "image_grid_pinpoints": ours}
    return write(folder, {k: v for k, v in config.items() if v}, images, NEXT_PROCESSOR, nested=nested)


def onevision(folder: Path, ours: Any, theirs: Any, **processor: str) -> Path:
    config = {"model_type": "llava_onevision", "vision_config": SIGLIP, "text_config": TEXT}
    images = {"image_processor_type": "LlavaOnevisionImageProcessor", "size": square(384), "image_grid_pinpoints": ours}
    joint = {"num_image_tokens": 729, "vision_feature_select_strategy": "full", **processor}
    joint["processor_class"] = "LlavaOnevisionProcessor"
    return write(folder, {**config, "image_grid_pinpoints": theirs}, images, joint)


@pytest.mark.parametrize("family", ["llava_next", "llava_next_video"])
@pytest.mark.parametrize("nested", [True, False])
def test_a_list_that_lacks_grids(tmp_path: Path, family: str, *, nested: bool) -> None:
    folder = following(tmp_path, PINPOINTS[:2], PINPOINTS, family=family, nested=nested)

    (finding,) = found(folder, "DRF001", "DRF004")

    assert finding.code == "DRF004"
    assert "a grid of 672x336 px, the model expects 672x672 px; it fails" in finding.message
    assert finding.location.pointer == ("/image_processor" if nested else "") + "/image_grid_pinpoints"
    settle(folder, finding)
    assert not found(folder, "DRF001", "DRF004")


def test_a_model_that_lacks_grids_makes_fewer_features(tmp_path: Path) -> None:
    (finding,) = found(following(tmp_path, PINPOINTS, PINPOINTS[:2]), "DRF001", "DRF004")

    assert "2340 placeholders and 1368 features" in finding.message


def test_equally_good_grids_in_another_order_put_the_tiles_together_wrongly(tmp_path: Path) -> None:
    (finding,) = found(following(tmp_path, [PINPOINTS[1], PINPOINTS[0], *PINPOINTS[2:]], PINPOINTS), "DRF001", "DRF004")

    assert "both make 1176 tokens" in finding.message
    assert "wrong order without any error" in finding.message


def test_llava_onevision(tmp_path: Path) -> None:
    (finding,) = found(onevision(tmp_path, [[384, 768], [768, 384]], ONEVISION), "DRF001", "DRF004")

    assert "the model expects 6 tiles" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF004")


def test_another_limit_fails_for_large_images_only(tmp_path: Path) -> None:
    folder = onevision(tmp_path, ONEVISION, ONEVISION, vision_aspect_ratio="anyres_max_4")

    (finding,) = found(folder, "DRF001", "DRF004")

    assert "2304x2304 image becomes 3699 placeholders, the model makes 7371 features" in finding.message
    assert finding.location.pointer == "/vision_aspect_ratio"
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF004")


def test_grids_that_are_no_whole_tiles(tmp_path: Path) -> None:
    grids = [[384, 768], [768, 384]]

    (finding,) = found(following(tmp_path, grids, grids), "DRF001", "DRF004")

    assert "768x384 px and 1 more is no whole number of tiles of 336 px" in finding.message


def test_silent_for_the_same_list_stated_or_by_default(tmp_path: Path) -> None:
    assert not found(following(tmp_path / "stated", PINPOINTS, PINPOINTS), "DRF001", "DRF004")
    assert not found(following(tmp_path / "default", PINPOINTS, None), "DRF001", "DRF004")
    assert not found(onevision(tmp_path / "onevision", ONEVISION, ONEVISION), "DRF001", "DRF004")


def test_silent_for_entries_that_stand_twice(tmp_path: Path) -> None:
    assert not found(following(tmp_path, [*PINPOINTS, *PINPOINTS], PINPOINTS), "DRF001", "DRF004")


@pytest.mark.parametrize("grids", [[[10**30, 1]], "all", [[336]], [[0, 336]], [["a", "b"]], {}])
def test_lists_without_sense_are_no_finding_and_no_crash(tmp_path: Path, grids: object) -> None:
    assert not found(following(tmp_path, grids, PINPOINTS), "DRF004")


def test_thousands_of_grids_are_not_compared_one_by_one(tmp_path: Path) -> None:
    grids = [[336 * h, 336 * w] for h in range(1, 40) for w in range(1, 40)]

    assert not found(following(tmp_path, grids, PINPOINTS), "DRF004")


def old(version: str | None) -> tuple[object, ...]:
    document = JsonDocument(file="config.json", value={"model_type": "llava_next", "vision_config": CLIP})
    model = multimodal_model(ModelConfig(document=document, model_type="llava_next"))
    versions = {"transformers": version} if version else {}
    return model, None, Libraries(versions=versions, where="installed here", complete=True)


@pytest.mark.parametrize(
    ("version", "old_enough"), [("4.47.1", True), ("4.48.0", False), ("5.23.0", False), (None, False)]
)
def test_an_old_release_rounds_differently(tmp_path: Path, version: str | None, *, old_enough: bool) -> None:
    grids = fact(following(tmp_path, PINPOINTS, PINPOINTS), AnyresGrids)
    model, counts, libraries = old(version)

    if not old_enough:
        silent(anyres_unpad_rounding, model, grids, counts, libraries)
        return
    (problem,) = fires(anyres_unpad_rounding, model, grids, counts, libraries)
    assert problem.severity is Severity.WARNING
    assert "4.47.1 (installed here)" in problem.message
