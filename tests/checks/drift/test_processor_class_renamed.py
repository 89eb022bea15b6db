"""DRF020 fires on a class that no release, or the one of the deployment, has; names are found as the library does."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor.finding import Edit, Severity
from mmdoctor_checks.drift.processor_class_renamed import processor_class_renamed
from tests.checks.drift.library_versions import FIVE, FOUR, NOWHERE, OLD, QWEN, findings, installed


def found(folder: Path, libraries: Libraries, config: Any = QWEN, **files: Any) -> Any:
    return findings(processor_class_renamed, folder, libraries, config_json=config, **files)


def kind(name: str, key: str = "image_processor_type") -> dict[str, Any]:
    return {key: name, "patch_size": 14, "image_mean": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize("libraries", [NOWHERE, OLD, FOUR, FIVE])
def test_a_name_that_was_never_released_is_an_error_everywhere(tmp_path: Path, libraries: Libraries) -> None:
    (finding,) = found(tmp_path, libraries, preprocessor_config_json=kind("Qwen2_5_VLImageProcessor"))

    assert finding.severity is Severity.ERROR
    assert "image_processor_type is Qwen2_5_VLImageProcessor, a class that transformers 4" in finding.message or (
        "transformers 5.23.0 (in prod.json)" in finding.message
    )
    assert (finding.location.file, finding.location.pointer) == ("preprocessor_config.json", "/image_processor_type")
    assert finding.fix.edits == (
        Edit(file="preprocessor_config.json", pointer="/image_processor_type", value="Qwen2VLImageProcessor"),
    )


def test_it_is_found_in_the_section_that_transformers_5_reads(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, FIVE, processor_config_json={"image_processor": kind("Qwen2_5_VLImageProcessor")})

    assert finding.location.pointer == "/image_processor/image_processor_type"


@pytest.mark.parametrize(
    ("key", "file", "model_type"),
    [
        ("video_processor_type", "video_preprocessor_config_json", "qwen2_5_vl"),
        ("processor_class", "processor_config_json", "qwen2_5_vl"),
        ("processor_class", "tokenizer_config_json", "qwen2_5_vl"),
        ("feature_extractor_type", "preprocessor_config_json", "whisper"),
    ],
)
def test_other_parts_have_names_too(tmp_path: Path, key: str, file: str, model_type: str) -> None:
    settings = {key: "NeverReleasedProcessor", "sampling_rate": 16000}
    (finding,) = found(tmp_path, NOWHERE, {"model_type": model_type}, **{file: settings})

    assert (finding.severity, finding.location.pointer) == (Severity.ERROR, f"/{key}")


@pytest.mark.parametrize("libraries", [NOWHERE, FOUR, FIVE])
@pytest.mark.parametrize(
    "name", ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "CLIPImageProcessor", "BaseImageProcessorFast"]
)
def test_silent_on_names_with_and_without_fast(tmp_path: Path, libraries: Libraries, name: str) -> None:
    assert not found(tmp_path, libraries, preprocessor_config_json=kind(name))


@pytest.mark.parametrize("libraries", [NOWHERE, FOUR, FIVE])
def test_silent_on_the_legacy_key(tmp_path: Path, libraries: Libraries) -> None:
    legacy = kind("CLIPFeatureExtractor", "feature_extractor_type")
    assert not found(tmp_path, libraries, {"model_type": "clip"}, preprocessor_config_json=legacy)


@pytest.mark.parametrize("libraries", [NOWHERE, FOUR, FIVE])
def test_silent_without_the_key_where_the_model_type_has_a_class(tmp_path: Path, libraries: Libraries) -> None:
    assert not found(tmp_path, libraries, preprocessor_config_json={"patch_size": 14, "size": {"shortest_edge": 3136}})


def test_fires_without_the_key_where_the_model_type_has_none(tmp_path: Path) -> None:
    config = {"model_type": "vision-text-dual-encoder", "vision_config": {"model_type": "vit"}}
    (finding,) = found(tmp_path, FOUR, config, preprocessor_config_json={"image_mean": [0.5] * 3, "size": 224})

    assert "have no image_processor_type" in finding.message


@pytest.mark.parametrize("where", ["preprocessor_config_json", "config_json"])
def test_silent_where_code_of_the_model_covers_it(tmp_path: Path, where: str) -> None:
    maps = {"auto_map": {"AutoImageProcessor": "processing.MyImageProcessor", "AutoModel": "modeling.MyModel"}}
    files = {"preprocessor_config_json": kind("MyImageProcessor"), "config_json": QWEN}
    files[where] = files[where] | maps

    assert not findings(processor_class_renamed, tmp_path, NOWHERE, **files)


def test_silent_on_a_model_type_that_the_library_does_not_know(tmp_path: Path) -> None:
    assert not found(tmp_path, FIVE, {"model_type": "my_vlm"}, preprocessor_config_json=kind("MyImageProcessor"))


def test_silent_on_a_processor_class_beside_a_text_model(tmp_path: Path) -> None:
    settings = {"processor_class": "NeverReleasedProcessor"}
    assert not found(tmp_path, FIVE, {"model_type": "llama"}, tokenizer_config_json=settings)


def test_a_class_of_one_line_is_an_error_there_and_a_note_where_nothing_is_known(tmp_path: Path) -> None:
    new = {"preprocessor_config_json": kind("CLIPImageProcessorPil")}

    assert [f.severity for f in found(tmp_path, FOUR, {"model_type": "clip"}, **new)] == [Severity.ERROR]
    assert [f.severity for f in found(tmp_path, NOWHERE, {"model_type": "clip"}, **new)] == [Severity.NOTE]
    assert not found(tmp_path, FIVE, {"model_type": "clip"}, **new)


def test_a_class_may_be_newer_than_what_is_known(tmp_path: Path) -> None:
    new = {"preprocessor_config_json": kind("Qwen9VLImageProcessor")}
    (finding,) = found(tmp_path, NOWHERE, QWEN | {"transformers_version": "6.1.0"}, **new)

    assert finding.severity is Severity.NOTE
    assert not found(tmp_path, installed(transformers="6.1.0"), QWEN | {"transformers_version": "6.1.0"}, **new)


def test_each_line_takes_its_own_copy(tmp_path: Path) -> None:
    files = {
        "preprocessor_config_json": kind("Qwen2_5_VLImageProcessor"),
        "processor_config_json": {"image_processor": kind("Qwen2VLImageProcessor")},
    }
    assert not found(tmp_path, FIVE, **files)
    assert [f.location.file for f in found(tmp_path, FOUR, **files)] == ["preprocessor_config.json"]


@pytest.mark.parametrize("value", [None, 7, [], {}, "", "\ud800", "a" * 10_000, "__class__"])
def test_odd_names_are_no_crash(tmp_path: Path, value: Any) -> None:
    for finding in found(tmp_path, FIVE, preprocessor_config_json={"image_processor_type": value, "size": 3}):
        assert finding.message


@pytest.mark.parametrize(
    ("name", "model_type", "meant"),
    [
        ("SigLIPImageProcessor", "siglip", "SiglipImageProcessor"),
        ("CLIPImageProcesor", "llava", "CLIPImageProcessor"),
        ("LlavaOtherImageProcessor", "llava", None),
        ("Siglip3ImageProcessor", "llava", None),
    ],
)
def test_the_right_name_is_written_only_where_it_must_be_meant(
    tmp_path: Path, name: str, model_type: str, meant: str | None
) -> None:
    (finding,) = found(tmp_path, FIVE, {"model_type": model_type}, preprocessor_config_json=kind(name))

    assert [edit.value for edit in finding.fix.edits] == ([meant] if meant else [])
