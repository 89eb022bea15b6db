"""DRF007: the three resolutions of PaliGemma."""

from pathlib import Path

import pytest

from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.paligemma_resolution import paligemma_resolution
from tests.checks.drift.image_folder import SIGLIP, TEXT, arguments, found, settle, square, write

TOKENS = {224: 256, 448: 1024, 896: 4096}


def paligemma(
    folder: Path, model: int, processor: int, *, nested: bool = True, tokens: int | None = None, **text: int
) -> Path:
    tower = {**SIGLIP, "image_size": model}
    config = {"model_type": "paligemma", "vision_config": tower, "text_config": {**TEXT, "model_type": "gemma", **text}}
    images = {
        "image_processor_type": "SiglipImageProcessor",
        "size": square(processor),
        "image_seq_length": TOKENS[processor] if tokens is None else tokens,
    }
    return write(folder, config, images, {"processor_class": "PaliGemmaProcessor"}, nested=nested)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize(("model", "processor"), [(448, 224), (896, 448), (224, 896)])
def test_the_processor_of_another_resolution(tmp_path: Path, model: int, processor: int, *, nested: bool) -> None:
    (finding,) = found(paligemma(tmp_path, model, processor, nested=nested), "DRF001", "DRF007")

    assert finding.code == "DRF007"
    said = (
        f"set for {processor} px with {TOKENS[processor]} tokens, the model takes {model} px and makes {TOKENS[model]}"
    )
    assert said in finding.message
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF007")


def test_the_right_size_with_the_tokens_of_another(tmp_path: Path) -> None:
    (finding,) = found(paligemma(tmp_path, 448, 448, tokens=256), "DRF001", "DRF007")

    assert "becomes 256 placeholders, the model makes 1024 features" in finding.message
    assert (finding.location.pointer or "").endswith("/image_seq_length")


def test_a_number_in_config_json_that_transformers_computes_itself_is_a_note(tmp_path: Path) -> None:
    (finding,) = found(paligemma(tmp_path, 448, 448, num_image_tokens=256), "DRF001", "DRF007")

    assert finding.severity is Severity.NOTE
    assert finding.location.pointer == "/text_config/num_image_tokens"
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF007")


@pytest.mark.parametrize("resolution", TOKENS)
def test_silent_for_each_resolution(tmp_path: Path, resolution: int) -> None:
    folder = paligemma(tmp_path, resolution, resolution, num_image_tokens=TOKENS[resolution])

    assert not found(folder, "DRF001", "DRF007")


def test_colpali_is_a_paligemma_inside(tmp_path: Path) -> None:
    inner = {"model_type": "paligemma", "vision_config": {**SIGLIP, "image_size": 448}, "text_config": TEXT}
    config = {"model_type": "colpali", "vlm_config": inner}
    images = {"image_processor_type": "SiglipImageProcessor", "size": square(448), "image_seq_length": 1024}
    assert not found(write(tmp_path, config, images, {"processor_class": "ColPaliProcessor"}), "DRF001", "DRF007")
    other = {**images, "size": square(224), "image_seq_length": 256}

    (finding,) = found(write(tmp_path, config, other, {"processor_class": "ColPaliProcessor"}), "DRF001", "DRF007")

    assert finding.code == "DRF007"
    settle(tmp_path, finding)
    assert not found(tmp_path, "DRF001", "DRF007")


def test_silent_for_other_families(tmp_path: Path) -> None:
    config = {"model_type": "llava", "vision_config": SIGLIP, "text_config": {**TEXT, "num_image_tokens": 1}}

    assert not found(write(tmp_path, config, {"size": square(384)}, None), "DRF007")


@pytest.mark.parametrize("tokens", [0, -5, "many", None, 10**30])
def test_numbers_without_sense_are_no_crash(tmp_path: Path, tokens: object) -> None:
    folder = paligemma(tmp_path, 448, 448, tokens=tokens, num_image_tokens=tokens)  # type: ignore[arg-type]

    assert all(f.code == "DRF007" for f in found(folder, "DRF007"))


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = paligemma_resolution, paligemma(tmp_path / "b", 448, 224)
    healthy = paligemma(tmp_path / "a", 448, 448)
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
