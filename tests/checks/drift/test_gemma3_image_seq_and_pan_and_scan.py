"""DRF008: what Gemma 3 pools an image to, on both sides."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.finding import Confidence, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.gemma3_image_seq_and_pan_and_scan import gemma3_image_seq_and_pan_and_scan
from tests.checks.drift.image_folder import SIGLIP, TEXT, arguments, found, settle, square, write


def gemma(
    folder: Path, ours: int | None, theirs: int | None, *, nested: bool = True, edge: int = 896, **images: Any
) -> Path:
    tower = {**SIGLIP, "image_size": 896}
    config = {"model_type": "gemma3", "vision_config": tower, "text_config": {**TEXT, "model_type": "gemma3_text"}}
    if theirs is not None:
        config["mm_tokens_per_image"] = theirs
    settings = {"image_processor_type": "Gemma3ImageProcessor", "size": square(edge), "do_pan_and_scan": None, **images}
    processor = {"processor_class": "Gemma3Processor", **({} if ours is None else {"image_seq_length": ours})}
    return write(folder, config, settings, processor, nested=nested)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("ours", [64, 255, 1024])
def test_the_processor_states_another_number(tmp_path: Path, ours: int, *, nested: bool) -> None:
    (finding,) = found(gemma(tmp_path, ours, 256, nested=nested), "DRF001", "DRF008")

    assert (finding.code, finding.location.pointer) == ("DRF008", "/image_seq_length")
    assert f"becomes {ours} placeholders, the model makes 256 features" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF008")


@pytest.mark.parametrize(("theirs", "features"), [(64, 64), (1024, 1024), (100, 100)])
@pytest.mark.parametrize("ours", [256, None])
def test_config_json_is_unlike_every_published_model(
    tmp_path: Path, ours: int | None, theirs: int, features: int
) -> None:
    (finding,) = found(gemma(tmp_path, ours, theirs), "DRF001", "DRF008")

    assert (finding.location.file, finding.location.pointer) == ("config.json", "/mm_tokens_per_image")
    assert f"becomes 256 placeholders, the model makes {features} features" in finding.message
    assert finding.confidence is Confidence.LIKELY
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF008")


def test_both_differ_and_config_json_is_believed(tmp_path: Path) -> None:
    (finding,) = found(gemma(tmp_path, 64, 1024), "DRF001", "DRF008")

    assert finding.location.file == "processor_config.json"


def test_more_tokens_than_patches_can_be_pooled_to(tmp_path: Path) -> None:
    (finding,) = found(gemma(tmp_path, 256, 10_000), "DRF001", "DRF008")

    assert finding.code == "DRF008"
    assert "the model cannot make tokens of its own 896x896 px" in finding.message or "refuses" in finding.message


def test_an_image_of_another_size(tmp_path: Path) -> None:
    (finding,) = found(gemma(tmp_path, 256, 256, edge=448), "DRF001", "DRF008")

    assert "set for 448 px, the model takes 896 px" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF008")


def test_a_pooling_that_leaves_out_the_edge(tmp_path: Path) -> None:
    (finding,) = found(gemma(tmp_path, 100, 100), "DRF001", "DRF008")

    assert finding.severity is Severity.WARNING
    assert "64 x 64 patches are pooled 6 by 6: the last 4" in finding.message


def test_a_number_that_is_no_square_and_comes_out_right_is_a_note(tmp_path: Path) -> None:
    (finding,) = found(gemma(tmp_path, 256, 200), "DRF001", "DRF008")

    assert finding.severity is Severity.NOTE


def test_pan_and_scan_is_a_note(tmp_path: Path) -> None:
    (finding,) = found(
        gemma(tmp_path, 256, 256, do_pan_and_scan=True, pan_and_scan_max_num_crops=4), "DRF001", "DRF008"
    )

    assert finding.severity is Severity.NOTE
    assert "up to 4 crops" in finding.message


@pytest.mark.parametrize("scan", [None, False])
@pytest.mark.parametrize("theirs", [256, None])
def test_silent_for_the_published_settings(tmp_path: Path, scan: object, theirs: int | None) -> None:
    assert not found(gemma(tmp_path, 256, theirs, do_pan_and_scan=scan), "DRF001", "DRF008")


def test_silent_for_another_number_on_both_sides(tmp_path: Path) -> None:
    assert not found(gemma(tmp_path, 64, 64), "DRF001", "DRF008")


def test_shieldgemma_2(tmp_path: Path) -> None:
    config = {"model_type": "shieldgemma2", "vision_config": {**SIGLIP, "image_size": 896}, "text_config": TEXT}
    images = {"image_processor_type": "Gemma3ImageProcessor", "size": square(896)}
    processor = {"processor_class": "ShieldGemma2Processor", "image_seq_length": 256}
    assert not found(write(tmp_path, config, images, processor), "DRF001", "DRF008")

    (finding,) = found(write(tmp_path, config, images, {**processor, "image_seq_length": 64}), "DRF001", "DRF008")

    assert (finding.code, finding.location.pointer) == ("DRF008", "/image_seq_length")


def test_gemma_3n(tmp_path: Path) -> None:
    tower = {"model_type": "gemma3n_vision", "architecture": "mobilenetv5_300m_enc", "hidden_size": 64}
    config = {"model_type": "gemma3n", "vision_config": tower, "text_config": TEXT, "vision_soft_tokens_per_image": 256}
    images = {"image_processor_type": "SiglipImageProcessor", "size": square(768)}
    processor = {"processor_class": "Gemma3nProcessor", "image_seq_length": 256}
    assert not found(write(tmp_path, config, images, processor), "DRF001", "DRF008")

    (finding,) = found(write(tmp_path, config, images, {**processor, "image_seq_length": 64}), "DRF001", "DRF008")

    assert (finding.code, finding.location.pointer) == ("DRF008", "/image_seq_length")
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF008")


@pytest.mark.parametrize("value", [0, -4, 10**30, "256", [256], True])
def test_numbers_without_sense_are_no_crash(tmp_path: Path, value: Any) -> None:
    assert all(f.code == "DRF008" for f in found(gemma(tmp_path, value, value), "DRF008"))


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = gemma3_image_seq_and_pan_and_scan, gemma(tmp_path / "b", 64, 256)
    healthy = gemma(tmp_path / "a", 256, 256)
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
