"""Which of the many formats that are zip archives a zip archive is, by the names of its members."""

import re
import struct
from collections.abc import Callable

from mmdoctor.facts.source import FileKind

_END = b"PK\x05\x06"
_END_BYTES = 22
_MAX_COMMENT = 65_535
_LOCATOR64_BYTES = 20
_MEMBER = b"PK\x01\x02"
_MEMBER_BYTES = 46

MAX_DIRECTORY = 256 * 1024
"""Bytes of the central directory that are looked at: about 3,000 members; the tell-tale names come first."""


def archive_kind(head: bytes, size: int, read: Callable[[int, int], bytes]) -> FileKind:
    """The kind of a zip archive; of one without a central directory (cut off), told by its first member."""
    names = _names(size, read)
    if not names:
        first = re.match(rb"PK\x03\x04.{22}(..)..(.*)", head, re.DOTALL)
        if first is None:
            return FileKind.ZIP
        names = [first[2][: int.from_bytes(first[1], "little")].decode("utf-8", "replace")]
    return _kind(names)


def _kind(names: list[str]) -> FileKind:
    inner = {name.partition("/")[2] for name in names}
    plain = set(names)
    if any(name.endswith(".data/extern_modules") for name in names):  # torch/package/package_exporter.py
        return FileKind.TORCH_PACKAGE
    # torch/export/pt2_archive/constants.py: archive_format and models/*.json; before torch 2.7 the second name.
    if inner & {"archive_format", "serialized_exported_program.json"} or plain & {"archive_format"}:
        return FileKind.TORCH_EXPORT
    if plain & {"serialized_exported_program.json"} or any(re.match(r"([^/]+/)?models/.+\.json$", n) for n in names):
        return FileKind.TORCH_EXPORT
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return FileKind.TORCHSCRIPT
    if "data.pkl" in inner:
        return FileKind.TORCH_ZIP
    if "constants.pkl" in inner:
        return FileKind.TORCHSCRIPT
    if plain & {"model.weights.h5"} and plain & {"config.json", "metadata.json"}:
        return FileKind.KERAS
    files = [name for name in names if not name.endswith("/")]
    if files and all(name.endswith(".npy") for name in files):
        return FileKind.NUMPY_ARCHIVE
    return FileKind.ZIP


def _names(size: int, read: Callable[[int, int], bytes]) -> list[str]:
    """Names in the central directory as far as they can be read; none where there is no directory."""
    tail_start = max(0, size - _END_BYTES - _MAX_COMMENT - _LOCATOR64_BYTES)
    tail = read(max(0, size - 4096), 4096)
    at = tail.rfind(_END)
    if at < 0:
        tail = read(tail_start, size - tail_start)
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        return []
    length, offset = struct.unpack_from("<II", tail, at + 12)
    locator = tail[at - _LOCATOR64_BYTES : at] if at >= _LOCATOR64_BYTES else b""
    if locator.startswith(b"PK\x06\x07"):
        (end64,) = struct.unpack_from("<Q", locator, 8)
        record = read(end64, 56) if end64 < size else b""
        if len(record) == 56 and record.startswith(b"PK\x06\x06"):
            length, offset = struct.unpack_from("<QQ", record, 40)
    if offset >= size:
        return []
    directory = read(offset, min(length, MAX_DIRECTORY))
    names = []
    position = 0
    while directory.startswith(_MEMBER, position) and position + _MEMBER_BYTES <= len(directory):
        name, extra, comment = struct.unpack_from("<HHH", directory, position + 28)
        start = position + _MEMBER_BYTES
        names.append(directory[start : start + name].decode("utf-8", "replace"))
        position = start + name + extra + comment
    return names
