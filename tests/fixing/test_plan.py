"""Which changes of a report are taken: certain ones, whole, never against each other, never to weights."""

from pathlib import Path

import pytest

from mmdoctor.finding import Change, Confidence, Edit, Evidence, Finding, Fix, Removal, Renaming, Rewriting, Severity
from mmdoctor.fixing.plan import FileChange, Plan, plan
from mmdoctor.readers.source import open_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"a": 1, "b": 2}')
    (tmp_path / "model (1).safetensors").write_bytes(bytes(8))
    return tmp_path


def finding(
    *edits: Change, severity: Severity = Severity.ERROR, confidence: Confidence = Confidence.CERTAIN
) -> Finding:
    return Finding(
        code="TST001",
        name="test",
        family="test",
        severity=severity,
        confidence=confidence,
        message="it is wrong",
        summary="",
        evidence=(Evidence("a", 1),),
        fix=Fix("change it", edits),
    )


def planned(folder: Path, *findings: Finding, unsure: bool = False) -> Plan:
    return plan(open_source(folder), findings, unsure=unsure)


def test_changes_to_one_file_come_together(folder: Path):
    found = planned(
        folder,
        finding(Edit(file="config.json", pointer="/a", value=3)),
        finding(Removal(file="config.json", pointer="/b")),
        finding(Renaming(file="model (1).safetensors", to="model.safetensors")),
        finding(Rewriting(file="new.json", content="{}")),
    )

    assert found.changes == (
        FileChange(file="config.json", before='{"a": 1, "b": 2}', after='{"a": 3}'),
        FileChange(file="model (1).safetensors", to="model.safetensors"),
        FileChange(file="new.json", after="{}"),
    )
    assert not found.left
    assert len(found.settled) == 4


def test_two_findings_that_want_the_same_are_both_settled(folder: Path):
    edit = Edit(file="config.json", pointer="/a", value=3)

    assert len(planned(folder, finding(edit), finding(edit)).settled) == 2


def test_of_two_findings_that_disagree_the_second_is_left(folder: Path):
    found = planned(
        folder,
        finding(Edit(file="config.json", pointer="/a", value=3)),
        finding(Edit(file="config.json", pointer="/b", value=9), Edit(file="config.json", pointer="/a", value=4)),
    )

    assert found.changes[0].after == '{"a": 3, "b": 2}'
    assert "two findings want different things of config.json/a" in found.left[0].why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (Edit(file="config.json", pointer="/x/y", value=1), "nothing at /x/y"),
        (Edit(file="absent.json", pointer="/x", value=1), "absent.json is not there"),
        (Edit(file="../config.json", pointer="/x", value=1), "leads out"),
        (Rewriting(file="model.safetensors", content=""), "bytes are never changed"),
        (Renaming(file="config.json", to="/etc/passwd"), "leads out"),
        (Renaming(file="config.json", to="model (1).safetensors"), "cannot become"),
        (Renaming(file="absent", to="b"), "cannot become"),
    ],
)
def test_a_change_that_cannot_be_made_is_left(folder: Path, change: Change, why: str):
    found = planned(folder, finding(change))

    assert found.changes == ()
    assert why in found.left[0].why


def test_only_certain_changes_are_taken_unless_asked(folder: Path):
    likely = finding(Edit(file="config.json", pointer="/a", value=3), confidence=Confidence.LIKELY)

    assert "only likely right" in planned(folder, likely).left[0].why
    assert planned(folder, likely, unsure=True).changes


def test_notes_need_no_change_and_findings_without_edits_are_left(folder: Path):
    note = finding(Edit(file="config.json", pointer="/a", value=3), severity=Severity.NOTE)
    found = planned(folder, note, finding())

    assert found.changes == ()
    assert [left.why for left in found.left] == ["no program can do this"]


def test_a_single_weight_file_is_left_alone(folder: Path):
    renaming = finding(Renaming(file="model (1).safetensors", to="model.safetensors"))
    found = plan(open_source(folder / "model (1).safetensors"), [renaming])

    assert found.changes == ()
