"""Opening files that a stranger named: regular files only, and never one that makes the reader wait."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmdoctor.readers.byte_range import FileRange

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_CLOEXEC", 0)


class NotRegularError(OSError):
    """It is a pipe, a device, a socket or a folder."""


@contextmanager
def open_regular(path: Path) -> Iterator[FileRange]:
    """The bytes of a regular file; the descriptor is closed with the block.

    Raises:
        NotRegularError: the path leads to something else.
        OSError: it cannot be opened.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - asked before opening: opening a device can act on it
        raise NotRegularError(f"{path} is not a regular file")
    descriptor = os.open(path, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularError(f"{path} is not a regular file")
        yield FileRange(descriptor, 0, status.st_size)
    finally:
        os.close(descriptor)
