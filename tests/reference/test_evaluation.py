"""The scores, on hand-made answers."""

import json
import math
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor

from mmdoctor.facts.reference import Scores
from mmdoctor.reference import evaluation
from mmdoctor.reference.evaluation import Exam, Sitting, evaluate, held_out, score
from mmdoctor.reference.floors import FLOORS, missed
from mmdoctor.reference.fusion import Streams
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.processor import Processor
from mmdoctor.reference.tasks import IGNORED, MaskedPatches
from mmdoctor.reference.vision import patchify
from mmdoctor.reference.world import ANSWERS, VOCABULARY
from mmdoctor.report import scores_v1

SCENES = 24
PERFECT = Scores(
    scenes=1000,
    answers=1.0,
    box_iou=1.0,
    captions=1.0,
    matching=1.0,
    masked_words=1.0,
    masked_patches=0.0,
    next_sentence=1.0,
)


@pytest.fixture(scope="module")
def exam(processor: Processor) -> Exam:
    return held_out(processor, SCENES)


class Oracle:
    """Answers from the exam's own sheet; `spoil` may change an answer before it is given."""

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.lm_head = torch.nn.Linear(1, 1)
        self.config = SimpleNamespace(vision_config=SimpleNamespace(patch_size=8))
        self.spoiled: dict[str, Any] = {}
        self.heads = SimpleNamespace(
            answer=lambda _: self._choice("answer", sitting.questions.answers_B, len(ANSWERS)),
            box=lambda _: self._given("box", sitting.finds.boxes_B4),
            matching=lambda _: self._choice("matching", sitting.matching.true_B, 2),
            masked_token=self._words,
            masked_patch=lambda _: self._given("patches", self._pixels()),
            next_sentence=lambda _: self._choice("next", sitting.pairs.other_B, 2),  # type: ignore[union-attr]
        )

    def _given(self, name: str, value: Tensor) -> Tensor:
        return self.spoiled[name](value.clone()) if name in self.spoiled else value

    def _choice(self, name: str, index: Tensor, classes: int) -> Tensor:
        return torch.nn.functional.one_hot(self._given(name, index), classes).float()

    def _words(self, _: Tensor) -> Tensor:
        labels = self.sitting.words.words_BT
        return self._choice("words", labels[labels != IGNORED], len(VOCABULARY))

    def _pixels(self) -> Tensor:
        return patchify(self.sitting.pixels_BCYX, 8)[self.sitting.patches.masked_BN]

    def vision_model(self, pixels: Tensor, masked: Tensor | None = None) -> Tensor:
        return torch.zeros(len(pixels), 37, 1)

    def encode(self, *, image_features: Tensor, input_ids: Tensor, **_: Tensor) -> Any:
        fused = Streams(torch.zeros(len(input_ids), 37, 1), torch.zeros(*input_ids.shape, 1), None)
        return SimpleNamespace(fused=fused, vector_BD=torch.zeros(len(input_ids), 1))

    def generate(self, encoded: Any, *, max_new_tokens: int) -> Tensor:
        wanted = self.sitting.captions.next_BU.masked_fill(self.sitting.captions.next_BU == IGNORED, 0)
        return torch.cat([torch.zeros(len(wanted), 1).long(), self._given("caption", wanted)], dim=1)


def scored(exam: Exam, **spoiled: Any) -> Scores:
    oracle: Any = Oracle(exam.sittings[0])
    oracle.spoiled = spoiled
    return score(oracle, exam)


