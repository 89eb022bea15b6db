"""The specimens are what they claim to be: they load without a word, take their inputs, and answer to them."""

from pathlib import Path

import pytest

from tests import specimens

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("torchvision")

SPEAKING = ("llava", "qwen", "internvl", "paligemma", "gemma3", "idefics", "smolvlm", "pixtral", "mistral3", "blip-2")
"""Beginnings of the names of families whose prompt holds one placeholder a feature."""


@pytest.fixture(scope="module", params=specimens.NAMES)
def patient(request: pytest.FixtureRequest) -> tuple[str, Path]:
    """One specimen and its folder."""
    try:
        return request.param, specimens.build(request.param)
    except LookupError as reason:
        pytest.skip(str(reason))


@pytest.mark.slow
def test_loads_cleanly_and_answers_to_its_input(patient: tuple[str, Path]) -> None:
    from tests.specimens.examine import examine

    name, folder = patient
    seen = examine(name, folder)

    assert seen.loading == {}, f"{name} does not load cleanly"
    assert seen.finite, f"{name} puts out NaN or Inf"
    assert seen.moved, f"{name} answers the same whatever it is shown"
    assert seen.dead == [], f"{name} has weights without a value"
    if name.startswith(SPEAKING) and name not in ("qwen2", "qwen3"):
        assert seen.placeholders > 0, f"{name} has no place in its prompt for what it sees"


@pytest.mark.slow
def test_watches_a_video(patient: tuple[str, Path]) -> None:
    from tests.specimens.examine import watch

    name, folder = patient
    if not specimens.recipes()[name].video:
        pytest.skip(f"{name} takes no video")

    shapes = watch(name, folder)

    assert shapes, f"{name} puts nothing out for a video"


@pytest.mark.slow
def test_every_special_token_of_the_config_is_in_the_tokenizer(patient: tuple[str, Path]) -> None:
    from tests.specimens.audit import disagreements

    name, folder = patient

    assert disagreements(folder) == [], name


def test_all_recipes_are_named() -> None:
    assert tuple(sorted(specimens.NAMES)) == tuple(sorted(specimens.recipes()))


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
