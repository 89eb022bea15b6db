"""`mmdoctor fix`: a diff first, then the change with a backup, then clean; weights keep every byte."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.conftest import Program
from tests.specimens.faults import INDEX, Patient


def _stale_index(patient: Patient) -> None:
    patient.reshard(3)
    other = {name: file.replace("of-00003", "of-00007") for name, file in patient.json(INDEX)["weight_map"].items()}
    patient.edit(INDEX, {"/weight_map": other})


def _no_index(patient: Patient) -> None:
    patient.reshard(2)
    patient.delete(INDEX)


def _forgotten_shard(patient: Patient) -> None:
    first, *_ = patient.reshard(3)
    kept = {name: file for name, file in patient.json(INDEX)["weight_map"].items() if file != first}
    patient.edit(INDEX, {"/weight_map": kept})


def _misnamed_shard(patient: Patient) -> None:
    first, *_ = patient.reshard(2)
    patient.rename(first, f"{first}?download=true")


FAULTS = {
    "INT005 stale": _stale_index,
    "INT005 absent": _no_index,
    "INT005 forgets a shard": _forgotten_shard,
    "INT006": _misnamed_shard,
}


@pytest.fixture
def patient(small_model: Path) -> Patient:
    return Patient(small_model)


def contents(folder: Path) -> dict[str, str]:
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.is_file()}


@pytest.mark.parametrize("fault", FAULTS)
def test_shown_then_made_then_clean_then_undone(program: Program, patient: Patient, fault: str):
    FAULTS[fault](patient)
    sick = contents(patient.path)
    weights = {digest for name, digest in sick.items() if "safetensors" in name and "json" not in name}
    code = fault.split(maxsplit=1)[0]

    shown = program("fix", patient.path)
    assert shown.code == 1
    assert f"would change 1 file to settle {code}" in shown.out
    assert contents(patient.path) == sick

    made = program("fix", patient.path, "--apply")
    assert made.code == 0, made.out
    assert "PASS" in made.out
    assert weights == {d for n, d in contents(patient.path).items() if "safetensors" in n and "json" not in n}
    assert program("check", patient.path, "--fail-on", "warning").code == 0
    assert program("fix", patient.path).out == "nothing to settle\n"

    assert program("fix", patient.path, "--undo").code == 0
    assert contents(patient.path) == sick


def test_the_rebuilt_index_is_the_one_that_was_lost(program: Program, patient: Patient):
    patient.reshard(3)
    before = patient.json(INDEX)
    patient.delete(INDEX)

    program("fix", patient.path, "--apply")

    assert patient.json(INDEX) == before


def test_what_no_program_can_do_is_left(program: Program, patient: Patient):
    patient.truncate("model.safetensors", 0.5)

    shown = program("fix", patient.path)
    assert shown.code == 1
    assert "1 finding left to you" in shown.out
    assert "INT002" in shown.out
    assert program("fix", patient.path, "--apply").code == 1
    assert not (patient / ".mmdoctor-backup").exists()


def test_only_the_chosen_rules_are_settled(program: Program, patient: Patient):
    first, _ = patient.reshard(2)
    patient.truncate(first, 0.9)
    patient.delete(INDEX)

    assert "INT002" in program("fix", patient.path).out
    assert "INT002" not in program("fix", patient.path, "--select", "INT005").out


def test_a_healthy_model_needs_nothing(program: Program, patient: Patient):
    assert program("fix", patient.path) == (0, "nothing to settle\n", "")
    assert program("fix", patient.path, "--apply").code == 0
    assert not (patient / ".mmdoctor-backup").exists()


def test_names_from_files_cannot_move_the_cursor(program: Program, patient: Patient):
    _no_index(patient)
    first = patient.shards()[0]
    patient.header(first, lambda header: {k.replace("weight", "weight\x1b[2J", 1): v for k, v in header.items()})

    assert "\x1b" not in program("fix", patient.path, "--color", "never").out


def test_wrong_usage(program: Program, patient: Patient, tmp_path: Path):
    assert program("fix", patient.path, "--apply", "--undo").code == 2
    assert program("fix", tmp_path / "absent").code == 2
    undone = program("fix", patient.path, "--undo")
    assert undone.code == 2
    assert "no backup" in undone.err


def test_an_interrupted_run_is_named_and_finished(program: Program, patient: Patient, monkeypatch: pytest.MonkeyPatch):
    _no_index(patient)
    whole = Path.replace

    def dies(_: Path, __: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", dies)
    assert program("fix", patient.path, "--apply").code == 130
    monkeypatch.setattr(Path, "replace", whole)

    assert "interrupted" in program("fix", patient.path).err
    assert "finished what an earlier run had begun" in program("fix", patient.path, "--apply").out
    assert json.loads((patient / INDEX).read_text())["weight_map"]
