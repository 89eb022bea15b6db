"""Changes are made all or none: whatever moment a run is killed at, the next one finds the old state or finishes."""

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from mmdoctor.errors import MMDoctorError
from mmdoctor.fixing import transaction
from mmdoctor.fixing.plan import FileChange
from mmdoctor.readers.names import BACKUPS

OLD = {"config.json": '{"a": 1}\n', "model (1).safetensors": "weights", "other.json": "[]"}
CHANGES = (
    FileChange(file="config.json", before=OLD["config.json"], after='{"a": 2}\n'),
    FileChange(file="model (1).safetensors", to="model.safetensors"),
    FileChange(file="new.json", after="{}"),
    FileChange(file="other.json", before="[]", after="[1]"),
)
NEW = {"config.json": '{"a": 2}\n', "model.safetensors": "weights", "new.json": "{}", "other.json": "[1]"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    root.mkdir()
    for name, text in OLD.items():
        (root / name).write_text(text)
    return root


def content(root: Path) -> dict[str, str]:
    return {f.name: f.read_text() for f in root.iterdir() if f.is_file()}


def test_all_changes_are_made_and_the_old_files_kept(folder: Path):
    backup = transaction.apply(folder, CHANGES)

    assert content(folder) == NEW
    assert (backup / "old" / "config.json").read_text() == OLD["config.json"]
    assert transaction.unfinished(folder) is None


def test_undo_brings_back_one_backup_after_the_other(folder: Path):
    transaction.apply(folder, CHANGES)
    transaction.apply(folder, (FileChange(file="new.json", before="{}", after="[2]"),))

    transaction.undo(folder)
    assert content(folder) == NEW
    transaction.undo(folder)
    assert content(folder) == OLD
    assert not (folder / BACKUPS).exists()
    with pytest.raises(MMDoctorError, match="no backup"):
        transaction.undo(folder)


def _dies_at(folder: Path, call: int) -> None:
    """Apply, and end the process without any clean-up at the n-th call that changes the disk."""
    calls = 0

    def counted(function):
        def replacement(*arguments, **keywords):
            nonlocal calls
            calls += 1
            if calls == call:
                os._exit(9)
            return function(*arguments, **keywords)

        return replacement

    for name in ("rename", "replace", "touch", "mkdir", "write_bytes"):
        setattr(Path, name, counted(getattr(Path, name)))
    shutil.copy2 = counted(shutil.copy2)
    os.fsync = counted(os.fsync)
    transaction.apply(folder, CHANGES)
    os._exit(0)


def test_a_kill_at_any_moment_leaves_the_old_state_or_one_that_the_next_run_finishes(tmp_path: Path):
    outcomes = []
    for call in range(1, 100):
        root = tmp_path / str(call)
        root.mkdir()
        for name, text in OLD.items():
            (root / name).write_text(text)
        process = multiprocessing.get_context("fork").Process(target=_dies_at, args=(root, call))
        process.start()
        process.join(30)
        begun = transaction.unfinished(root) is not None
        left = content(root)
        assert begun or left in (OLD, NEW), call
        for name, text in left.items():
            assert text in (OLD.get(name), NEW.get(name)), call

        transaction.recover(root)

        assert content(root) == (NEW if begun or left == NEW else OLD), call
        outcomes.append((process.exitcode, begun))
        if process.exitcode == 0:
            break
    assert outcomes[-1][0] == 0
    assert (9, True) in outcomes
    assert (9, False) in outcomes


def test_a_file_that_changed_meanwhile_stops_everything(folder: Path):
    (folder / "other.json").write_text("[3]")

    with pytest.raises(MMDoctorError, match=r"other.json has changed"):
        transaction.apply(folder, CHANGES)
    assert content(folder) == {**OLD, "other.json": "[3]"}


def test_a_link_is_replaced_and_what_it_led_to_stays(folder: Path):
    blob = folder.parent / "blob"
    blob.write_text(OLD["config.json"])
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(blob)

    transaction.apply(folder, CHANGES[:1])
    assert blob.read_text() == OLD["config.json"]
    assert content(folder)["config.json"] == NEW["config.json"]
    transaction.undo(folder)
    assert (folder / "config.json").readlink() == blob


@pytest.mark.parametrize("place", ["../outside.json", "/etc/mmdoctor.json", "link/inside.json", "a/../../outside.json"])
@pytest.mark.parametrize("action", [transaction.recover, transaction.undo])
def test_a_journal_from_a_stranger_leads_nowhere(folder: Path, place: str, action):
    (folder.parent / "elsewhere").mkdir()
    (folder / "link").symlink_to(folder.parent / "elsewhere")
    backup = folder / BACKUPS / "0001"
    (backup / "new").mkdir(parents=True)
    (backup / "new" / "outside.json").write_text("evil")
    (backup / "journal.json").write_text(json.dumps({"steps": [{"file": place}]}))
    (backup / "committed").touch()

    with pytest.raises(MMDoctorError, match="leads out of"):
        action(folder)
    assert not (folder.parent / "outside.json").exists()
    assert not list((folder.parent / "elsewhere").iterdir())


def test_a_folder_that_cannot_be_written_to(folder: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MMDoctorError, match="cannot be changed: Permission denied"):
        transaction.apply(folder, CHANGES)
    assert content(folder) == OLD
