"""What was handed in: a file or a folder, listed to a bounded depth.

Which links are followed: a link to a file is the work of whoever made the folder, and loaders follow it, so it is read
wherever it leads as long as the target looks like what the link is named for: a weight file, the same suffix, or the
hash that a content store gives (`ln -s /data/model.safetensors`, Hugging Face's `blobs`). Any other link out of the
artefact (`config.json -> /etc/passwd`) is `FileProblem.OUTSIDE` and never opened, and links to folders are passed over.
Names that stand *inside* files (an index, an archive) never lead anywhere but to files of this listing.
"""

import errno
import itertools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from mmdoctor.errors import NothingToCheckError
from mmdoctor.facts.source import FileEntry, FileKind, FileProblem, Source
from mmdoctor.readers.names import BACKUPS, is_model_name, is_weight_name
from mmdoctor.readers.nothing import refuse_file, refuse_folder
from mmdoctor.readers.regular import NotRegularError, open_regular
from mmdoctor.readers.sniff import sniff

MAX_ENTRIES = 10_000
"""Files listed, those that are named like parts of a model first; the largest repositories have a few thousand."""
MAX_NAMES = 1_000_000
"""Names looked at in one folder."""
MAX_FOLDERS = 1_000
"""Folders opened."""
MAX_DEPTH = 4
"""Folders below the root: `.cache/huggingface/download/subfolder` is the deepest that matters."""
HEAD_BYTES = 512
"""Bytes kept of each file: a tar header, or a pointer or error page to quote."""

_NOT_OPENED = frozenset({BACKUPS, ".git", "__pycache__", ".ipynb_checkpoints", "node_modules"})
_HASH = re.compile(r"[0-9a-fA-F]{32,128}|[0-9A-Za-z]{32}-.*|(SHA256E?|MD5E?)-.*")
"""What content stores name their files: hex digests (Hugging Face, OCI, Bazel), Nix, git-annex."""


def open_source(path: Path | str) -> Source:
    """List the artefact at a path.

    Raises:
        NothingToCheckError: there is nothing there that mmdoctor can check; the message says what to do.
    """
    text = os.fspath(path)
    if not text.strip():
        raise NothingToCheckError("the path is empty: give a weight file or a model's folder")
    if "\0" in text:
        raise NothingToCheckError("the path has a NUL byte: give a weight file or a model's folder")
    given = Path(text).expanduser()
    try:
        mode = os.stat(given).st_mode  # noqa: PTH116 - the one call that says why it failed
    except OSError as error:
        raise NothingToCheckError(_why_not(given, error)) from None
    if stat.S_ISDIR(mode):
        return _folder(_resolve(given))
    if not stat.S_ISREG(mode):
        raise NothingToCheckError(f"{given} is {_special(mode)}: give a weight file or a model's folder")
    return _single(given)


def _single(given: Path) -> Source:
    root = Path(os.path.abspath(given)).parent  # noqa: PTH100 - resolve() would follow the file's own link into blobs
    entry = _entry(root, given.name, given.name)
    if _is_undecodable(given.name):
        raise NothingToCheckError(f"{given}: the file's name is not UTF-8, rename it first")
    if entry.problem is FileProblem.UNREADABLE:
        raise NothingToCheckError(f"{given} cannot be read: permission denied")
    refuse_file(entry, given)
    return Source(root=root, name=given.name, files=(entry,), single=given.name)


def _folder(root: Path) -> Source:
    snapshot = _snapshot(root)
    name = _shown_name(root)
    root = snapshot or root
    try:
        files, truncated = _list(root)
    except OSError as error:
        raise NothingToCheckError(_why_not(root, error)) from None
    source = Source(root=root, name=name, files=files, truncated=truncated)
    refuse_folder(source)
    return source


def _snapshot(root: Path) -> Path | None:
    """The only snapshot of a `models--owner--name` folder of Hugging Face's cache."""
    folder = root / "snapshots" if root.name.startswith("models--") else root
    if folder.name != "snapshots" or not folder.is_dir():
        return None
    try:
        revisions = sorted(p for p in folder.iterdir() if p.is_dir())
    except OSError:
        return None
    return revisions[0].resolve() if len(revisions) == 1 else None


def _shown_name(root: Path) -> str:
    """The folder's name; of a snapshot in the cache, the repository's."""
    for folder in (root, root.parent, root.parent.parent):
        if folder.name.startswith("models--"):
            return folder.name.removeprefix("models--").replace("--", "/")
    return root.name or str(root)


