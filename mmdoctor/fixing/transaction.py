"""Several files changed as one: a kill leaves the old state, or one that the next run finishes.

A write-ahead log, as databases keep one (Gray and Reuter 1992, "Transaction Processing", chapter 9). In
`.mmdoctor-backup/<number>/` lie `old/` (what was there), `new/` (what is to come) and `journal.json`. All of it is on
the disk before the empty file `committed` appears; only then files change, each by one `rename`. Until `committed` is
there, nothing has happened; once it is there, every step can be done again until `done` says that all are.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mmdoctor.errors import MMDoctorError
from mmdoctor.fixing.plan import FileChange
from mmdoctor.readers.names import BACKUPS, is_unsafe_path


class _Step(msgspec.Struct, frozen=True, kw_only=True):
    file: str
    to: str | None = None
    """New path of a file that only gets another name; else `new/<file>` replaces the file."""
    existed: bool = True


class _Journal(msgspec.Struct, frozen=True, kw_only=True):
    steps: tuple[_Step, ...]


def apply(root: Path, changes: Sequence[FileChange]) -> Path:
    """Make the changes, all of them or none.

    Args:
        root: the artefact's folder.
        changes: what becomes of which file.

    Returns:
        The folder with the files as they were.

    Raises:
        MMDoctorError: the folder cannot be written to, or a file is not what it was when the changes were planned.
    """
    try:
        recover(root)
        _unchanged(root, changes)
        backup = _prepare(root, changes)
        _mark(backup / "committed")
        _redo(root, backup)
    except OSError as error:
        raise MMDoctorError(f"{root} cannot be changed: {error.strerror or error}") from None
    return backup


def unfinished(root: Path) -> Path | None:
    """The backup folder of changes that were begun and not finished, or None."""
    return next((f for f in _backups(root) if (f / "committed").exists() and not (f / "done").exists()), None)


def recover(root: Path) -> bool:
    """Finish what a killed run had begun, and clear away what it had only prepared.

    Returns:
        Whether there was something to finish.
    """
    begun = unfinished(root)
    if begun is not None:
        _redo(root, begun)
    for folder in _backups(root):
        if not (folder / "committed").exists():
            shutil.rmtree(folder)
    return begun is not None


def undo(root: Path) -> Path:
    """Bring back the files of the last backup.

    Returns:
        The backup folder that was used up.

    Raises:
        MMDoctorError: there is none, or the folder cannot be written to.
    """
    try:
        recover(root)
        backup = max(_backups(root), default=None, key=lambda f: f.name)
        if backup is None:
            raise MMDoctorError(f"{root} has no backup of mmdoctor's")
        for step in reversed(_steps(backup)):
            place, old = root / step.file, backup / "old" / step.file
            if step.to is not None:
                if (root / step.to).exists() and not place.exists():
                    (root / step.to).rename(place)
            elif step.existed:
                if old.is_symlink() or old.exists():
                    old.replace(place)
            else:
                place.unlink(missing_ok=True)
        _sync(root)
        shutil.rmtree(backup)
        if not _backups(root):
            (root / BACKUPS).rmdir()
    except OSError as error:
        raise MMDoctorError(f"{root} cannot be changed: {error.strerror or error}") from None
    return backup


def _backups(root: Path) -> list[Path]:
    folder = root / BACKUPS
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(f for f in folder.iterdir() if f.is_dir() and not f.is_symlink() and f.name.isdecimal())


def _unchanged(root: Path, changes: Sequence[FileChange]) -> None:
    for change in changes:
        _refuse_outside(root, change.file)
        _refuse_outside(root, change.to or change.file)
        place = root / change.file
        if change.to is not None:
            same = place.exists() and not (root / change.to).exists()
        elif change.before is None:
            same = not place.exists()
        else:
            same = place.is_file() and place.read_bytes() == change.before.encode()
        if not same:
            raise MMDoctorError(f"{change.file} has changed since it was looked at; run the command again")


def _prepare(root: Path, changes: Sequence[FileChange]) -> Path:
    if (root / BACKUPS).is_symlink():
        raise MMDoctorError(f"{BACKUPS} is a link; remove it first")
    number = max((int(f.name) for f in _backups(root)), default=0) + 1
    backup = root / BACKUPS / f"{number:04d}"
    (backup / "old").mkdir(parents=True)
    (backup / "new").mkdir()
    steps = []
    for change in changes:
        place = root / change.file
        steps.append(_Step(file=change.file, to=change.to, existed=place.is_symlink() or place.exists()))
        if change.after is None:
            continue
        old, new = backup / "old" / change.file, backup / "new" / change.file
        if steps[-1].existed:
            old.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(place, old, follow_symlinks=False)
            _sync(old)
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(change.after.encode())
        if place.exists():
            new.chmod(place.stat().st_mode & 0o7777)
        _sync(new)
    journal = backup / "journal.json"
    journal.write_bytes(msgspec.json.encode(_Journal(steps=tuple(steps))))
    _sync(journal)
    for folder in (backup / "old", backup / "new", backup, root / BACKUPS, root):
        _sync(folder)
    return backup


def _redo(root: Path, backup: Path) -> None:
    for step in _steps(backup):
        place, new = root / step.file, backup / "new" / step.file
        if step.to is None:
            if new.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                new.replace(place)
        elif place.exists() and not (root / step.to).exists():
            place.rename(root / step.to)
    _sync(root)
    _mark(backup / "done")


def _steps(backup: Path) -> tuple[_Step, ...]:
    try:
        steps = msgspec.json.decode((backup / "journal.json").read_bytes(), type=_Journal).steps
    except msgspec.DecodeError as error:
        raise MMDoctorError(f"{backup / 'journal.json'} cannot be used: {error}") from None
    for step in steps:
        _refuse_outside(backup.parent.parent, step.file)
        _refuse_outside(backup.parent.parent, step.to or step.file)
    return steps


def _refuse_outside(root: Path, path: str) -> None:
    """A folder may come from a stranger, journal and links to folders and all."""
    if is_unsafe_path(path) or not (root / path).parent.resolve().is_relative_to(root.resolve()):
        raise MMDoctorError(f"{path} leads out of {root}")


def _mark(file: Path) -> None:
    file.touch()
    _sync(file)
    _sync(file.parent)


def _sync(path: Path) -> None:
    """Have the disk hold what was written; of a link, and where folders cannot be opened, nothing is to be done."""
    if path.is_symlink():
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