def first_quarter(value: Tensor) -> Tensor:
    value[: len(value) // 4] = (value[: len(value) // 4] + 1) % 2
    return value


def test_right_answers_get_full_marks(exam: Exam) -> None:
    scores = scored(exam)

    assert scores.box_iou == pytest.approx(1, abs=1e-6)
    assert msgspec.structs.replace(scores, seconds=0.0, scenes=1000, box_iou=1.0) == PERFECT
    assert scores.scenes == SCENES
    assert missed(scores) == ()


def test_wrong_answers_cost_what_they_should(exam: Exam) -> None:
    assert scored(exam, answer=first_quarter).answers == 0.75
    assert scored(exam, matching=first_quarter).matching == 0.75
    assert scored(exam, box=lambda b: b * torch.tensor([1, 1, 0.5, 1])).box_iou == pytest.approx(0.5, abs=1e-6)
    assert scored(exam, box=lambda b: b + 3).box_iou == 0
    assert scored(exam, words=lambda w: w + 1).masked_words == 0
    assert scored(exam, next=lambda n: 1 - n).next_sentence == 0


def test_a_caption_is_right_to_the_last_word_or_wrong(exam: Exam) -> None:
    def one_word(caption: Tensor) -> Tensor:
        caption[:6, 3] += 1
        return caption

    def goes_on(caption: Tensor) -> Tensor:
        return caption.masked_fill(caption == VOCABULARY["[EOS]"], VOCABULARY["and"])

    assert scored(exam, caption=one_word).captions == 1 - 6 / SCENES
    assert scored(exam, caption=goes_on).captions == 0
    assert scored(exam, caption=lambda c: c[:, :5]).captions == 0


def test_what_stands_behind_the_end_does_not_count(exam: Exam) -> None:
    wanted = exam.sittings[0].captions.next_BU

    assert scored(exam, caption=lambda c: c.masked_fill(wanted == IGNORED, 9)).captions == 1


def test_predicting_the_mean_is_an_error_of_one(exam: Exam) -> None:
    assert scored(exam, patches=lambda p: p.mean(0).expand_as(p)).masked_patches == pytest.approx(1, abs=1e-6)
    assert scored(exam, patches=lambda p: (p + p.mean(0)) / 2).masked_patches == pytest.approx(0.25, abs=1e-6)


def test_the_exam_asks_what_was_promised(exam: Exam) -> None:
    (sitting,) = exam.sittings
    patches: MaskedPatches = sitting.patches

    assert sitting.matching.true_B.tolist() == [1, 0, 1, 0] * (SCENES // 4)
    assert patches.masked_BN.sum(1).tolist() == [9] * SCENES
    assert (sitting.words.words_BT != IGNORED).any(1).all()
    assert (sitting.questions.answers_B != IGNORED).all()
    assert (sitting.finds.boxes_B4[:, 2] > 0).all()
    hidden = sitting.words.texts.input_ids == VOCABULARY["[MASK]"]
    assert torch.equal(hidden, sitting.words.words_BT != IGNORED)


def test_the_exam_depends_on_its_seed_alone(exam: Exam, processor: Processor, monkeypatch: pytest.MonkeyPatch) -> None:
    again, other = held_out(processor, SCENES), held_out(processor, SCENES, seed=2)
    assert torch.equal(again.sittings[0].pixels_BCYX, exam.sittings[0].pixels_BCYX)
    assert not torch.equal(other.sittings[0].pixels_BCYX, exam.sittings[0].pixels_BCYX)

    monkeypatch.setattr(evaluation, "_BATCH", 10)
    parts = held_out(processor, SCENES).sittings
    assert [len(part.pixels_BCYX) for part in parts] == [10, 10, 4]
    assert torch.equal(torch.cat([part.pixels_BCYX for part in parts]), exam.sittings[0].pixels_BCYX)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bundled_model_sits_it(model: ReferenceModel, processor: Processor, dtype: torch.dtype) -> None:
    finished: list[float] = []
    scores = score(model.to(dtype), held_out(processor, 8), progress=finished.append)
    model.to(torch.float32)

    assert all(math.isfinite(value) for value in msgspec.structs.astuple(scores))
    assert finished == [1.0]


def test_one_scene_is_enough(model: ReferenceModel, processor: Processor) -> None:
    assert evaluate(model, processor, scenes=1).scenes == 1


def test_floors_are_met_at_the_edge() -> None:
    edge = msgspec.structs.replace(PERFECT, **FLOORS)
    below = {name: value + (1e-6 if name == "masked_patches" else -1e-6) for name, value in FLOORS.items()}

    assert missed(edge) == ()
    assert missed(msgspec.structs.replace(PERFECT, **below)) == tuple(FLOORS)
    assert missed(msgspec.structs.replace(PERFECT, answers=math.nan)) == ("answers",)


def test_the_table_shows_the_floor_beside_each_score() -> None:
    lines = scores_v1.table(msgspec.structs.replace(PERFECT, captions=0.9), "hybrid").splitlines()

    assert "captions exact          90.0 %   at least  97.0 %   MISSED" in lines
    assert "masked patches, error    0.000   at most    0.333   ok" in lines
    assert lines[-1] == "missed: captions exact"
    assert scores_v1.table(PERFECT, "hybrid").splitlines()[-1] == "every floor is reached"
    assert "MISSED" not in scores_v1.table(msgspec.structs.replace(PERFECT, captions=0.9), "late")


def test_the_scores_as_json() -> None:
    content = json.loads(scores_v1.render(msgspec.structs.replace(PERFECT, next_sentence=math.nan), "hybrid"))

    assert content["schema"] == "mmdoctor/scores/v1"
    assert content["scores"]["next_sentence"] is None
    assert content["floors"] == FLOORS
    assert content["missed"] == []
