"""Held-out scenes in every type: what keeps shapes and ruins answers dies here first.

Each task's score is compared with what the same scenes scored in the same type when the model was recorded. On a
correct machine rounding turns a scene or two in a thousand. The tolerance is far wider: what the binomial distribution
gives for other scenes of the same kind. The mean overlap of boxes, which lies between 0 and 1, varies less than that.

Shapes: B samples, T text tokens, U written tokens.
"""

import copy
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from mmdoctor.facts.self_test import Canary, Score
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.evaluation import Exam, Sitting
from mmdoctor.reference.kernels import first_line, is_refusal
from mmdoctor.reference.losses import overlap
from mmdoctor.reference.model import Encoded, ReferenceModel
from mmdoctor.reference.quantised import quantised
from mmdoctor.reference.tasks import IGNORED, Texts

TYPES = ("float32", "bfloat16", "float16", "int8")
ODDS = 3e-5
"""How rarely a correct machine would score lower if its scenes were drawn anew, which they are not."""

_BATCH = 125
"""Scenes at a time, sorted by the length of their captions, so that short ones are not padded to the longest."""

Marks = dict[str, tuple[float, int]]
"""Points and what they are out of, by task."""


class Bench:
    """One model in several types on one device, sitting the exam; the types take turns, so that time runs out for all.

    Args:
        model: in float32.
        device: where to.
        exam: the scenes.
        recorded: what each sitting scored when the model was recorded, by type.
    """

    def __init__(
        self, model: ReferenceModel, device: torch.device, exam: Exam, recorded: Mapping[str, Sequence[Marks]]
    ) -> None:
        self.model = model
        self.device = device
        self.exam = exam
        self.recorded = recorded

    def run(
        self, dtypes: Sequence[str], *, seconds: float, workers: int, progress: Callable[[float], None]
    ) -> tuple[Canary, ...]:
        """Every type on as many scenes as fit.

        Args:
            dtypes: of `TYPES`.
            seconds: no sitting begins later, but the first of each type.
            workers: threads of this process, one sitting each.
            progress: called with the finished fraction, 0 to 1.
        """
        began = time.perf_counter()
        turns = [_Turn(dtype) for dtype in dtypes]
        models = {turn.dtype: in_type(self.model, turn.dtype).to(self.device) for turn in turns}
        done, lock = 0, threading.Lock()

        def sit_down(turn: _Turn, index: int) -> None:
            nonlocal done
            if index == 0 or (time.perf_counter() - began < seconds and not turn.stopped):
                turn.sit(models[turn.dtype], index, self.exam.sittings[index])
            with lock:
                done += 1
                progress(done / (len(turns) * len(self.exam.sittings)))

        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for future in [
                pool.submit(sit_down, turn, index) for index in range(len(self.exam.sittings)) for turn in turns
            ]:
                future.result()
        return tuple(turn.canary(self.exam, self.recorded[turn.dtype]) for turn in turns)


class _Turn:
    """One type's part of the exam."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype
        self.marks: dict[int, Marks] = {}
        self.seconds = 0.0
        self.refusal: str | None = None
        self.failure: str | None = None

    @property
    def stopped(self) -> bool:
        """Whether no more of it is to be tried."""
        return self.refusal is not None or self.failure is not None

    @torch.inference_mode()
    def sit(self, model: ReferenceModel, index: int, sitting: Sitting) -> None:
        """One sitting; what stops it is remembered."""
        began = time.perf_counter()
        try:
            self.marks[index] = sit(model, sitting)
        except (RuntimeError, TypeError) as error:
            if is_refusal(error):
                self.refusal = first_line(error)
            else:
                self.failure = first_line(error)
        self.seconds += time.perf_counter() - began

    def canary(self, exam: Exam, recorded: Sequence[Marks]) -> Canary:
        """The scores beside the recorded ones of the same sittings."""
        taken = sorted(self.marks)
        return Canary(
            dtype=self.dtype,
            scenes=sum(len(exam.sittings[index].pixels_BCYX) for index in taken),
            unavailable=self.refusal,
            failed=self.failure,
            scores=scores([self.marks[index] for index in taken], [recorded[index] for index in taken]),
            seconds=self.seconds,
        )


def in_type(model: ReferenceModel, dtype: str) -> ReferenceModel:
    """A copy of the model for that type, with torch's own choice of attention."""
    made = quantised(model) if dtype == "int8" else copy.deepcopy(model).to(getattr(torch, dtype))
    use_attention(made, "sdpa")
    return made