def _list(root: Path) -> tuple[tuple[FileEntry, ...], bool]:
    """Files by path, and whether a limit cut the list short. Breadth first: the top level is always complete first."""
    files: list[FileEntry] = []
    level = [""]
    opened = 0
    for depth in range(MAX_DEPTH + 1):
        below: list[str] = []
        for folder in level:
            opened += 1
            if opened > MAX_FOLDERS:
                return tuple(sorted(files, key=_path)), True
            for name, is_folder in _names(root / folder, strict=not folder):
                path = f"{folder}/{name}" if folder else name
                if is_folder:
                    if depth < MAX_DEPTH and name not in _NOT_OPENED:
                        below.append(path)
                    continue
                if len(files) >= MAX_ENTRIES:
                    return tuple(sorted(files, key=_path)), True
                files.append(_entry(root, path, name))
        level = below
    return tuple(sorted(files, key=_path)), False


def _path(entry: FileEntry) -> str:
    return entry.path


def _names(folder: Path, *, strict: bool) -> Iterator[tuple[str, bool]]:
    """Names in a folder in order, a model's own first, each with whether it is a folder; no links to folders."""
    ours: list[tuple[str, bool]] = []
    others: list[tuple[str, bool]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, MAX_NAMES):
                group = ours if is_model_name(entry.name) else others
                if len(group) > MAX_ENTRIES:
                    continue
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_folder or not (entry.is_symlink() and _leads_to_folder(entry)):
                    group.append((entry.name, is_folder))
    except OSError:
        if strict:
            raise
        return
    yield from sorted(ours)
    yield from sorted(others)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entry(root: Path, path: str, name: str) -> FileEntry:
    if _is_undecodable(name):
        shown = path.encode("utf-8", "replace").decode()
        return FileEntry(path=shown, kind=FileKind.UNKNOWN, size=0, problem=FileProblem.UNREADABLE)
    place = root / path
    try:
        link = os.readlink(place)  # noqa: PTH115 - Path.readlink would normalise what is written
    except OSError:
        link = None
    if link is not None and (problem := _refused(root, place)):
        return FileEntry(path=path, kind=FileKind.UNKNOWN, size=0, link=link, problem=problem)
    try:
        with open_regular(place) as content:
            head = content.pread(0, HEAD_BYTES)
            size = content.size
            kind = sniff(head, size, content.pread)
    except NotRegularError:
        return FileEntry(path=path, kind=FileKind.UNKNOWN, size=0, link=link, problem=FileProblem.SPECIAL)
    except OSError as error:
        return FileEntry(path=path, kind=FileKind.UNKNOWN, size=0, link=link, problem=_problem(error))
    return FileEntry(path=path, kind=kind, size=size, link=link, head=head)


def _is_undecodable(name: str) -> bool:
    return not name.isprintable() and any(0xD800 <= ord(c) < 0xE000 for c in name)


def _problem(error: OSError) -> FileProblem:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FileProblem.DANGLING
    if error.errno == errno.ELOOP:
        return FileProblem.LOOP
    if error.errno in (errno.ENXIO, errno.EWOULDBLOCK):
        return FileProblem.SPECIAL
    return FileProblem.UNREADABLE


def _refused(root: Path, place: Path) -> FileProblem | None:
    """Why a link is not opened; None where it is."""
    target = Path(os.path.realpath(place))
    if target.is_relative_to("/proc") or target.is_relative_to("/sys"):
        return FileProblem.SPECIAL
    home = Path(os.path.realpath(root))
    if target.is_relative_to(home) or target.parent == home.parent.parent / "blobs" or not target.exists():
        return None  # opening says what is wrong with a target that does not exist
    hashed = _HASH.fullmatch(target.name) is not None
    alike = is_weight_name(target.name) if is_weight_name(place.name) else target.suffix == place.suffix != ""
    return None if hashed or alike else FileProblem.OUTSIDE


def _resolve(given: Path) -> Path:
    return Path(os.path.realpath(given))


def _why_not(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return f"{path} is a link to {os.readlink(path)}, which does not exist"  # noqa: PTH115 - as it is written
        return f"{path} does not exist: give a weight file or a model's folder"
    if error.errno == errno.ELOOP:
        return f"{path} is a link that leads to itself"
    if error.errno == errno.EACCES:
        return f"{path} cannot be read: permission denied"
    return f"{path} cannot be opened: {error.strerror}"


def _special(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"
