"""The bytes of a listed file, up to a limit: the one place where small files of an artefact are opened."""

from mmdoctor.engine import Unavailable
from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.readers.regular import open_regular

NOT_CONTENT = frozenset({FileKind.LFS_POINTER, FileKind.HTML})
"""Kinds that stand in for the real file; INT001 reports them."""


def usable(entry: FileEntry | None) -> bool:
    """Whether the file can be opened and is not a stand-in for the real one."""
    return entry is not None and entry.problem is None and entry.kind not in NOT_CONTENT


def read(source: Source, entry: FileEntry, limit: int) -> bytes:
    """All bytes of a file.

    Raises:
        Unavailable: it cannot be read, or has more than `limit` bytes.
    """
    if entry.problem is not None:
        raise Unavailable(f"{entry.path} cannot be opened: {entry.problem}")
    if entry.size > limit:
        raise Unavailable(f"{entry.path} has {entry.size:,} bytes, more than the {limit:,} that are read")
    try:
        with open_regular(source.absolute(entry.path)) as file:
            data = file.pread(0, limit + 1)
    except OSError as error:
        raise Unavailable(f"{entry.path} cannot be read: {error.strerror or 'it is not a regular file'}") from None
    if len(data) > limit:
        raise Unavailable(f"{entry.path} grew past {limit:,} bytes while it was read")
    return data
