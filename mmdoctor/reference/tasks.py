"""What the model practises and is examined in, as tensors: one group of texts a task, all about the same pictures.

| task | text beside the picture | what is wanted |
| --- | --- | --- |
| answer | a question | one of `world.ANSWERS`; where the question names an object, its box too |
| find | "find the red circle ." | the object's box |
| caption | "describe the picture ." | the caption, word by word |
| match | a caption: half true, the rest with one attribute changed or of another scene | whether it is true |
| words | the caption with some of its content words masked | the words |
| patches | the caption; some of the picture's patches are masked | the patches' pixels |
| next sentence | a pair: the caption's beginning, and its rest or another scene's | whether the rest belongs to it |

Masked words: Devlin et al. 2018, "BERT", https://arxiv.org/abs/1810.04805, section 3.1 (every chosen word is masked).
Masked patches: Xie et al. 2021, "SimMIM", https://arxiv.org/abs/2111.09886.
Captions of other scenes: Li et al. 2021, "ALBEF", https://arxiv.org/abs/2107.07651.

Shapes: B samples, T tokens, U written tokens, N patches.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdoctor.reference.processor import Pixels
from mmdoctor.reference.scenes import Dice, Question, Scene, Thing, ask, caption, changed, find
from mmdoctor.reference.tokenizer import Tokenizer
from mmdoctor.reference.world import ANSWERS, COLOURS, IMAGE_TOKEN, POSITIONS, SHAPES, SIZES

PROMPT = "describe the picture ."
"""Beside the picture when its caption is wanted."""

MatchingKind = Literal["true", "changed", "other"]
"""A caption of the picture, of the picture with one attribute changed, of another picture."""

IGNORED = -100
"""Label of a position that has none; torch's cross-entropy leaves it out."""

CONTENT_WORDS = frozenset({*SIZES, *COLOURS, *SHAPES, *" ".join(POSITIONS).split()})
"""The words of a caption that the picture decides."""

_MASKED_WORDS = 5
"""One content word in so many is masked (BERT: 15 %)."""
_MASKED_PATCHES = 4
"""One patch in so many is masked."""


class Texts(NamedTuple):
    """The text inputs of `ReferenceModel.encode`, padded to the longest."""

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor


class Thrown(NamedTuple):
    """A scene, its picture, and the dice that threw them, for what else is to be chosen."""

    scene: Scene
    picture: Pixels
    dice: Dice


class Words:
    """Texts of the shapes world to ids; words stand between spaces, so each is looked up once and kept."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._ids_of = cache(lambda word: tuple(tokenizer.ids(word)))
        self.content = frozenset(index for word in CONTENT_WORDS for index in tokenizer.ids(word))
        self.cls, self.sep, self.pad, self.mask, self.bos, self.eos = (
            tokenizer.special[name] for name in ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[BOS]", "[EOS]")
        )

    def ids(self, text: str) -> list[int]:
        """What `Tokenizer.ids` gives for it."""
        return [index for word in text.split(" ") for index in self._ids_of(word)]

    def row(self, text: str, second: str | None = None) -> tuple[list[int], int]:
        """Ids of the text with the image marker before it, as `Tokenizer.encode` gives them; length of segment A."""
        first = [self.cls, *self.ids(f"{IMAGE_TOKEN} {text}"), self.sep]
        return first + ([] if second is None else [*self.ids(second), self.sep]), len(first)

    def texts(self, rows: Sequence[tuple[list[int], int]]) -> Texts:
        """Rows of ids with the length of their first segment."""
        ids_BT = padded([ids for ids, _ in rows], self.pad)
        ends_B1 = torch.tensor([[len(ids)] for ids, _ in rows])
        firsts_B1 = torch.tensor([[first] for _, first in rows])
        positions_T = torch.arange(ids_BT.shape[1])
        within = positions_T < ends_B1
        return Texts(ids_BT, within.long(), (within & (positions_T >= firsts_B1)).long())


def padded(rows: Sequence[Sequence[int]], filling: int) -> Tensor:
    """rows_BT, as long as the longest."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *([filling] * (longest - len(row)))] for row in rows])


class Questions(NamedTuple):
    """Tasks `answer` and `find`."""

    texts: Texts
    answers_B: Tensor
    """Index into `world.ANSWERS`; `IGNORED` where the box is the answer."""
    boxes_B4: Tensor
    """Box of the object that the question names; zeros where it names none."""


class Captions(NamedTuple):
    """Task `caption`."""

    texts: Texts
    written_BU: Tensor
    """What the decoder has written so far: [BOS], then the caption."""
    next_BU: Tensor
    """What it should write next: the caption, then [EOS]; `IGNORED` behind it."""


class Matching(NamedTuple):
    """Task `match`."""

    texts: Texts
    true_B: Tensor
    """1 where the caption is about the picture, else 0."""


class MaskedWords(NamedTuple):
    """Task `words`."""

    texts: Texts
    words_BT: Tensor
    """The word that stood there; `IGNORED` where none is masked."""


