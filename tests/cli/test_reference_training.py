"""`mmdoctor reference train` and `evaluate`, as commands."""

import json
from pathlib import Path

import pytest

from mmdoctor.reference import WEIGHTS
from tests.cli.conftest import Program


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--scenes", "0"), "--scenes 0: at least one is needed"),
        (("evaluate", "--scenes", "many"), "--scenes many: not a whole number"),
        (("evaluate", "--fusion", "hybird"), "--fusion hybird: not one of hybrid, early, late; did you mean hybrid?"),
        (("evaluate", "somewhere", "--fusion", "late"), "PATH has a fusion of its own"),
        (("evaluate", "--format", "xml"), "--format xml: not one of text, json"),
        (("evaluate", "nowhere"), "config.json cannot be used"),
        (("train", "--steps", "0"), "--steps 0: a run has at least one step"),
        (("train", "--seed", "x"), "--seed x: not a whole number"),
        (("train", "--output", str(WEIGHTS)), "holds a trained model; name another folder with --output"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_what_is_no_use_is_said(program: Program, arguments: tuple[str, ...], words: str) -> None:
    done = program("reference", *arguments)

    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert list(Path.cwd().glob("*")) == []


def test_scores_of_the_bundled_model(program: Program) -> None:
    done = program("reference", "evaluate", "--scenes", "4", "--format", "json")
    content = json.loads(done.out)

    assert content["schema"] == "mmdoctor/scores/v1"
    assert (content["fusion"], content["scenes"]) == ("hybrid", 4)
    assert done.code == (1 if content["missed"] else 0)


def test_other_fusions_have_no_floors(program: Program) -> None:
    done = program("reference", "evaluate", "--scenes", "4", "--fusion", "late")

    assert done.code == 0
    assert done.out.startswith("late fusion, 4 held-out scenes")


def test_a_short_training_can_be_examined(program: Program, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    trained = program("reference", "train", "--fusion", "late", "--steps", "1", "--output", str(folder))

    assert (trained.code, trained.out) == (0, "")
    assert "step 1 of 1" in trained.err
    assert f"mmdoctor reference evaluate {folder}" in trained.err
    assert {file.name for file in folder.iterdir()} == {file.name for file in WEIGHTS.iterdir()}
    again = program("reference", "train", "--fusion", "late", "--output", str(folder))
    assert again.code == 2
    assert program("reference", "evaluate", str(folder), "--scenes", "2").code == 0
