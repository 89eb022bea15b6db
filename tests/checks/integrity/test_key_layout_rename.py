"""INT009 fires on names of another class or a later version than the loader's; silent on both layouts of today."""

from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor_checks.integrity.key_layout_rename import key_layout_rename
from tests.architectures.made import LLAMA, Shapes, changed, examine, llama, llava, llava_config

NEW = {
    (name.replace("language_model.model.", "model.language_model.") if "lm_head" not in name else name): shape
    for name, shape in llava().items()
}
NEW = {(f"model.{n}" if n.startswith(("vision_tower", "multi_modal")) else n): s for n, s in NEW.items()}


def found(shapes: Shapes, value: dict[str, Any], **versions: str) -> tuple[Any, ...]:
    named = {name.replace("_", "-"): version for name, version in versions.items()}
    return examine(key_layout_rename, shapes, value, Libraries(versions=named, where="in prod.json"))


@pytest.mark.parametrize("prefix", ["language_model.model.", "model.language_model."])
def test_fires_on_a_text_class_with_the_names_of_a_multimodal_one(prefix: str):
    (finding,) = found(llama(prefix), LLAMA)

    assert "every weight stays random" in finding.message


@pytest.mark.parametrize(
    ("versions", "fires"),
    [
        ({"transformers": "4.51.3"}, True),
        ({"transformers": "4.57.6"}, False),
        ({"transformers": "5.2.0"}, False),
        ({"vllm": "0.8.5.post1"}, True),
        ({"vllm": "0.11.0"}, False),
        ({}, False),
    ],
)
def test_names_of_a_later_version_than_the_loader(versions: dict[str, str], fires: bool):
    assert bool(found(NEW, llava_config(), **versions)) is fires


@pytest.mark.parametrize("version", ["4.45.0", "5.2.0"])
def test_silent_on_the_older_layout_everywhere(version: str):
    assert found(llava(), llava_config(), transformers=version) == ()


def test_silent_on_text_models_and_types_of_others():
    assert found(llama(), LLAMA) == ()
    assert found(llama("language_model.model."), changed(LLAMA, model_type="somebodys")) == ()
