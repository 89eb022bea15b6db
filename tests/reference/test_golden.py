"""The records: that they are what the code gives, and where their tolerances come from."""

import math

import pytest
import torch
from torch import Tensor

from mmdoctor.reference import KINDS, canary, golden, golden_of, kernels, rounding, weights_of
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import load_model
from mmdoctor.reference.comparison import agreement, deviation, drawn, sure_choices
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.rounding import NOTHING, Tolerance
from mmdoctor.reference.tracing import trace


def in_float64(kind: FusionKind) -> dict[str, Tensor]:
    model = load_model(weights_of(kind)).double()
    use_attention(model, "textbook")
    batch, prepared = golden.given(weights_of(kind), model)
    outputs, layers, _ = trace(model, batch.to(torch.device("cpu"), torch.float64))
    return {**prepared, **outputs, **{f"layer {name}": tensor for name, tensor in layers.items()}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_recorded_numbers_are_what_float64_gives(kind: FusionKind) -> None:
    outputs = in_float64(kind)
    record, expected, layers = golden.read(golden_of(kind))
    recorded = {**expected, **{f"layer {name}": tensor for name, tensor in layers.items()}}

    assert list(recorded) == list(outputs)
    for name, tensor in recorded.items():
        torch.testing.assert_close(tensor.double(), outputs[name].double(), rtol=2**-23, atol=1e-12)
    assert set(record.outputs) == set(record.layers) == set(golden.TYPES)


def test_the_recorded_tolerances_are_what_random_rounding_gives() -> None:
    cases = {"open": kernels.cases()["open"]}
    for dtype in golden.TYPES:
        measured = rounding.tolerances(lambda: kernels.textbook(cases), dtype)["open"]
        recorded = golden.read_record().kernels[dtype]["open"]
        assert recorded.rms == pytest.approx(measured.rms, rel=0.05)
        assert recorded.largest == pytest.approx(measured.largest, rel=0.4)


def test_every_type_rounds_more_than_the_one_above_it() -> None:
    record = golden.read_record()
    for name in record.layers["float32"]:
        single, half, brain = (record.layers[dtype][name].rms for dtype in ("float32", "float16", "bfloat16"))
        assert single <= half <= brain
        assert half == 0 or single < half < brain


def test_rounding_is_moved_by_half_the_distance_to_the_neighbours() -> None:
    numbers = torch.linspace(0.3, 9.0, 4096, dtype=torch.float64).to(torch.float16).double()
    largest = {
        name: each.largest for name, each in rounding.tolerances(lambda: {"x": numbers + 0.0}, "float16").items()
    }
    worst = float((numbers + 2**-13).sub(numbers).abs().max())

    assert worst < largest["x"] * 9.0 < 16 * 2**-11


def test_a_stored_result_stays_inside_and_a_second_rounding_too() -> None:
    left, right = (torch.randn(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) for _ in "ab")
    left, right = left.half().double(), right.half().double()
    allowed = rounding.tolerances(lambda: {"x": left @ right}, "float16")["x"]
    once = (left @ right).half()
    twice = (once.double() + 100).half().double() - 100

    assert not deviation("x", once, left @ right, allowed).exceeded
    assert deviation("x", twice, left @ right, allowed).exceeded


def test_the_end_of_the_distributions() -> None:
    generator = torch.Generator().manual_seed(3)
    errors = torch.randn(256, 2000, dtype=torch.float64, generator=generator)
    found = rounding.tolerance(errors.abs().amax(1), errors.square().mean(1))

    # 2000 numbers: the largest lies at 3.5 deviations, the root mean square at 1 +- 0.016.
    assert 5 * rounding.SLACK < found.largest < 9 * rounding.SLACK
    assert found.rms == pytest.approx((1 + 6 / math.sqrt(2 * 2000)) * rounding.SLACK, rel=0.02)
    assert rounding.tolerance(torch.zeros(4), torch.zeros(4)) == NOTHING
    assert Tolerance(1.0, 0.5).times(2) == Tolerance(2.0, 1.0)


def test_an_operation_of_unknown_rounding_is_refused() -> None:
    ones = torch.ones(3, dtype=torch.float64)
    with pytest.raises(NotImplementedError, match=r"aten\.cumsum"):
        rounding.tolerances(lambda: {"sum": ones.cumsum(0)}, "float32", samples=1)


def test_drawn_numbers_come_from_all_over_and_never_change() -> None:
    grid = torch.arange(74 * 128).reshape(74, 128)
    picked = drawn(grid, 128)

    assert len(set(picked.tolist())) == 128
    assert len({index % 128 for index in picked.tolist()}) > 60
    assert len({index // 128 for index in picked.tolist()}) > 60
    assert torch.equal(drawn(grid[:1], 128), grid[0])
    assert picked[:3].tolist() == [0, 7919, 2 * 7919 % (74 * 128)]


def test_choices_that_rounding_can_turn_are_not_compared() -> None:
    logits = torch.tensor([[1.0, 0.9], [1.0, 0.0]])
    sure = {"answer": sure_choices(logits, Tolerance(0.1, 0.0))}

    assert sure["answer"].tolist() == [False, True]
    assert agreement({"answer": logits.flip(1)}, {"answer": logits.argmax(-1)}, sure) == (1, 0)


def test_captions_are_recorded_as_far_as_they_are_sure(model: ReferenceModel) -> None:
    for kind in KINDS:
        for caption in golden.read_record(golden_of(kind)).captions:
            assert caption.text
            assert caption.sure["bfloat16"] <= caption.sure["float16"] <= caption.sure["float32"] <= len(caption.ids)
            assert caption.ids[-1] == model.config.eos_token_id or len(caption.ids) == 63


@pytest.mark.parametrize(
    ("share", "number", "lowest"),
    [(0.998, 1000, 0.986), (1.0, 1000, 0.990), (0.5, 1000, 0.436), (0.02, 24, 0.0)],
)
def test_the_least_that_chance_explains(share: float, number: int, lowest: float) -> None:
    assert canary.lowest(share, number) == pytest.approx(lowest, abs=2e-3)
    assert canary.lowest(share, number // 4) <= lowest
    assert canary.lowest(0.0, number) == 0.0


def test_every_type_has_a_score_for_every_sitting() -> None:
    scores = golden.read_record().scores

    assert tuple(scores) == canary.TYPES
    for sittings in scores.values():
        assert len(sittings) == 4
        for marks in sittings:
            assert list(marks) == ["answers", "box_iou", "captions", "matching", "masked_words"]
            assert all(0 <= points <= number for points, number in marks.values())
