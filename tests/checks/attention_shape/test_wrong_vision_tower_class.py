"""wrong_vision_tower_class (ATT006) fires on names that build another tower or lead nowhere, else is silent."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.finding import Finding, Severity
from mmdoctor_checks.attention_shape.wrong_vision_tower_class import wrong_vision_tower_class
from tests.architectures.made import Shapes, clip_tower, examine, llama, without

PREFIX = "model.vision_tower.vision_tower."
TEXT = llama("model.")
CLIP = {**TEXT, **clip_tower(PREFIX)}
SIGLIP = {**TEXT, **without(clip_tower(PREFIX, positions=16), "class_embedding")}


def found(shapes: Shapes, name: str | None, *files: str, **more: Any) -> tuple[Finding, ...]:
    entries = tuple(FileEntry(path=f, kind=FileKind.JSON, size=1) for f in files)
    value = {"model_type": "llava_llama", "architectures": ["LlavaLlamaForCausalLM"], "mm_vision_tower": name, **more}
    return examine(wrong_vision_tower_class, shapes, value, Source(root=Path("/x"), name="x", files=entries))


@pytest.mark.parametrize("name", ["openai/clip-vit-large-patch14-336", "some/my-tower"])
def test_fires_on_siglip_weights_under_another_name(name: str):
    (finding,) = found(SIGLIP, name)

    assert "the weights hold a SigLIP tower (16 positions, no class embedding)" in finding.message
    assert finding.severity is Severity.ERROR


def test_fires_on_clip_weights_under_the_name_of_siglip():
    (finding,) = found(CLIP, "google/siglip-so400m-patch14-384")

    assert "choose SigLIP" in finding.message


@pytest.mark.parametrize("name", ["/home/me/clip-vit-large", "../clip", "checkpoints/a/clip", "C:\\models\\clip"])
def test_fires_on_a_path_of_another_machine(name: str):
    assert found(TEXT, name)[0].severity is Severity.ERROR
    assert found(CLIP, name)[0].severity is Severity.WARNING


@pytest.mark.parametrize(
    ("shapes", "name"),
    [
        (CLIP, "openai/clip-vit-large-patch14-336"),
        (TEXT, "openai/clip-vit-large-patch14-336"),
        (SIGLIP, "google/siglip-so400m-patch14-384"),
        (CLIP, None),
        (CLIP, ""),
    ],
)
def test_silent_on_names_that_fit(shapes: Shapes, name: str | None):
    assert found(shapes, name) == ()


def test_silent_on_a_tower_in_the_folder_itself():
    assert found(TEXT, "./tower/clip", "tower/clip/config.json") == ()


def test_silent_on_the_layout_of_transformers():
    assert found(SIGLIP, "/gone/clip", vision_config={"model_type": "siglip_vision_model"}) == ()
