"""The classes of the installed transformers are told from its files, without importing it."""

import sys
from pathlib import Path

import pytest

from mmdoctor.architectures.library_classes import line
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.library import NamedClasses
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.tokenizer import ImageProcessor, Settings
from mmdoctor.location import Location, Reading
from mmdoctor.probes.library_classes import named_classes

AUTO = """
IMAGE_PROCESSOR_MAPPING_NAMES = OrderedDict([("clip", ("CLIPImageProcessor", "CLIPImageProcessorFast"))])
"""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A transformers of a version that no table has."""
    folder = tmp_path / "site" / "transformers"
    (folder / "models" / "auto").mkdir(parents=True)
    (folder / "models" / "auto" / "image_processing_auto.py").write_text(AUTO)
    (folder / "models" / "auto" / "broken.py").write_bytes(b"\xff\xfe")
    (folder / "models" / "odd").mkdir()
    (folder / "models" / "odd" / "image_processing_odd.py").write_text("class OddImageProcessor(Base):\n    ...\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site"), *sys.path])
    return folder


def asked(name: str, model_type: str = "clip", version: str = "4.40.0", *, at_hand: bool = True) -> bool | None:
    document = JsonDocument(file="preprocessor_config.json", value={"image_processor_type": name})
    config = JsonDocument(file="config.json", value={"model_type": model_type})
    facts: NamedClasses = named_classes(
        Documents(by_file={d.file: d for d in (document, config)}),
        MultimodalModel(config=ModelConfig(document=config, model_type=model_type), family="generic", known=False),
        ImageProcessor(
            settings=Settings(document=document),
            type=Reading(name, Location(file=document.file, pointer="/image_processor_type")),
        ),
        None,
        Libraries(versions={"transformers": version}, complete=True, at_hand=at_hand),
    )
    return facts.classes[0].here


@pytest.mark.usefixtures("library")
def test_mapped_classes_and_those_of_a_module() -> None:
    assert asked("CLIPImageProcessor") is True
    assert asked("OddImageProcessor") is True
    assert asked("Qwen2VLImageProcessor") is False
    assert asked("Qwen2VLImageProcessor", "qwen2_vl") is None, "another rule's: the model type is not there"
    assert asked("CLIPImageProcessor", at_hand=False) is None


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("name", ["", "x.y", "../auto", "a" * 500, "class"])
def test_names_that_are_none(name: str) -> None:
    assert not asked(name)


@pytest.mark.slow
@pytest.mark.parametrize("major", ["4", "5"])
def test_the_table_is_that_of_the_installed_release(major: str) -> None:
    transformers = pytest.importorskip("transformers")
    table = line(major)
    if transformers.__version__ != table.version:
        pytest.skip(f"the table is of transformers {table.version}")

    for role in ("image_processor", "feature_extractor", "tokenizer"):
        for names in table.of(role).values():
            assert all(map(table.knows, names))
    assert set(transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES) == table.model_types
