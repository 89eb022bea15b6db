"""Examines a reference model on held-out scenes: answers, boxes, captions, matching, masked words and patches.

    exam = held_out(processor, scenes=1000)    # draws and encodes the scenes once
    scores = score(model, exam)                # a second or two a thousand scenes; any dtype, any device
    scores.answers, scores.box_iou, ...        # see mmdoctor.facts.reference.Scores
    missed(scores)                             # those that are below mmdoctor.reference.floors

`evaluate(model, processor)` does both. The scenes come from the split "held-out", whose dice share no stream with the
training's, whatever the seeds (see `mmdoctor.reference.scenes`).

Shapes: B samples, C colour channels, Y and X pixel rows and columns, M image positions, U written tokens, D width.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mmdoctor.facts.reference import Scores
from mmdoctor.reference import tasks
from mmdoctor.reference.losses import overlap
from mmdoctor.reference.model import Encoded, ReferenceModel
from mmdoctor.reference.processor import Processor
from mmdoctor.reference.scenes import Dice, draw, throw_scene
from mmdoctor.reference.tasks import Texts, Words
from mmdoctor.reference.vision import patchify

SEED = 1
"""Of the scenes that the documented scores are from."""

_BATCH = 250
"""Scenes at a time."""


class Sitting(NamedTuple):
    """A batch of the exam: pictures, and every task on them."""

    pixels_BCYX: Tensor
    questions: tasks.Questions
    finds: tasks.Questions
    captions: tasks.Captions
    matching: tasks.Matching
    words: tasks.MaskedWords
    patches: tasks.MaskedPatches
    pairs: tasks.NextSentence | None


class Exam(NamedTuple):
    """All scenes, ready for any model of this vocabulary and picture size."""

    scenes: int
    sittings: list[Sitting]


def held_out(processor: Processor, scenes: int = 1000, seed: int = SEED, *, num_patches: int = 36) -> Exam:
    """Draw scenes that no training sees, and make the model's inputs of them.

    Args:
        processor: the model's own.
        scenes: how many.
        seed: another one gives other scenes, none of them of a training.
        num_patches: patches of one picture.
    """
    words, sittings = Words(processor.tokenizer), []
    for start in range(0, scenes, _BATCH):
        thrown = []
        for number in range(start, min(start + _BATCH, scenes)):
            dice = Dice("held-out", seed, number)
            scene = throw_scene(dice)
            thrown.append(tasks.Thrown(scene, draw(scene, dice), dice))
        sittings.append(
            Sitting(
                torch.from_numpy(processor.pixel_values([one.picture for one in thrown])),
                tasks.questions(thrown, words, kinds=("answer",)),
                tasks.questions(thrown, words, kinds=("find",)),
                tasks.captions(thrown, words),
                tasks.matching(thrown, words, kinds=("true", "changed", "true", "other")),
                tasks.masked_words(thrown, words),
                tasks.masked_patches(thrown, words, num_patches),
                tasks.next_sentence(thrown, words, at_most=len(thrown)),
            )
        )
    return Exam(scenes, sittings)


class Tally:
    """Sums of points and of what they are out of, by score."""

    def __init__(self) -> None:
        self._points: dict[str, float] = {}
        self._possible: dict[str, float] = {}

    def add(self, name: str, points: Tensor) -> None:
        """One number, or truth, an answer."""
        self._points[name] = self._points.get(name, 0.0) + float(points.double().sum())
        self._possible[name] = self._possible.get(name, 0.0) + points.numel()

    def mean(self, name: str) -> float:
        """Points as a fraction of the possible ones; NaN when there was nothing to answer."""
        possible = self._possible.get(name, 0.0)
        return self._points[name] / possible if possible else float("nan")


@torch.inference_mode()
def score(model: ReferenceModel, exam: Exam, *, progress: Callable[[float], None] | None = None) -> Scores:
    """Let the model sit the exam, in its own dtype and on its own device.

    Args:
        model: of any fusion.
        exam: from `held_out`.
        progress: called with the finished fraction, 0 to 1.
    """
    began, tally = time.perf_counter(), Tally()
    # Predicting the mean: of each number of a patch, over all masked patches of the exam.
    mean_Q = torch.cat([_masked_pixels(model, sitting) for sitting in exam.sittings]).mean(0)
    for index, sitting in enumerate(exam.sittings):
        _sit(model, sitting, mean_Q, tally)
        if progress is not None:
            progress((index + 1) / len(exam.sittings))
    baseline = tally.mean("mean_patches")
    return Scores(
        scenes=exam.scenes,
        answers=tally.mean("answers"),
        box_iou=tally.mean("box_iou"),
        captions=tally.mean("captions"),
        matching=tally.mean("matching"),
        masked_words=tally.mean("masked_words"),
        masked_patches=tally.mean("masked_patches") / baseline if baseline else float("nan"),
        next_sentence=tally.mean("next_sentence"),
        seconds=time.perf_counter() - began,
    )


def evaluate(
    model: ReferenceModel,
    processor: Processor,
    *,
    scenes: int = 1000,
    seed: int = SEED,
    progress: Callable[[float], None] | None = None,
) -> Scores:
    """`held_out` and `score` in one."""
    exam = held_out(processor, scenes, seed, num_patches=model.config.vision_config.num_patches)
    return score(model, exam, progress=progress)


def _sit(model: ReferenceModel, sitting: Sitting, mean_Q: Tensor, tally: Tally) -> None:
    heads = model.heads
    like = model.lm_head.weight
    pixels_BCYX = sitting.pixels_BCYX.to(like.device, like.dtype)
    image_BMD = model.vision_model(pixels_BCYX)

    def encode(texts: Texts, features_BMD: Tensor = image_BMD) -> Encoded:
        return model.encode(image_features=features_BMD, **{k: v.to(like.device) for k, v in texts._asdict().items()})

    def choices(logits: Tensor) -> Tensor:
        return logits.argmax(-1).cpu()

    tally.add(
        "answers", choices(heads.answer(encode(sitting.questions.texts).vector_BD)) == sitting.questions.answers_B
    )
    boxes_B4 = heads.box(encode(sitting.finds.texts).vector_BD).float().cpu()
    tally.add("box_iou", overlap(boxes_B4, sitting.finds.boxes_B4)[0].nan_to_num())
    tally.add("captions", _right_captions(model, encode(sitting.captions.texts), sitting.captions.next_BU))
    tally.add("matching", choices(heads.matching(encode(sitting.matching.texts).vector_BD)) == sitting.matching.true_B)

    text_BTD = encode(sitting.words.texts).fused.text_BTD
    assert text_BTD is not None
    hidden_BT = sitting.words.words_BT != tasks.IGNORED
    found = choices(heads.masked_token(text_BTD[hidden_BT.to(like.device)]))
    tally.add("masked_words", found == sitting.words.words_BT[hidden_BT])

    masked_BN = sitting.patches.masked_BN.to(like.device)
    holed_BMD = encode(sitting.patches.texts, model.vision_model(pixels_BCYX, masked_BN)).fused.image_BMD
    assert holed_BMD is not None
    wanted = _masked_pixels(model, sitting)
    predicted = heads.masked_patch(holed_BMD[:, 1:][masked_BN]).float().cpu()
    tally.add("masked_patches", (predicted - wanted) ** 2)
    tally.add("mean_patches", (mean_Q - wanted) ** 2)

    if sitting.pairs is not None and heads.next_sentence is not None:
        paired_BTD = encode(sitting.pairs.texts, image_BMD[sitting.pairs.samples]).fused.text_BTD
        assert paired_BTD is not None
        tally.add("next_sentence", choices(heads.next_sentence(paired_BTD[:, 0])) == sitting.pairs.other_B)


def _masked_pixels(model: ReferenceModel, sitting: Sitting) -> Tensor:
    """Numbers of the masked patches, one patch a row."""
    return patchify(sitting.pixels_BCYX, model.config.vision_config.patch_size)[sitting.patches.masked_BN]


def _right_captions(model: ReferenceModel, encoded: Encoded, wanted_BU: Tensor) -> Tensor:
    """Whether each written caption is the wanted one, [EOS] included."""
    longest = wanted_BU.shape[1]
    written_BU = model.generate(encoded, max_new_tokens=longest)[:, 1:].cpu()
    written_BU = torch.nn.functional.pad(written_BU, (0, longest - written_BU.shape[1]), value=tasks.IGNORED)
    return ((written_BU == wanted_BU) | (wanted_BU == tasks.IGNORED)).all(1)