def sit(model: ReferenceModel, sitting: Sitting) -> Marks:
    """What the model scores, on its own device."""
    order = sitting.matching.texts.attention_mask.sum(1).argsort(stable=True)
    total: Marks = {}
    for part in torch.split(order, _BATCH):
        for task, points in _points(model, sitting, part):
            sum_, out_of = total.get(task, (0.0, 0))
            total[task] = sum_ + float(points.double().nan_to_num().sum()), out_of + points.numel()
    return total


class _Reader(NamedTuple):
    """The pictures of some samples, and texts about them."""

    model: ReferenceModel
    image_BMD: Tensor
    part: Tensor

    def read(self, texts: Texts) -> Encoded:
        """The samples' rows of these texts, without columns that are padding only."""
        rows = [tensor[self.part] for tensor in texts]
        longest = int(texts.attention_mask[self.part].sum(1).max())
        device = self.image_BMD.device
        ids, mask, kinds = (row[:, :longest].to(device) for row in rows)
        return self.model.encode(
            image_features=self.image_BMD, input_ids=ids, attention_mask=mask, token_type_ids=kinds
        )


def _points(model: ReferenceModel, sitting: Sitting, part: Tensor) -> Iterator[tuple[str, Tensor]]:
    """One number or truth for every answer."""
    heads, like = model.heads, model.unified.absent_image
    reader = _Reader(model, model.vision_model(sitting.pixels_BCYX[part].to(like.device, like.dtype)), part)

    answers_BA = heads.answer(reader.read(sitting.questions.texts).vector_BD)
    yield "answers", answers_BA.argmax(-1).cpu() == sitting.questions.answers_B[part]
    boxes_B4 = heads.box(reader.read(sitting.finds.texts).vector_BD).float().cpu()
    yield "box_iou", overlap(boxes_B4, sitting.finds.boxes_B4[part])[0]
    wanted_BU = sitting.captions.next_BU[part]
    longest = int((wanted_BU != IGNORED).sum(1).max())
    written_BU = sitting.captions.written_BU[part][:, :longest].to(like.device)
    next_BU = model.write(written_BU, reader.read(sitting.captions.texts)).argmax(-1).cpu()
    # The most likely word behind every right beginning is the right one: then the caption written word by word is too.
    yield "captions", ((next_BU == wanted_BU[:, :longest]) | (wanted_BU[:, :longest] == IGNORED)).all(1)
    matches_B2 = heads.matching(reader.read(sitting.matching.texts).vector_BD)
    yield "matching", matches_B2.argmax(-1).cpu() == sitting.matching.true_B[part]
    text_BTD = reader.read(sitting.words.texts).fused.text_BTD
    assert text_BTD is not None
    words_BT = sitting.words.words_BT[part][:, : text_BTD.shape[1]]
    hidden_BT = words_BT != IGNORED
    found = heads.masked_token(text_BTD[hidden_BT.to(text_BTD.device)]).argmax(-1).cpu()
    yield "masked_words", found == words_BT[hidden_BT]


def scores(observed: Sequence[Marks], recorded: Sequence[Marks]) -> tuple[Score, ...]:
    """Each task over the same sittings; none where there are none."""
    return tuple(_score(task, observed, recorded) for task in (observed[0] if observed else ()))


def _score(task: str, observed: Sequence[Marks], recorded: Sequence[Marks]) -> Score:
    seen, wanted = ([marks[task] for marks in both] for both in (observed, recorded))
    out_of = sum(number for _, number in wanted)
    share = sum(points for points, _ in wanted) / out_of
    return Score(
        task=task,
        observed=sum(points for points, _ in seen) / sum(number for _, number in seen),
        recorded=share,
        lowest=lowest(share, min(out_of, sum(number for _, number in seen))),
    )


def lowest(share: float, number: int) -> float:
    """The least share of so many trials that is not rarer than `ODDS` where this share is the rule.

    Two wrong ones are added to what was recorded, since all right of a thousand does not mean that all always are.
    """
    likely = share * number / (number + 2)
    if likely <= 0:
        return 0.0
    below = 0.0
    for right in range(number + 1):
        ways = math.lgamma(number + 1) - math.lgamma(right + 1) - math.lgamma(number - right + 1)
        below += math.exp(ways + right * math.log(likely) + (number - right) * math.log1p(-likely))
        if below >= ODDS:
            return right / number
    return share


def as_recorded(marks: Mapping[str, tuple[float, int]]) -> Marks:
    """Rounded to what a record needs."""
    return {task: (round(points, 4), number) for task, (points, number) in marks.items()}
