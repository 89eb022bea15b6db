"""DRF021 fires on sections of processor_config.json where a release before 4.56 is to load them."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor.finding import Removal, Rewriting, Severity
from mmdoctor_checks.drift.processor_saved_by_transformers5 import processor_saved_by_transformers5
from tests.checks.drift.library_versions import FIVE, FOUR, NOWHERE, OLD, QWEN, findings, installed

IMAGE = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14}
VIDEO = {"video_processor_type": "Qwen2VLVideoProcessor", "patch_size": 14}
SOUND = {"feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": 16000}
SAVED = {"processor_class": "Qwen2_5_VLProcessor", "image_processor": IMAGE, "video_processor": VIDEO}


def found(folder: Path, libraries: Libraries, joint: Any = SAVED, config: Any = QWEN, **files: Any) -> Any:
    files = {"config_json": config, "processor_config_json": joint} | files
    return findings(processor_saved_by_transformers5, folder, libraries, **files)


def test_fires_before_4_56_and_moves_the_sections(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, OLD)

    assert finding.severity is Severity.ERROR
    assert "image processor and video processor are sections of processor_config.json" in finding.message
    assert "transformers 4.51.3 (in prod.json) reads preprocessor_config.json alone, which is not there" in (
        finding.message
    )
    assert [type(change) for change in finding.fix.edits] == [Rewriting, Removal] * 2
    written = finding.fix.edits[0]
    assert (written.file, json.loads(written.content)) == ("preprocessor_config.json", IMAGE)
    assert finding.fix.edits[3] == Removal(file="processor_config.json", pointer="/video_processor")


@pytest.mark.parametrize(("version", "fires"), [("4.55.4", 1), ("4.56.0", 0), ("4.57.6", 0), ("5.0.0rc1", 0)])
def test_the_release_that_reads_sections(tmp_path: Path, version: str, fires: int) -> None:
    assert len(found(tmp_path, installed(transformers=version))) == fires


def test_a_note_where_the_library_is_not_known(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, NOWHERE)

    assert finding.severity is Severity.NOTE
    assert "transformers before 4.56, and engines that bundle it" in finding.message


def test_a_feature_extractor_is_read_from_there_too(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, OLD, {"feature_extractor": SOUND}, {"model_type": "whisper"})

    assert finding.location.pointer == "/feature_extractor"


def test_a_copy_beside_the_section_does_not_help(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, OLD, preprocessor_config_json=IMAGE)

    assert "takes the section for the part itself" in finding.message
    assert finding.fix.edits == ()


def test_two_sections_for_one_file_are_left_to_a_person(tmp_path: Path) -> None:
    joint = {"image_processor": IMAGE, "feature_extractor": SOUND}
    (finding,) = found(tmp_path, OLD, joint, {"model_type": "phi4_multimodal"})

    assert finding.fix.edits == ()


@pytest.mark.parametrize("libraries", [OLD, FOUR, FIVE, NOWHERE])
def test_silent_on_the_layout_of_transformers_4(tmp_path: Path, libraries: Libraries) -> None:
    files = {"preprocessor_config_json": IMAGE, "video_preprocessor_config_json": VIDEO}
    assert not found(tmp_path, libraries, {"processor_class": "Qwen2_5_VLProcessor"}, **files)


def test_silent_on_a_model_type_that_needs_transformers_5_anyway(tmp_path: Path) -> None:
    assert not found(tmp_path, OLD, config={"model_type": "gemma4"})


@pytest.mark.parametrize("value", [None, 7, [], "x", {"image_processor": 5}, {"image_processor": []}])
def test_odd_sections_are_no_crash(tmp_path: Path, value: Any) -> None:
    assert not found(tmp_path, OLD, value)
