"""The shapes world: scenes drawn by dice, their pictures, captions, questions and boxes. No files, only a seed.

A scene is one to four objects on a dark speckled ground, each in a cell of its own in a grid of three by three. No two
objects of a scene share both colour and shape, so "the red circle" always means one object.

    dice = Dice("training", 7, 0)              # which throw: split, seed, number of the scene
    scene = throw_scene(dice)
    picture_YXC = draw(scene, dice)            # uint8, 48 x 48 x 3
    caption(scene)                             # "a large red circle at the top left and a small ..."
    ask(scene, dice)                           # Question("what color is the ring ?", "blue", the ring)

Everything is whole-number arithmetic on PCG64's raw stream, which NumPy guarantees never to change for a seed
(https://numpy.org/doc/stable/reference/random/bit_generators/pcg64.html, "Compatibility Guarantee"), so every machine
draws the same pixels. Training and evaluation cannot meet: the name of the split is a part of what seeds the stream.

The world is a small relative of CLEVR: Johnson et al. 2016, https://arxiv.org/abs/1612.06890.
Shapes: Y and X pixel rows and columns, C colour channels.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from mmdoctor.reference.processor import Pixels
from mmdoctor.reference.world import COLOURS, NUMBERS, POSITIONS, SHAPES, SIZES

Split = Literal["training", "held-out"]

PICTURE_SIDE = 48
"""Pixels."""
CELL_SIDE = 16
"""Pixels."""
MOST_OBJECTS = 4

_RADII = {"small": 5, "large": 7}
"""Half sides in pixels; an object is twice that and one pixel wide and high, and never leaves its cell."""

_RGB = {
    "red": (220, 40, 40),
    "green": (40, 180, 60),
    "blue": (50, 80, 230),
    "yellow": (230, 215, 50),
    "purple": (150, 50, 190),
    "orange": (235, 135, 30),
    "cyan": (50, 205, 215),
    "white": (235, 235, 235),
}
_COLOUR_SPREAD = 12
"""An object's channels differ from its colour's by up to this many levels."""
_GROUND = (24, 56)
"""Lowest and highest grey level of the ground."""
_SPECKLE = 8
"""Every pixel differs by up to this many levels."""

T = TypeVar("T")


class Dice:
    """Random choices that are the same everywhere. The key names the throw: two keys never share a stream."""

    def __init__(self, split: Split, seed: int, number: int) -> None:
        digest = hashlib.sha256(f"{split}:{seed}:{number}".encode()).digest()
        self._stream = np.random.PCG64(int.from_bytes(digest, "big"))
        self._ready: list[int] = []

    def below(self, end: int) -> int:
        """0 to end - 1; 64 bits are divided, so none is measurably likelier."""
        if not self._ready:
            self._ready = self._stream.random_raw(32).tolist()
        return self._ready.pop() % end

    def between(self, first: int, last: int) -> int:
        """Both ends included."""
        return first + self.below(last - first + 1)

    def pick(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def sample(self, choices: Sequence[T], count: int) -> list[T]:
        """So many different ones, in the order of the draw."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(count)]

    def levels(self, count: int, spread: int) -> npt.NDArray[np.int64]:
        """So many numbers from -spread to spread."""
        raw: npt.NDArray[np.uint64] = np.asarray(self._stream.random_raw(-(-count // 8)), dtype="<u8")
        return raw.view(np.uint8)[:count].astype(np.int64) % (2 * spread + 1) - spread


class Thing(NamedTuple):
    """One object of a scene."""

    size: str
    colour: str
    shape: str
    cell: int
    """0 to 8, in reading order; the place's name is `POSITIONS[cell]`."""
    row: int
    """Centre, in pixels from the top."""
    column: int
    """Centre, in pixels from the left."""
    radius: int
    """Half side, in pixels."""

    @property
    def position(self) -> str:
        """Where it is, in words."""
        return POSITIONS[self.cell]

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Centre x, centre y, width, height, as fractions of the picture."""
        side = (2 * self.radius + 1) / PICTURE_SIDE
        return ((self.column + 0.5) / PICTURE_SIDE, (self.row + 0.5) / PICTURE_SIDE, side, side)


Scene = tuple[Thing, ...]
"""Objects in reading order of their cells."""


class Question(NamedTuple):
    """What is asked about a picture."""

    text: str
    answer: str | None
    """One of `world.ANSWERS`; None where the answer is the box."""
    about: Thing | None
    """The object that the question names; None where it names none."""


def throw_scene(dice: Dice, most_objects: int = MOST_OBJECTS) -> Scene:
    """One to so many objects."""
    cells = sorted(dice.sample(range(len(POSITIONS)), dice.between(1, most_objects)))
    looks = dice.sample([(colour, shape) for colour in COLOURS for shape in SHAPES], len(cells))
    return tuple(
        _place(dice.pick(SIZES), colour, shape, cell, dice) for cell, (colour, shape) in zip(cells, looks, strict=True)
    )


def _place(size: str, colour: str, shape: str, cell: int, dice: Dice) -> Thing:
    radius = _RADII[size]
    row, column = (CELL_SIDE * start + dice.between(radius, CELL_SIDE - 1 - radius) for start in divmod(cell, 3))
    return Thing(size, colour, shape, cell, row, column, radius)


def draw(scene: Scene, dice: Dice) -> Pixels:
    """pixels_YXC of the scene, with noise."""
    canvas_YXC = np.full((PICTURE_SIDE, PICTURE_SIDE, 3), dice.between(*_GROUND), dtype=np.int64)
    for thing in scene:
        top, left, side = thing.row - thing.radius, thing.column - thing.radius, 2 * thing.radius + 1
        colour = _RGB[thing.colour] + dice.levels(3, _COLOUR_SPREAD)
        canvas_YXC[top : top + side, left : left + side][_stencil(thing.shape, thing.radius)] = colour
    canvas_YXC += dice.levels(canvas_YXC.size, _SPECKLE).reshape(canvas_YXC.shape)
    return canvas_YXC.clip(0, 255).astype(np.uint8)


@cache
def _stencil(shape: str, radius: int) -> npt.NDArray[np.bool_]:
    """mask_YX of the shape; every shape touches all four sides of its box."""
    down, right = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    squared = down**2 + right**2
    inside: npt.NDArray[np.bool_] = {
        "square": squared >= 0,
        "circle": squared <= radius * (radius + 1),
        "ring": (squared <= radius * (radius + 1)) & (squared > (radius - 2) ** 2),
        "diamond": abs(down) + abs(right) <= radius,
        "triangle": 2 * abs(right) <= down + radius,
        "cross": (abs(down) <= radius // 3) | (abs(right) <= radius // 3),
    }[shape]
    return inside


def caption(scene: Sequence[Thing]) -> str:
    """The one right caption: every object, in reading order, in one form."""
    return " and ".join(f"a {thing.size} {thing.colour} {thing.shape} at the {thing.position}" for thing in scene)


def changed(scene: Scene, dice: Dice) -> Scene:
    """The scene with one attribute of one object changed: its size, colour, shape or position."""
    which = dice.below(len(scene))
    thing = scene[which]
    attribute = dice.pick(("size", "colour", "shape", "cell"))
    if attribute == "cell":
        taken = {other.cell for other in scene}
        thing = thing._replace(cell=dice.pick([cell for cell in range(len(POSITIONS)) if cell not in taken]))
    else:
        kinds = {"size": SIZES, "colour": COLOURS, "shape": SHAPES}[attribute]
        others = [kind for kind in kinds if kind != getattr(thing, attribute)]
        other: Any = {attribute: dice.pick(others)}
        thing = thing._replace(**other)
    return tuple(sorted((*scene[:which], thing, *scene[which + 1 :]), key=lambda one: one.cell))


def names(thing: Thing, scene: Scene, *, without: str = "") -> list[str]:
    """Every way to name this object and no other of the scene, none that gives the attribute `without` away."""
    forms = {
        "the {size} {colour} {shape}": ("size", "colour", "shape"),
        "the {colour} {shape}": ("colour", "shape"),
        "the {size} {shape}": ("size", "shape"),
        "the {shape}": ("shape",),
        "the {colour} object": ("colour",),
        "the {size} {colour} object": ("size", "colour"),
        "the object at the {position}": ("position",),
    }
    return [
        form.format(size=thing.size, colour=thing.colour, shape=thing.shape, position=thing.position)
        for form, used in forms.items()
        if without not in used and sum(all(getattr(a, u) == getattr(thing, u) for u in used) for a in scene) == 1
    ]


def find(scene: Scene, dice: Dice) -> Question:
    """A request for the box of one object."""
    thing = dice.pick(scene)
    return Question(f"find {dice.pick(names(thing, scene))} .", None, thing)


def ask(scene: Scene, dice: Dice) -> Question:
    """A question with one right answer, of one of the six kinds."""
    return dice.pick(QUESTIONS)(scene, dice)


def _attribute_question(form: str, attribute: str) -> Callable[[Scene, Dice], Question]:
    def question(scene: Scene, dice: Dice) -> Question:
        thing = dice.pick(scene)
        # The position names every object, so only the question for the position can run out of names; colour and shape
        # together name every object too.
        name = dice.pick(names(thing, scene, without=attribute))
        return Question(form.format(name), getattr(thing, attribute), thing)

    return question


def _count(scene: Scene, dice: Dice) -> Question:
    attribute, kinds = dice.pick((("", ()), ("colour", COLOURS), ("shape", SHAPES), ("size", SIZES)))
    if not attribute:
        return Question("how many objects are there ?", NUMBERS[len(scene)], None)
    # Half of the time a kind that is there: most kinds are not.
    kind = getattr(dice.pick(scene), attribute) if dice.below(2) else dice.pick(kinds)
    count = sum(getattr(thing, attribute) == kind for thing in scene)
    named = plural(kind) if attribute == "shape" else f"{kind} objects"
    return Question(f"how many {named} are there ?", NUMBERS[count], None)


def _truth(scene: Scene, dice: Dice) -> Question:
    truth = dice.below(2) == 1
    while True:
        thing = dice.pick(scene)
        if not truth:
            thing = dice.pick([one for one in changed(scene, dice) if one not in scene])
        text, used = dice.pick(
            (
                (f"is there a {thing.colour} {thing.shape} ?", ("colour", "shape")),
                (f"is there a {thing.size} {thing.colour} {thing.shape} ?", ("size", "colour", "shape")),
                (f"is there a {thing.shape} at the {thing.position} ?", ("shape", "position")),
                (f"is there a {thing.colour} object at the {thing.position} ?", ("colour", "position")),
            )
        )
        there = any(all(getattr(one, name) == getattr(thing, name) for name in used) for one in scene)
        if there == truth:
            return Question(text, "yes" if truth else "no", None)


def plural(shape: str) -> str:
    """The shape's name for more than one."""
    return shape + ("es" if shape.endswith("s") else "s")


QUESTIONS: tuple[Callable[[Scene, Dice], Question], ...] = (
    _attribute_question("what color is {} ?", "colour"),
    _attribute_question("what shape is {} ?", "shape"),
    _attribute_question("what size is {} ?", "size"),
    _attribute_question("where is {} ?", "position"),
    _count,
    _truth,
)
