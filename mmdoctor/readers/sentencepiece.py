"""The pieces of a SentencePiece model, read from its protobuf without the library.

`ModelProto` (sentencepiece_model.proto): field 1, repeated, is a `SentencePiece` of 1 piece (string), 2 score (float)
and 3 type (enum, NORMAL when absent). Every other field is passed over.
"""

import enum

import msgspec

MAX_PIECES = 1_000_000
"""Pieces of one model; the largest known vocabulary (XLM-V) has 901,629."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class PieceType(enum.IntEnum):
    """Kinds of pieces; the numbers are the file's."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """The vocabulary: the index of a piece is its id."""

    contents: tuple[str, ...]
    special: tuple[int, ...]
    """Indices of the control and user defined pieces, which the library matches before it splits the text."""
    control: frozenset[int]
    """Those of them that are control pieces, such as `<s>`."""


class NotSentencePieceError(Exception):
    """The bytes are not a SentencePiece model; the text says where they stop being one."""


def pieces(data: bytes) -> Pieces:
    """The pieces of a model in the order of their ids.

    Raises:
        NotSentencePieceError: the protobuf is broken, holds no pieces or more than `MAX_PIECES`.
    """
    contents: list[str] = []
    special: list[int] = []
    control: set[int] = set()
    position, size = 0, len(data)
    while position < size:
        field, kind, position = _tag(data, position)
        start, position = _field(data, position, kind)
        if field != 1 or kind != _BYTES:
            continue
        content, piece_type = _piece(data, start, position)
        if piece_type in (PieceType.CONTROL, PieceType.USER_DEFINED):
            special.append(len(contents))
            if piece_type == PieceType.CONTROL:
                control.add(len(contents))
        contents.append(content)
        if len(contents) > MAX_PIECES:
            raise NotSentencePieceError(f"it holds more than {MAX_PIECES:,} pieces")
    if not contents:
        raise NotSentencePieceError("it holds no pieces")
    return Pieces(contents=tuple(contents), special=tuple(special), control=frozenset(control))


def _piece(data: bytes, position: int, end: int) -> tuple[str, int]:
    content, piece_type = "", int(PieceType.NORMAL)
    while position < end:
        field, kind, position = _tag(data, position)
        start, after = _field(data, position, kind)
        if after > end:
            raise NotSentencePieceError(f"a field at byte {start} leads past its message")
        if field == 1 and kind == _BYTES:
            content = data[start:after].decode("utf-8", "replace")
        elif field == 3 and kind == _VARINT:
            piece_type, _ = _varint(data, start)
        position = after
    return content, piece_type


def _tag(data: bytes, position: int) -> tuple[int, int, int]:
    tag, after = _varint(data, position)
    if tag >> 3 == 0:
        raise NotSentencePieceError(f"field number 0 at byte {position}")
    return tag >> 3, tag & 7, after


def _field(data: bytes, position: int, kind: int) -> tuple[int, int]:
    """First byte of the field's content and the byte after it."""
    if kind == _VARINT:
        start, (_, end) = position, _varint(data, position)
    elif kind == _BYTES:
        length, start = _varint(data, position)
        end = start + length
    elif kind in (_FIXED32, _FIXED64):
        start, end = position, position + (4 if kind == _FIXED32 else 8)
    else:
        raise NotSentencePieceError(f"wire type {kind} at byte {position}")
    if end > len(data):
        raise NotSentencePieceError(f"the field at byte {position} ends {end - len(data):,} bytes past the file")
    return start, end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    for at in range(position, min(position + 10, len(data))):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7
    raise NotSentencePieceError(f"an unfinished number at byte {position}")
