"""Training: the same bits again, after a kill too, and losses that fall."""

import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference.bundle import load_model
from mmdoctor.reference.losses import WEIGHTS, box_loss, corners, overlap
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.practice import ANSWERING, SCENES, SEEING, Mix
from mmdoctor.reference.training import STEPS, Plan, Report, Trainer, initial_state, train

PLAN = Plan(kind="late", steps=4)


def same(one: ReferenceModel, other: ReferenceModel) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


class Whole(NamedTuple):
    """A run from end to end."""

    model: ReferenceModel
    reports: list[Report]
    folder: Path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("whole")
    reports: list[Report] = []
    model = train(PLAN, folder, folder / "checkpoint.pt", progress=reports.append, checkpoint_seconds=0)
    return Whole(model, reports, folder)


def test_losses_fall_and_the_finished_folder_is_the_model(whole: Whole) -> None:
    first, *_, last = whole.reports

    assert [report.step for report in whole.reports] == [1, 2, 3, 4]
    assert set(first.losses) == set(WEIGHTS)
    assert last.seconds_left == 0
    assert last.losses["caption"] < 0.9 * first.losses["caption"]
    assert last.losses["patches"] < 0.9 * first.losses["patches"]
    assert not (whole.folder / "checkpoint.pt").exists()
    written = load_model(whole.folder)
    assert written.config == whole.model.config
    for name, tensor in written.state_dict().items():
        torch.testing.assert_close(tensor, whole.model.state_dict()[name], rtol=2**-8, atol=1e-6)


def test_a_resumed_run_gives_the_same_bits_with_any_number_of_threads(whole: Whole, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    before = Trainer(PLAN, threads=1)
    before.advance()
    before.advance()
    before.save(checkpoint)
    after = Trainer(PLAN)
    after.resume(checkpoint)
    assert after.step == 2
    assert same(before.model, after.model)

    after.advance()
    after.advance()

    assert same(after.model, whole.model)
    assert not same(before.model, whole.model)
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_another_seed_starts_from_other_weights() -> None:
    assert not same(Trainer(Plan(kind="late", steps=4, seed=7)).model, Trainer(PLAN).model)


@pytest.mark.parametrize("damage", ["other plan", "cut short", "empty", "not a checkpoint"])
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "checkpoint.pt"
    Trainer(PLAN).save(file)
    if damage == "not a checkpoint":
        torch.save({"weights": torch.zeros(2)}, file)
    elif damage != "other plan":
        file.write_bytes(file.read_bytes()[: 0 if damage == "empty" else 1000])
    trainer = Trainer(Plan(kind="late", steps=5) if damage == "other plan" else PLAN)

    with pytest.raises(MMDoctorError, match="remove it"):
        trainer.resume(file)


def test_the_plan_of_the_bundled_models() -> None:
    for kind, steps in STEPS.items():
        plan = Plan(kind=kind, steps=steps)
        second = next(step for step in range(steps) if plan.mix(step) is ANSWERING)
        cycles = [[plan.learning_rate(step) for step in cycle] for cycle in (range(second), range(second, steps))]

        for rates in cycles:
            top = rates.index(max(rates))
            assert max(rates) == 1e-3
            assert rates[: top + 1] == sorted(rates[: top + 1])
            assert rates[top:] == sorted(rates[top:], reverse=True)
            assert top < 0.1 * len(rates)
        assert 0 <= cycles[1][-1] < 1e-8
        assert all(plan.mix(step) is SEEING for step in range(second))
        assert all(plan.mix(step) is ANSWERING for step in range(second, steps))
        objects = [plan.most_objects(step) for step in range(steps)]
        assert objects == sorted(objects)
        assert {objects[0], objects[-1]} == {2, 4}


def test_the_shortest_plan_is_one() -> None:
    plan = Plan(steps=1)

    assert 0 < plan.learning_rate(0) <= 1e-3
    assert plan.most_objects(0) == 2


@pytest.mark.parametrize("mix", [SEEING, ANSWERING])
def test_every_scene_of_a_batch_practises_something(mix: Mix) -> None:
    parts = [mix.questions, mix.captions, mix.matching, mix.words, mix.pairs, mix.patches]
    scenes = [index for part in parts for index in range(SCENES)[part]]

    assert set(scenes) == set(range(SCENES))
    assert not set(range(SCENES)[mix.patches]) & {index for part in parts[:-1] for index in range(SCENES)[part]}, (
        "a picture with masked patches is whole for no other task"
    )


def test_training_starts_from_tame_weights(whole: Whole) -> None:
    state = initial_state(whole.model, seed=1)

    assert set(state) == set(whole.model.state_dict())
    for name, tensor in state.items():
        assert tensor.abs().max() <= 1, name
        assert tensor.dtype == torch.float32
    assert torch.equal(state["lm_head.weight"], initial_state(whole.model, seed=1)["lm_head.weight"])


def test_overlap_of_boxes() -> None:
    unit = torch.tensor([[0.5, 0.5, 0.4, 0.4]]).expand(4, 4)
    others = torch.tensor(
        [
            [0.5, 0.5, 0.4, 0.4],  # the same
            [0.7, 0.5, 0.4, 0.4],  # half of it beside
            [0.5, 0.5, 0.2, 0.4],  # half of it inside
            [0.1, 0.1, 0.2, 0.2],  # apart
        ]
    )

    iou, giou = overlap(unit, others)

    assert iou.tolist() == pytest.approx([1, 1 / 3, 1 / 2, 0], abs=1e-6)
    assert giou.tolist() == pytest.approx([1, 1 / 3, 1 / 2, -(0.49 - 0.20) / 0.49], abs=1e-6)
    assert corners(unit[:1]).tolist() == [pytest.approx([0.3, 0.3, 0.7, 0.7])]
    assert box_loss(unit[:1], others[:1]).item() == pytest.approx(0, abs=1e-6)
    assert box_loss(unit[:1], others[1:2]).item() == pytest.approx(5 * 0.05 + 2 * 2 / 3, abs=1e-6)


SCRIPT = """
import sys
from pathlib import Path
from mmdoctor.reference.training import Plan, train

folder = Path(sys.argv[1])
train(Plan(kind="late", steps=6), folder, folder / "checkpoint.pt", checkpoint_seconds=0,
      progress=lambda report: print(report.step, flush=True))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    def start(folder: Path) -> subprocess.Popen[str]:
        folder.mkdir(exist_ok=True)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
        )

    with start(tmp_path / "whole") as process:
        assert process.communicate()[0].split() == ["1", "2", "3", "4", "5", "6"]
    with start(tmp_path / "killed") as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "3":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/model.safetensors").exists()
    with start(tmp_path / "killed") as process:
        steps = process.communicate()[0].split()

    assert steps[-1] == "6"
    assert int(steps[0]) >= 3
    whole, killed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "advance", lambda trainer: {"answer": math.nan})

    with pytest.raises(MMDoctorError, match="not a number"):
        train(PLAN, tmp_path, tmp_path / "checkpoint.pt")
    assert list(tmp_path.iterdir()) == []
