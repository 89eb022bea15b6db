"""PyTorch files of every kind: told apart by their bytes, read without torch and without unpickling."""

import os
from pathlib import Path

from mmdoctor.facts.checkpoint import WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import ByteRange, FileRange
from mmdoctor.readers.torch_legacy import TAR_NOTE, read_pickles
from mmdoctor.readers.torch_zip import read_zip

_TAR_MAGIC_AT, _TAR_MAGIC = 257, b"ustar"


def read_torch(path: Path, entry: FileEntry) -> WeightFile:
    """What a PyTorch file holds: tensors, groups of a training checkpoint, globals of its pickles, damage.

    Args:
        path: where the file lies.
        entry: the file as listed; its kind is a hint, the bytes decide.

    Raises:
        OSError: the file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        return read_range(FileRange(descriptor, 0, os.fstat(descriptor).st_size), entry)
    finally:
        os.close(descriptor)


def read_range(source: ByteRange, entry: FileEntry) -> WeightFile:
    """The same for bytes that are open already."""
    head = source.pread(0, 512)
    if head.startswith(b"PK"):
        return read_zip(source, entry)
    if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == _TAR_MAGIC:
        return WeightFile(path=entry.path, kind=FileKind.TAR, size=source.size, note=TAR_NOTE)
    return read_pickles(source, entry)
