"""DRF009: the tokens of a tile, in InternVL and the other families that cut images into tiles."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.internvl_tile_count import internvl_tile_count
from tests.checks.drift.image_folder import SIGLIP, TEXT, arguments, found, settle, square, write

TOWER = {"model_type": "internvl_vision", "image_size": [448, 448], "patch_size": [14, 14], "hidden_size": 64}


def internvl(folder: Path, *, nested: bool = True, edge: int = 448, config: Any = None, **processor: Any) -> Path:
    value = {"model_type": "internvl", "vision_config": TOWER, "text_config": TEXT, **(config or {})}
    images = {"image_processor_type": "GotOcr2ImageProcessorFast", "size": square(edge), "max_patches": 12}
    joint = {"processor_class": "InternVLProcessor", "image_seq_length": 256, **processor}
    return write(folder, value, images, joint, nested=nested)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("tokens", [64, 1024])
def test_a_tile_of_another_number_of_tokens(tmp_path: Path, tokens: int, *, nested: bool) -> None:
    (finding,) = found(internvl(tmp_path, nested=nested, image_seq_length=tokens), "DRF001", "DRF009")

    assert (finding.code, finding.location.pointer) == ("DRF009", "/image_seq_length")
    assert f"becomes {tokens} placeholders, the model makes 256 features" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF009")


def test_tiles_of_another_size(tmp_path: Path) -> None:
    (finding,) = found(internvl(tmp_path, edge=224), "DRF001", "DRF009")

    assert "set for 224 px, the model takes 448 px" in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF009")


def test_another_ratio_in_config_json(tmp_path: Path) -> None:
    (finding,) = found(internvl(tmp_path, config={"downsample_ratio": 0.25}), "DRF001", "DRF009")

    assert "the model makes 64 features" in finding.message
    assert "downsample_ratio" in [e.what for e in finding.evidence]


AYA = {"processor_class": "AyaVisionProcessor", "patch_size": 28, "img_size": 364, "downsample_factor": 1}
AYA_CONFIG = {
    "model_type": "aya_vision",
    "vision_config": {**SIGLIP, "image_size": 364},
    "text_config": TEXT,
    "vision_feature_select_strategy": "full",
    "downsample_factor": 2,
}
AYA_IMAGES = {"image_processor_type": "GotOcr2ImageProcessor", "size": square(364), "max_patches": 12}


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"img_size": 448}, "/img_size"),
        ({"patch_size": 14}, "/patch_size"),
        ({"downsample_factor": 2}, "/patch_size"),
    ],
)
def test_aya_vision_computes_it_from_settings_of_its_own(tmp_path: Path, changed: dict[str, int], at: str) -> None:
    assert not found(write(tmp_path, AYA_CONFIG, AYA_IMAGES, AYA), "DRF001", "DRF009")

    (finding,) = found(write(tmp_path, AYA_CONFIG, AYA_IMAGES, {**AYA, **changed}), "DRF001", "DRF009")

    assert (finding.code, finding.location.pointer) == ("DRF009", at)
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF009")


@pytest.mark.parametrize("changed", [{"patch_size": 16}, {"pixel_shuffle_ratio": 1.0}])
def test_llama_4(tmp_path: Path, changed: dict[str, float]) -> None:
    tower = {"model_type": "llama4_vision_model", "image_size": 336, "patch_size": 14, "pixel_shuffle_ratio": 0.5}
    config = {"model_type": "llama4", "vision_config": tower, "text_config": TEXT}
    images = {"image_processor_type": "Llama4ImageProcessorFast", "size": square(336), "max_patches": 16}
    processor = {"processor_class": "Llama4Processor", "patch_size": 14, "pixel_shuffle_ratio": 0.5}
    assert not found(write(tmp_path, config, images, processor), "DRF001", "DRF009")

    (finding,) = found(write(tmp_path, config, images, {**processor, **changed}), "DRF001", "DRF009")

    assert (finding.code, finding.location.pointer) == ("DRF009", f"/{next(iter(changed))}")
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF009")


def original(folder: Path, **changed: Any) -> Path:
    config = {
        "model_type": "internvl_chat",
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "vision_config": {"model_type": "intern_vit_6b", "image_size": 448, "patch_size": 14, "hidden_size": 64},
        "llm_config": TEXT,
        "force_image_size": 448,
        "downsample_ratio": 0.5,
        "max_dynamic_patch": 12,
        "use_thumbnail": True,
        "dynamic_image_size": True,
        **changed,
    }
    return write(
        folder, config, {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 448}, None, nested=False
    )


def test_the_original_repository_with_patches_that_cannot_be_stacked(tmp_path: Path) -> None:
    (finding,) = found(original(tmp_path, downsample_ratio=0.3), "DRF009")

    assert "32 x 32 patches of a tile of 448 px cannot be stacked by 3.33" in finding.message


@pytest.mark.parametrize(
    "changed", [{}, {"force_image_size": None}, {"downsample_ratio": 1.0}, {"force_image_size": 224}]
)
def test_silent_for_the_original_repository_and_its_preprocessor_of_clip(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    assert not found(original(tmp_path, **changed), "DRF009")


def test_silent_for_fewer_tiles(tmp_path: Path) -> None:
    folder = internvl(tmp_path)
    text = (folder / "processor_config.json").read_text().replace('"max_patches": 12', '"max_patches": 4')
    (folder / "processor_config.json").write_text(text)

    assert not found(folder, "DRF001", "DRF009")


@pytest.mark.parametrize("ratio", [0, -0.5, 10**30, "half", None, True])
def test_ratios_without_sense_are_no_crash(tmp_path: Path, ratio: object) -> None:
    assert not found(original(tmp_path / "original", downsample_ratio=ratio), "DRF009")
    folder = internvl(tmp_path / "hf", config={"downsample_ratio": ratio})
    assert all(f.code == "DRF009" for f in found(folder, "DRF009"))


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = internvl_tile_count, internvl(tmp_path / "b", image_seq_length=64)
    healthy = internvl(tmp_path / "a")
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
