"""DRF006: tiles and canvas of Idefics and SmolVLM."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.idefics3_smolvlm_image_seq_len import idefics3_smolvlm_image_seq_len
from tests.checks.drift.image_folder import TEXT, arguments, found, settle, write

SIZES = {"idefics3": (364, 14, 2, 169), "smolvlm": (512, 16, 4, 64)}
"""Edge of a tile and of a patch in pixels, `scale_factor`, tokens of a tile: as published."""
NAMES = {"idefics3": "Idefics3", "smolvlm": "SmolVLM"}


def tiled(folder: Path, family: str, *, nested: bool = True, tokens: int | None = None, **images: Any) -> Path:
    edge, patch, factor, right = SIZES[family]
    tower = {"model_type": f"{family}_vision", "image_size": edge, "patch_size": patch, "hidden_size": 64}
    config = {"model_type": family, "vision_config": tower, "text_config": TEXT, "scale_factor": factor}
    settings = {
        "image_processor_type": f"{NAMES[family]}ImageProcessor",
        "do_image_splitting": True,
        "do_resize": True,
        "max_image_size": {"longest_edge": edge},
        "size": {"longest_edge": 4 * edge},
        **images,
    }
    processor = {"processor_class": f"{NAMES[family]}Processor", "image_seq_len": right if tokens is None else tokens}
    return write(folder, config, settings, processor, nested=nested)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("family", SIZES)
def test_another_number_of_tokens(tmp_path: Path, family: str, *, nested: bool) -> None:
    (finding,) = found(tiled(tmp_path, family, nested=nested, tokens=100), "DRF001", "DRF006")

    assert (finding.code, finding.location.pointer) == ("DRF006", "/image_seq_len")
    assert f"becomes 1700 placeholders, the model makes {17 * SIZES[family][3]} features" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF006")


@pytest.mark.parametrize("family", SIZES)
def test_tiles_of_another_size(tmp_path: Path, family: str) -> None:
    edge = SIZES[family][0]
    folder = tiled(tmp_path, family, max_image_size={"longest_edge": edge // 2})

    (finding,) = found(folder, "DRF001", "DRF006")

    assert f"set for {edge // 2} px, the model takes {edge} px" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF006")


def test_tiles_and_tokens_of_another_size_agree_and_are_still_odd(tmp_path: Path) -> None:
    (finding,) = found(
        tiled(tmp_path, "idefics3", tokens=100, max_image_size={"longest_edge": 280}), "DRF001", "DRF006"
    )

    assert finding.severity is Severity.WARNING
    assert "tiles are 280 px, and the tower was made for 364 px" in finding.message


def test_a_canvas_that_is_no_multiple_of_a_tile(tmp_path: Path) -> None:
    (finding,) = found(tiled(tmp_path, "idefics3", size={"longest_edge": 1000}), "DRF001", "DRF006")

    assert finding.severity is Severity.WARNING
    assert "scaled to 1000 px along its longer edge and enlarged to 1092 px again, 3 tiles" in finding.message
    assert finding.fix is not None
    assert "728 or 1092" in finding.fix.text


def test_a_canvas_below_a_tile_blurs_the_only_one(tmp_path: Path) -> None:
    (finding,) = found(tiled(tmp_path, "smolvlm", size={"longest_edge": 336}), "DRF001", "DRF006")

    assert "enlarged to one tile of 512 px" in finding.message


def test_idefics_2_by_its_latents(tmp_path: Path) -> None:
    tower = {"model_type": "idefics2_vision", "image_size": 980, "patch_size": 14, "hidden_size": 64}
    perceiver = {"resampler_n_latents": 64}
    config = {"model_type": "idefics2", "vision_config": tower, "text_config": TEXT, "perceiver_config": perceiver}
    images = {"image_processor_type": "Idefics2ImageProcessor", "size": {"shortest_edge": 378, "longest_edge": 980}}
    processor = {"processor_class": "Idefics2Processor", "image_seq_len": 64}
    assert not found(write(tmp_path, config, images, processor), "DRF001", "DRF006")

    (finding,) = found(write(tmp_path, config, images, {**processor, "image_seq_len": 32}), "DRF001", "DRF006")

    assert (finding.code, finding.location.pointer) == ("DRF006", "/image_seq_len")
    assert "980" not in (finding.fix.text if finding.fix else "")
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF006")


@pytest.mark.parametrize("family", SIZES)
@pytest.mark.parametrize("times", [1, 3, 4, 5])
def test_silent_for_any_number_of_whole_tiles(tmp_path: Path, family: str, times: int) -> None:
    assert not found(tiled(tmp_path, family, size={"longest_edge": times * SIZES[family][0]}), "DRF001", "DRF006")


def test_silent_where_the_image_is_not_cut(tmp_path: Path) -> None:
    images = {"do_image_splitting": False, "size": {"longest_edge": 1000}}

    assert not found(tiled(tmp_path, "idefics3", **images), "DRF001", "DRF006")


@pytest.mark.parametrize("edge", [0, -1, 10**30, "364", None, [364], True])
def test_sizes_without_sense_are_no_crash(tmp_path: Path, edge: object) -> None:
    folder = tiled(tmp_path, "idefics3", max_image_size={"longest_edge": edge}, size={"longest_edge": edge})

    assert all(f.code == "DRF006" for f in found(folder, "DRF006"))


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = idefics3_smolvlm_image_seq_len, tiled(tmp_path / "b", "smolvlm", tokens=169)
    healthy = tiled(tmp_path / "a", "smolvlm")
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
