"""The specimens are what they claim to be: they load without a word, take their inputs, and answer to them."""

from pathlib import Path

import pytest

from tests import specimens
from tests.specimens.audit import disagreements
from tests.specimens.faults import Patient

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvision")

SPEAKING = ("llava", "qwen", "internvl", "paligemma", "gemma3", "idefics", "smolvlm", "pixtral", "mistral3", "blip-2")
"""Beginnings of the names of families whose prompt holds one placeholder a feature."""


WATCHING = (
    "llava_next_video", "llava_onevision", "video_llava", "qwen2_vl", "qwen2_5_vl", "qwen2_5_vl-sharded", "qwen3_vl",
    "qwen3_vl_moe", "internvl", "glm4v",
)  # fmt: skip
"""Families whose chat takes a video."""


@pytest.mark.slow
@pytest.mark.parametrize("name", specimens.NAMES)
def test_loads_cleanly_and_answers_to_its_input(name: str) -> None:
    from tests.specimens.examine import examine

    seen = examine(name, specimens.build(name))

    assert seen.loading == {}, f"{name} does not load cleanly"
    assert seen.finite, f"{name} puts out NaN or Inf"
    assert seen.moved, f"{name} answers the same whatever it is shown"
    assert seen.dead == [], f"{name} has weights without a value"
    if name.startswith(SPEAKING) and name not in ("qwen2", "qwen3"):
        assert seen.placeholders > 0, f"{name} has no place in its prompt for what it sees"


@pytest.mark.slow
@pytest.mark.parametrize("name", WATCHING)
def test_watches_a_video(name: str) -> None:
    from tests.specimens.examine import watch

    shapes = watch(name, specimens.build(name))

    assert shapes, f"{name} puts nothing out for a video"


@pytest.mark.slow
@pytest.mark.parametrize("name", specimens.NAMES)
def test_the_files_agree_with_each_other(name: str) -> None:
    assert disagreements(specimens.build(name)) == []


def test_the_audit_sees_what_disagrees(tmp_path: Path) -> None:
    patient = Patient.copy(specimens.build("qwen2_5_vl"), tmp_path / "sick")
    patient.edit(
        "config.json", {"/image_token_id": 9999, "/vision_config/patch_size": 16, "/text_config/vocab_size": 9}
    )
    patient.edit("generation_config.json", {"/eos_token_id": 0})

    seen = "; ".join(disagreements(patient.path))

    assert "image_token_id is 9999, which is no token" in seen
    assert "patch_size: 16 in the model, 14 in the processor" in seen
    assert "vocab_size 9" in seen
    assert "generation stops at" in seen


def test_all_recipes_are_named() -> None:
    recipes = specimens.recipes()

    assert sorted(specimens.NAMES) == sorted(recipes)
    assert sorted(WATCHING) == sorted(name for name in recipes if recipes[name].video)


def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no specimen is called 'qwen9'"):
        specimens.build("qwen9", tmp_path)


def test_a_specimen_is_made_once(tmp_path: Path) -> None:
    first = specimens.build("bert", tmp_path)
    made = (first / "model.safetensors").stat().st_mtime_ns
    second = specimens.build("bert", tmp_path)

    assert second == first
    assert (second / "model.safetensors").stat().st_mtime_ns == made
    assert [path.name for path in first.parent.iterdir()] == ["bert"]


def test_a_specimen_is_the_same_each_time(tmp_path: Path) -> None:
    one, two = (specimens.build("qwen2_5_vl", tmp_path / side) for side in "ab")

    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    for path in one.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes(), path.name
