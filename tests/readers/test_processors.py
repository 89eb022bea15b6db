"""Processors and templates in the layouts of transformers 4 and 5, and which file wins."""

import json
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mmdoctor.engine import Engine, NotApplicable, Unavailable
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import AudioProcessor, ChatTemplates, ImageProcessor, Processor, ProcessorFiles
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source

T = TypeVar("T")

CLIP = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}, "crop_size": 224}
WHISPER = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000}


def _read(root: Path, kind: type[T], **files: Any) -> T:
    (root / "config.json").write_text("{}")
    for name, value in files.items():
        (root / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return Engine(Providers(), {Source: open_source(root)}).fact(kind)


def test_a_section_of_processor_config_wins_and_the_other_copy_is_kept(tmp_path: Path) -> None:
    nested = {"image_processor": CLIP | {"patch_size": 14}, "processor_class": "LlavaProcessor"}

    found = _read(tmp_path, ImageProcessor, processor_config=nested, preprocessor_config=CLIP | {"patch_size": 16})

    assert found.patch_size is not None
    assert found.patch_size.value == 14
    assert found.patch_size.at.pointer == "/image_processor/patch_size"
    assert [other.document.file for other in found.others] == ["preprocessor_config.json"]


def test_the_library_takes_that_copy_too(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers import CLIPImageProcessor

    nested = {"image_processor": CLIP | {"size": {"shortest_edge": 42}}}
    ours = _read(tmp_path, ImageProcessor, processor_config=nested, preprocessor_config=CLIP)

    assert ours.size == {"shortest_edge": CLIPImageProcessor.from_pretrained(tmp_path).size["shortest_edge"]}


@pytest.mark.parametrize(
    ("value", "edge"),
    [
        (14, 14),
        ([14, 14], 14),
        ({"height": 14, "width": 14}, 14),
        ([14, 16], None),
        ("14", None),
        (True, None),
        ([], None),
    ],
)
def test_a_patch_size_in_every_spelling(tmp_path: Path, value: Any, edge: int | None) -> None:
    found = _read(tmp_path, ImageProcessor, preprocessor_config=CLIP | {"patch_size": value})

    assert (found.patch_size.value if found.patch_size else None) == edge


@pytest.mark.parametrize(
    ("kind", "value", "size"),
    [
        ("ViTImageProcessor", 224, {"height": 224, "width": 224}),
        ("ViTFeatureExtractor", 224, {"height": 224, "width": 224}),
        ("CLIPFeatureExtractor", 224, {"shortest_edge": 224}),
        ("CLIPImageProcessorFast", 224, {"shortest_edge": 224}),
        ("LlavaNextImageProcessor", 336, {"shortest_edge": 336}),
        ("Blip3ImageProcessor", [384, 300], {"height": 384, "width": 300}),
        (
            "Qwen2VLImageProcessor",
            {"shortest_edge": 3136, "longest_edge": 12845056},
            {"shortest_edge": 3136, "longest_edge": 12845056},
        ),
        ("ViTImageProcessor", "large", {}),
    ],
)
def test_a_size_is_spelled_out_as_the_class_would(tmp_path: Path, kind: str, value: Any, size: dict[str, int]) -> None:
    found = _read(tmp_path, ImageProcessor, preprocessor_config={"image_processor_type": kind, "size": value})

    assert found.size == size


def test_sound_and_sight_are_told_apart(tmp_path: Path) -> None:
    assert _read(tmp_path, AudioProcessor, preprocessor_config=WHISPER).feature_size.value == 80  # type: ignore[union-attr]  # asserted by value
    with pytest.raises(NotApplicable):
        _read(tmp_path, ImageProcessor)


def test_the_old_name_of_an_image_processor_is_no_feature_extractor(tmp_path: Path) -> None:
    old = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224}

    assert _read(tmp_path, ImageProcessor, preprocessor_config=old).type.value == "CLIPFeatureExtractor"  # type: ignore[union-attr]  # asserted by value
    with pytest.raises(NotApplicable):
        _read(tmp_path, AudioProcessor)


def test_one_file_may_hold_both(tmp_path: Path) -> None:
    both = WHISPER | {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}

    image, audio = (_read(tmp_path, kind, preprocessor_config=both) for kind in (ImageProcessor, AudioProcessor))

    assert image.type.value == "Qwen2VLImageProcessor"
    assert audio.type.value == "WhisperFeatureExtractor"


def test_nested_feature_extractor(tmp_path: Path) -> None:
    found = _read(tmp_path, AudioProcessor, processor_config={"feature_extractor": WHISPER})

    assert found.sampling_rate is not None
    assert found.sampling_rate.at.pointer == "/feature_extractor/sampling_rate"


def test_a_broken_file_is_unavailable_not_absent(tmp_path: Path) -> None:
    for kind in (ImageProcessor, AudioProcessor):
        with pytest.raises(Unavailable, match="cut short"):
            _read(tmp_path, kind, preprocessor_config='{"size": ')
    with pytest.raises(NotApplicable):
        _read(tmp_path, Processor)


def test_files_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    (tmp_path / "unrelated.json").write_text("{}")

    found = _read(tmp_path, ProcessorFiles, processor_config={"image_processor": CLIP, "video_processor": {}})

    assert found.present == ("processor_config.json", "tokenizer.model")
    assert found.usable == ("processor_config.json",)
    assert found.tokenizer == ("tokenizer.model",)
    assert (found.nested_image_processor, found.nested_feature_extractor, found.nested_video_processor) == (
        True,
        False,
        True,
    )


def test_every_place_of_a_template_in_the_order_of_the_library(tmp_path: Path) -> None:
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "rag.jinja").write_text("rag")
    (tmp_path / "chat_template.jinja").write_text("file")

    found = _read(
        tmp_path,
        ChatTemplates,
        tokenizer_config={"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": 1}, 7]},
        chat_template={"chat_template": "json"},
        processor_config={"chat_template": {"default": "processor", "other": 3}},
    )

    assert [(c.at.file, c.at.pointer, c.name, c.text) for c in found.copies] == [
        ("processor_config.json", "/chat_template/default", "default", "processor"),
        ("chat_template.json", "/chat_template", "default", "json"),
        ("additional_chat_templates/rag.jinja", None, "rag", "rag"),
        ("chat_template.jinja", None, "default", "file"),
        ("tokenizer_config.json", "/chat_template/0/template", "tool_use", "tools"),
    ]


@pytest.mark.parametrize(
    "places",
    [("processor_config", "chat_template", "jinja"), ("chat_template", "jinja"), ("jinja", "tokenizer_config")],
)
def test_the_first_copy_is_the_one_that_the_library_takes(tmp_path: Path, places: tuple[str, ...]) -> None:
    pytest.importorskip("transformers")
    from transformers.processing_utils import ProcessorMixin

    files = {name: {"chat_template": name} for name in places if name != "jinja"}
    if "jinja" in places:
        (tmp_path / "chat_template.jinja").write_text("jinja")

    ours = _read(tmp_path, ChatTemplates, **files)
    taken, _ = ProcessorMixin.get_processor_dict(tmp_path)

    assert ours.copies[0].text == taken["chat_template"]


def test_no_template_is_an_empty_fact(tmp_path: Path) -> None:
    assert _read(tmp_path, ChatTemplates).copies == ()
