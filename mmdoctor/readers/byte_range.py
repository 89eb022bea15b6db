"""Bytes that readers look at through small windows: a part of an open file, or a string of bytes in memory."""

import os
from typing import Protocol

WINDOW = 1 << 18
"""Bytes read at once: large enough that a system call is cheap, small enough that a thousand windows are too."""


class ByteRange(Protocol):
    """Something with a size that can be read at an offset."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def pread(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at the offset; fewer at the end, none outside."""
        ...


class FileRange:
    """A part of a file that is open already.

    Args:
        descriptor: file descriptor; stays open.
        start: absolute offset of the first byte.
        size: bytes.
    """

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self.size = size

    def pread(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at the offset; fewer at the end, none outside."""
        count = min(count, self.size - offset)
        if offset < 0 or count <= 0:
            return b""
        return os.pread(self._descriptor, count, self._start + offset)


class MemoryRange:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at the offset; fewer at the end, none outside."""
        return self._data[offset : offset + count] if offset >= 0 else b""


class SubRange:
    """A part of another range."""

    def __init__(self, whole: ByteRange, start: int, size: int) -> None:
        self._whole = whole
        self._start = start
        self.size = max(0, min(size, whole.size - start))

    def pread(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at the offset; fewer at the end, none outside."""
        count = min(count, self.size - offset)
        return self._whole.pread(self._start + offset, count) if offset >= 0 and count > 0 else b""


class EndOfBytes(Exception):  # noqa: N818 - says where the bytes end, the caller decides what that means
    """A stream ended before what was asked for."""


class ByteStream:
    """Reads a range from front to back through a window; what is skipped is never read.

    Args:
        source: the bytes.
        position: offset to start from.
    """

    def __init__(self, source: ByteRange, position: int = 0) -> None:
        self.source = source
        self.window = b""
        self.index = 0
        """Offset of the next byte within the window."""
        self._base = position

    @property
    def position(self) -> int:
        """Offset of the next byte within the range."""
        return self._base + self.index

    def refill(self) -> None:
        """Move the window to the next byte.

        Raises:
            EndOfBytes: there is none.
        """
        self._base += self.index
        self.index = 0
        self.window = self.source.pread(self._base, WINDOW)
        if not self.window:
            raise EndOfBytes

    def take(self, count: int) -> bytes:
        """The next `count` bytes; the caller has bounded the count.

        Raises:
            EndOfBytes: there are fewer.
        """
        end = self.index + count
        if end <= len(self.window):
            data = self.window[self.index : end]
            self.index = end
            return data
        if self.position + count > self.source.size:
            raise EndOfBytes
        data = self.source.pread(self.position, count)
        if len(data) != count:
            raise EndOfBytes
        self.seek(self.position + count)
        return data

    def skip(self, count: int) -> None:
        """Pass over bytes without reading them.

        Raises:
            EndOfBytes: there are fewer.
        """
        if self.position + count > self.source.size:
            raise EndOfBytes
        self.seek(self.position + count)

    def seek(self, position: int) -> None:
        """Continue at an offset within the range."""
        if 0 <= position - self._base <= len(self.window):
            self.index = position - self._base
        else:
            self._base, self.index, self.window = position, 0, b""

    def line(self, limit: int) -> bytes | None:
        """The bytes up to the next line feed, which is passed over; None where the line is longer than the limit.

        Raises:
            EndOfBytes: there is no line feed.
        """
        end = self.window.find(b"\n", self.index)
        if end >= 0:
            data = self.window[self.index : end]
            self.index = end + 1
            return data if len(data) <= limit else None
        data = self.source.pread(self.position, limit + 1)
        end = data.find(b"\n")
        if end < 0:
            if len(data) <= limit:
                raise EndOfBytes
            return None
        self.seek(self.position + end + 1)
        return data[:end]
