"""The shapes world, against a slow second account of it: by looking at the pixels and by reading the words."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.reference.processor import Pixels, Processor
from mmdoctor.reference.scenes import (
    MOST_OBJECTS,
    Dice,
    Question,
    Scene,
    Thing,
    ask,
    caption,
    changed,
    draw,
    find,
    names,
    plural,
    throw_scene,
)
from mmdoctor.reference.tasks import Words
from mmdoctor.reference.world import ANSWERS, COLOURS, NUMBERS, SHAPES, SIZES

numbers = st.integers(0, 2**40)
PLACES = [" ".join(words).strip() for words in itertools.product(("top", "", "bottom"), ("left", "", "right"))]
PLACES[4] = "center"


def thrown(number: int, most: int = MOST_OBJECTS) -> tuple[Scene, Dice]:
    dice = Dice("training", 3, number)
    return throw_scene(dice, most), dice


def read(text: str) -> list[tuple[str, str, str, str]]:
    """(size, colour, shape, place) of every object that a caption names."""
    found = [re.fullmatch(r"a (\w+) (\w+) (\w+) at the (\w+(?: \w+)?)", part) for part in text.split(" and ")]
    return [match.groups() for match in found if match]  # type: ignore[misc]


def facts(scene: Scene) -> list[tuple[str, str, str, str]]:
    """The same from the pixels that an object covers."""
    return [(one.size, one.colour, one.shape, PLACES[3 * (one.row // 16) + one.column // 16]) for one in scene]


def meant(words: str, scene: Scene) -> list[int]:
    """Indices of the objects that a name such as `the large red circle` may mean."""
    told, _, place = words.partition(" at the ")
    found = []
    for index, (size, colour, shape, where) in enumerate(facts(scene)):
        adjectives = {word for word in told.split() if word not in {"the", "a", "object"}}
        if adjectives <= {size, colour, shape} and place in {"", where}:
            found.append(index)
    return found


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_a_scene_keeps_its_rules(number: int) -> None:
    scene, dice = thrown(number)
    covered = np.zeros((48, 48), dtype=int)
    for one in scene:
        covered[
            one.row - one.radius : one.row + one.radius + 1, one.column - one.radius : one.column + one.radius + 1
        ] += 1

    assert 1 <= len(scene) <= 4
    assert covered.max() == 1, "no two objects overlap"
    assert covered.sum() == sum((2 * one.radius + 1) ** 2 for one in scene), "none is cut off"
    assert len({(one.colour, one.shape) for one in scene}) == len(scene)
    assert [one.cell for one in scene] == sorted({one.cell for one in scene})
    assert {one.position for one in scene} == {place for *_, place in facts(scene)}
    assert draw(scene, dice).shape == (48, 48, 3)


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_the_box_is_where_the_pixels_are(number: int) -> None:
    scene, dice = thrown(number, 1)
    (one,) = scene
    pixels = draw(scene, dice).astype(int)
    bright = (pixels.max(2) > 56 + 10 + 60).nonzero()
    x, y, width, height = one.box
    left, right, top, bottom = bright[1].min(), bright[1].max() + 1, bright[0].min(), bright[0].max() + 1

    assert (x, y) == pytest.approx(((left + right) / 96, (top + bottom) / 96))
    assert (width, height) == pytest.approx(((right - left) / 48, (bottom - top) / 48))


def test_every_shape_looks_different_at_every_size() -> None:
    for radius in (5, 7):
        seen = {
            (draw((Thing("small", "white", shape, 4, 24, 24, radius),), Dice("training", 0, 0)).max(2) > 130).tobytes()
            for shape in SHAPES
        }
        assert len(seen) == len(SHAPES)


def test_every_colour_can_be_told_from_every_other() -> None:
    inside: dict[str, Pixels] = {}
    for colour in COLOURS:
        things = (Thing("large", colour, "square", 4, 24, 24, 7),)
        throws = [draw(things, Dice("training", 0, n))[17:32, 17:32].astype(int).reshape(-1, 3) for n in range(20)]
        inside[colour] = np.concatenate(throws)
    for one, other in itertools.combinations(COLOURS, 2):
        apart = [
            (inside[one][:, c].max() < inside[other][:, c].min())
            or (inside[one][:, c].min() > inside[other][:, c].max())
            for c in range(3)
        ]
        assert any(apart), (one, other)


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_the_caption_says_what_is_there_and_nothing_else(number: int) -> None:
    scene, dice = thrown(number)
    other = changed(scene, dice)

    assert read(caption(scene)) == facts(scene)
    assert caption(other) != caption(scene)
    before, after = read(caption(scene)), read(caption(other))
    (gone,) = [one for one in before if one not in after]
    (new,) = [one for one in after if one not in before]
    assert sum(a != b for a, b in zip(gone, new, strict=True)) == 1


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_a_name_means_one_object(number: int) -> None:
    scene, _ = thrown(number)
    for index, one in enumerate(scene):
        for name in names(one, scene):
            assert meant(name, scene) == [index], name
        for attribute, word in (("colour", one.colour), ("shape", one.shape), ("size", one.size)):
            assert all(word not in name.split() for name in names(one, scene, without=attribute))


def answer(question: str, scene: Scene) -> str:
    """The right answer, from the words of the question alone."""
    if told := re.fullmatch(r"(what (color|shape|size)|where) is (the .*) \?", question):
        (index,) = meant(told[3], scene)
        size, colour, shape, place = facts(scene)[index]
        return {"color": colour, "shape": shape, "size": size, None: place}[told[2]]
    if told := re.fullmatch(r"how many (\w+)(?: objects)? are there \?", question):
        kind = next((k for k in (*SHAPES, *COLOURS, *SIZES) if told[1] in {k, plural(k)}), "")
        return NUMBERS[sum(not kind or kind in one for one in facts(scene))]
    told = re.fullmatch(r"is there (a .*) \?", question)
    assert told is not None, question
    return "yes" if meant(told[1], scene) else "no"


@given(numbers)
@settings(max_examples=100, deadline=None)
def test_the_answer_is_right(number: int) -> None:
    scene, dice = thrown(number)
    question = ask(scene, dice)

    assert question.answer in ANSWERS
    assert question.answer == answer(question.text, scene)
    if question.about is not None:
        (index,) = meant(question.text.split(" is ")[1].removesuffix(" ?"), scene)
        assert scene[index] == question.about


@given(numbers)
@settings(max_examples=40, deadline=None)
def test_the_object_to_find_is_named(number: int) -> None:
    scene, dice = thrown(number)
    question: Question = find(scene, dice)

    assert question.answer is None
    assert question.about is not None
    (index,) = meant(question.text.removeprefix("find ").removesuffix(" ."), scene)
    assert scene[index] == question.about


def test_every_answer_comes_up_and_none_is_the_rule() -> None:
    given = [ask(*thrown(number)).answer for number in range(1500)]
    counts = {one: given.count(one) for one in ANSWERS}

    assert min(counts.values()) > 1500 / 400
    assert max(counts.values()) < 1500 / 5
    assert 0.8 < counts["yes"] / counts["no"] < 1.25


def test_every_word_is_in_the_vocabulary(processor: Processor) -> None:
    words, tokenizer = Words(processor.tokenizer), processor.tokenizer
    for number in range(200):
        scene, dice = thrown(number)
        for text in (caption(scene), ask(scene, dice).text, find(scene, dice).text):
            assert words.ids(text) == tokenizer.ids(text)
            assert tokenizer.special["[UNK]"] not in words.ids(text)
            assert tokenizer.decode(words.ids(text)) == text


def test_a_throw_is_the_same_everywhere() -> None:
    scene, dice = thrown(0)

    assert caption(scene) == "a large white ring at the top and a large orange diamond at the left"
    assert draw(scene, dice)[::12, ::12, 0].tolist() == [
        [43, 45, 51, 44],
        [46, 43, 52, 43],
        [253, 250, 57, 55],
        [59, 52, 54, 46],
    ]
    assert thrown(0)[0] == scene


def test_no_two_keys_share_a_stream() -> None:
    keys = [
        ("training", 1, 1),
        ("held-out", 1, 1),
        ("training", 11, 1),
        ("training", 1, 11),
        ("training", 1 + 2**64, 1),
    ]
    first = {tuple(Dice(*key).below(2**60) for _ in range(1)) for key in keys}  # type: ignore[arg-type]

    assert len(first) == len(keys)


def test_held_out_scenes_are_none_of_the_training() -> None:
    practised = {draw(scene, dice).tobytes() for scene, dice in map(thrown, range(100))}
    examined = set()
    for number in range(100):
        dice = Dice("held-out", 3, number)
        examined.add(draw(throw_scene(dice), dice).tobytes())

    assert len(practised) == len(examined) == 100
    assert not practised & examined
