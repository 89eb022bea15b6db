# ruff: noqa: N812 - shape suffixes and the customary F, as in the model
"""Scenes answered in every type, on healthy machines and on ones that ruin answers."""

import threading
from collections.abc import Callable

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.facts.self_test import SelfTest
from mmdoctor.reference import canary, golden, load, quantised
from mmdoctor.reference.evaluation import held_out, score
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.processor import Processor
from mmdoctor.reference.selftest import Plan, run_self_test
from tests.reference.machine import codes

SCENES = Plan(
    fusions=("hybrid",),
    dtypes=(),
    attentions=(),
    kernels=(),
    repetitions=(),
    canaries=("float32",),
    scenes=48,
    compile=False,
)
TRAINED = golden.read_record().scores["float32"][0]["answers"][0] > 200
trained = pytest.mark.skipif(not TRAINED, reason="the bundled weights are not trained")
_linear = F.linear


def answered(**changes: object) -> SelfTest:
    return run_self_test(("cpu",), plan=msgspec.structs.replace(SCENES, **changes))


def test_a_healthy_machine_scores_as_recorded_in_every_type() -> None:
    test = answered(canaries=canary.TYPES, scenes=24)
    canaries = test.devices[0].canaries

    assert [(each.dtype, each.scenes) for each in canaries] == [(dtype, 24) for dtype in canary.TYPES]
    assert all(len(each.scores) == 5 for each in canaries)
    assert codes(test) == []


def test_the_score_is_that_of_the_evaluation(model: ReferenceModel, processor: Processor) -> None:
    exam = held_out(processor, 16)
    expected = score(model, exam)
    with torch.inference_mode():
        marks = canary.sit(model, exam.sittings[0])

    for task in ("answers", "captions", "matching", "masked_words", "box_iou"):
        points, number = marks[task]
        assert points / number == pytest.approx(getattr(expected, task), abs=1e-5), task


def test_time_that_runs_out_leaves_the_first_sitting_of_each_type(
    model: ReferenceModel, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mmdoctor.reference.evaluation._BATCH", 4)
    exam = held_out(processor, 12)
    recorded = {"float32": golden.read_record().scores["float32"], "int8": golden.read_record().scores["int8"]}
    told: list[float] = []
    bench = canary.Bench(model, torch.device("cpu"), exam, recorded)
    canaries = bench.run(("float32", "int8"), seconds=0.0, workers=2, progress=told.append)

    assert [each.scenes for each in canaries] == [4, 4]
    assert told[-1] == 1.0
    assert threading.active_count() < 10


def refusing(error: Exception) -> Callable[..., Tensor]:
    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.dtype == torch.float16:
            raise error
        return _linear(x, weight, bias)

    return linear


@pytest.mark.parametrize(
    ("error", "code"),
    [(RuntimeError("not implemented for 'Half'"), []), (RuntimeError("an illegal memory access"), ["REF006"])],
)
def test_a_type_that_is_refused_and_one_that_breaks(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: list[str]
) -> None:
    monkeypatch.setattr(F, "linear", refusing(error))
    test = answered(canaries=("float16",), scenes=4)
    (each,) = test.devices[0].canaries

    assert (each.unavailable or each.failed) == str(error)
    assert codes(test) == code


def test_int8_keeps_a_row_to_half_a_step_of_its_largest_weight() -> None:
    linear = nn.Linear(64, 8).requires_grad_(requires_grad=False)
    narrow = quantised.Int8Linear(linear)
    restored = narrow.weight_ED.float() * narrow.scale_E[:, None]

    assert narrow.weight_ED.dtype == torch.int8
    steps = (restored - linear.weight).abs() / (linear.weight.abs().amax(1, keepdim=True) / quantised.LEVELS)
    assert float(steps.max()) <= 0.5 + 1e-4
    zero = nn.Linear(4, 2)
    nn.init.zeros_(zero.weight)
    assert torch.equal(quantised.Int8Linear(zero)(torch.ones(1, 4)), zero.bias[None])


def test_every_linear_layer_is_int8() -> None:
    model = load()
    narrow = quantised.quantised(model)

    assert not any(isinstance(module, nn.Linear) for module in narrow.modules())
    assert any(isinstance(module, nn.Linear) for module in model.modules())


@trained
def test_a_kernel_that_is_wrong_for_large_batches_only(monkeypatch: pytest.MonkeyPatch) -> None:
    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = _linear(x, weight, bias)
        return y.roll(1, 0) if len(x) > 16 and x.dim() == 3 else y

    monkeypatch.setattr(F, "linear", linear)
    test = answered(dtypes=("float32",), attentions=("textbook",))

    assert not any(run.wrong for run in test.devices[0].runs)
    assert codes(test) == ["REF006"]


@trained
@pytest.mark.parametrize("scale", [0.5, 1.3])
def test_int8_with_wrong_scales(monkeypatch: pytest.MonkeyPatch, scale: float) -> None:
    right = quantised.Int8Linear.forward
    monkeypatch.setattr(quantised.Int8Linear, "forward", lambda self, x: right(self, x) * scale)

    assert codes(answered(canaries=("float32", "int8"))) == ["REF006"]