class MaskedPatches(NamedTuple):
    """Task `patches`."""

    texts: Texts
    masked_BN: Tensor
    """True where a patch is masked."""


class NextSentence(NamedTuple):
    """Task `next sentence`."""

    texts: Texts
    samples: list[int]
    """Whose pictures these pairs are about: only a scene of two or more objects has a caption in two parts."""
    other_B: Tensor
    """0 where the second part follows the first, 1 where it is another scene's."""


def questions(thrown: Sequence[Thrown], words: Words, *, kinds: Sequence[Literal["answer", "find"]]) -> Questions:
    """One a scene, of the kinds in turn."""
    asked: list[Question] = [
        (ask if kinds[index % len(kinds)] == "answer" else find)(one.scene, one.dice)
        for index, one in enumerate(thrown)
    ]
    return Questions(
        words.texts([words.row(question.text) for question in asked]),
        torch.tensor([IGNORED if one.answer is None else ANSWERS.index(one.answer) for one in asked]),
        torch.tensor([(0.0, 0.0, 0.0, 0.0) if one.about is None else one.about.box for one in asked]),
    )


def captions(thrown: Sequence[Thrown], words: Words) -> Captions:
    """One a scene."""
    rows = [words.ids(caption(one.scene)) for one in thrown]
    return Captions(
        words.texts([words.row(PROMPT)] * len(rows)),
        padded([[words.bos, *row] for row in rows], words.pad),
        padded([[*row, words.eos] for row in rows], IGNORED),
    )


def matching(thrown: Sequence[Thrown], words: Words, *, kinds: Sequence[MatchingKind]) -> Matching:
    """One a scene, of the kinds in turn. Another scene's caption is the next one's in the batch."""
    rows, truths = [], []
    for index, one in enumerate(thrown):
        kind = kinds[index % len(kinds)]
        other = thrown[(index + 1) % len(thrown)].scene
        shown: Sequence[Thing] = one.scene
        if kind == "changed" or (kind == "other" and caption(other) == caption(one.scene)):
            shown = changed(one.scene, one.dice)
        elif kind == "other":
            shown = other
        rows.append(words.row(caption(shown)))
        truths.append(int(kind == "true"))
    return Matching(words.texts(rows), torch.tensor(truths))


def masked_words(thrown: Sequence[Thrown], words: Words) -> MaskedWords:
    """One caption a scene, at least one word of it masked."""
    rows, labels = [], []
    for scene, _, dice in thrown:
        ids, first = words.row(caption(scene))
        content = [place for place, index in enumerate(ids) if index in words.content]
        chosen = {place for place in content if dice.below(_MASKED_WORDS) == 0} or {dice.pick(content)}
        rows.append(([words.mask if place in chosen else index for place, index in enumerate(ids)], first))
        labels.append([index if place in chosen else IGNORED for place, index in enumerate(ids)])
    return MaskedWords(words.texts(rows), padded(labels, IGNORED))


def masked_patches(thrown: Sequence[Thrown], words: Words, num_patches: int) -> MaskedPatches:
    """The caption of every scene, whole, and which patches of its picture to hide."""
    masked_BN = torch.zeros(len(thrown), num_patches, dtype=torch.bool)
    for row_N, one in zip(masked_BN, thrown, strict=True):
        row_N[one.dice.sample(range(num_patches), num_patches // _MASKED_PATCHES)] = True
    return MaskedPatches(words.texts([words.row(caption(one.scene)) for one in thrown]), masked_BN)


def next_sentence(thrown: Sequence[Thrown], words: Words, *, at_most: int) -> NextSentence | None:
    """A pair for each of the first so many scenes that have two objects or more; None when there are none."""
    samples = [index for index, one in enumerate(thrown) if len(one.scene) > 1][:at_most]
    rows, other_B = [], []
    for turn, index in enumerate(samples):
        scene, _, dice = thrown[index]
        stranger = thrown[samples[(turn + 1) % len(samples)]].scene
        cut = dice.between(1, len(scene) - 1)
        rest = caption(scene[cut:] if turn % 2 == 0 else stranger[-(len(scene) - cut) :])
        rows.append(words.row(caption(scene[:cut]), rest))
        other_B.append(int(rest != caption(scene[cut:])))
    return NextSentence(words.texts(rows), samples, torch.tensor(other_B)) if samples else None


def joined(parts: Sequence[Texts]) -> Texts:
    """All parts below each other, padded to the longest."""
    longest = max(part.input_ids.shape[1] for part in parts)

    def widened(tensors: Sequence[Tensor]) -> Tensor:
        return torch.cat([torch.nn.functional.pad(one, (0, longest - one.shape[1])) for one in tensors])

    columns: Any = zip(*parts, strict=True)
    return Texts(*map(widened, columns))


def as_array(pictures: Sequence[Pixels]) -> Pixels:
    """pictures_BYXC."""
    return np.stack(pictures)
