"""What a file is by its bytes. The suffix is never looked at: suffixes lie."""

import re
import struct
from collections.abc import Callable

from mmdoctor.facts.source import FileKind
from mmdoctor.readers.sniff_archive import archive_kind

Read = Callable[[int, int], bytes]
"""`read(offset, count)`: at most that many bytes, fewer at the end of the file."""

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (b"GGUF", FileKind.GGUF),
    # llama.cpp before August 2023 and whisper.cpp to this day: the magic numbers of ggml.h as little-endian words.
    (b"lmgg", FileKind.GGML),  # ggml
    (b"fmgg", FileKind.GGML),  # ggmf
    (b"tjgg", FileKind.GGML),  # ggjt
    (b"algg", FileKind.GGML),  # ggla, an adapter
    (b"\x89HDF\r\n\x1a\n", FileKind.HDF5),
    (b"\x93NUMPY", FileKind.NUMPY),
    (b"\x1f\x8b", FileKind.COMPRESSED),  # gzip
    (b"\x28\xb5\x2f\xfd", FileKind.COMPRESSED),  # Zstandard
    (b"\xfd7zXZ\x00", FileKind.COMPRESSED),
    (b"BZh", FileKind.COMPRESSED),
    (b"\x04\x22\x4d\x18", FileKind.COMPRESSED),  # LZ4
    (b"7z\xbc\xaf\x27\x1c", FileKind.COMPRESSED),
    (b"Rar!\x1a\x07", FileKind.COMPRESSED),
    (b"version https://git-lfs.github.com/spec/", FileKind.LFS_POINTER),
    (b"version https://hawser.github.com/spec/", FileKind.LFS_POINTER),  # its name before 2015
)

_LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
"""torch/serialization.py, MAGIC_NUMBER: the first pickle of a legacy file is this number."""

_OLD_PICKLE = re.compile(
    rb"\(dp\d+\n|\(lp\d+\n|c[A-Za-z_][\w.]*\n[A-Za-z_][\w.]*\n|[\]})]q[\x00-\xff][(.K\x88\x89NXUcGJM]"
)
"""How pickles of protocols 0 and 1 begin: a memoised container, or a global."""

_MARKUP = re.compile(rb"<(!doctype|html|head|body|\?xml|error|!--|svg|script|title|h1|p>|div)", re.IGNORECASE)

MAX_HEADER_SHOWN = 100_000_000
"""safetensors/src/tensor.rs, MAX_HEADER_SIZE."""


def sniff(head: bytes, size: int, read: Read) -> FileKind:
    """The kind of a file.

    Args:
        head: its first bytes; 512 are enough for every format.
        size: bytes of the whole file.
        read: reads elsewhere in the file; used for archives only.
    """
    if size == 0:
        return FileKind.EMPTY
    if _is_safetensors(head, size):
        return FileKind.SAFETENSORS
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return archive_kind(head, size, read)
    if head[4:8] == b"TFL3":  # flatbuffer file identifier, tensorflow/lite/schema/schema.fbs
        return FileKind.TFLITE
    if head[257:262] == b"ustar":
        return FileKind.TAR
    if pickled := _pickle(head, size, read):
        return pickled
    if _is_ctranslate2(head):
        return FileKind.CTRANSLATE2
    if _is_sentencepiece(head, size):
        return FileKind.SENTENCEPIECE
    if _is_onnx(head, size):
        return FileKind.ONNX
    return _text(head, size)


def _is_safetensors(head: bytes, size: int) -> bool:
    """A header that is there, or `{"` behind a length that cannot be right: a damaged one is still safetensors."""
    if len(head) < 9:
        return False
    (length,) = struct.unpack_from("<Q", head)
    start = head[8:].lstrip(b" \n\r\t")
    if length + 8 <= size and start[:1] == b"{":
        return True
    printable = all(32 <= byte < 127 or byte in b"\n\r\t" for byte in head[:8])
    if printable:
        return False
    if start.startswith((b'{"', b"{}")):
        return True
    # Cut off within the first bytes: only the length, with a plausible value, and an opening brace are left.
    return size < 16 and start[:1] == b"{" and 2 <= length <= MAX_HEADER_SHOWN


def _pickle(head: bytes, size: int, read: Read) -> FileKind | None:
    if head[:1] == b"\x80" and len(head) > 2 and 2 <= head[1] <= 5:
        if _LEGACY_MAGIC in head[:32]:
            return FileKind.TORCH_LEGACY
        # The opcodes that a pickle can begin with: FRAME, containers, numbers, strings, globals, None, booleans.
        return FileKind.PICKLE if head[2] in b"\x95}](\x8a\x8b)KMJGXU\x8cTBC\x8ecN\x88\x89\x8fV\x96" else None
    if _OLD_PICKLE.match(head) and read(size - 1, 1) == b".":
        return FileKind.PICKLE
    return None


def _is_ctranslate2(head: bytes) -> bool:
    """CTranslate2's model.bin: u32 version, u16 length, name of the model's specification with a NUL behind it.

    OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py, ModelSpec._serialize.
    """
    if len(head) < 8:
        return False
    version, length = struct.unpack_from("<IH", head)
    name = head[6 : 6 + length]
    return 1 <= version <= 64 and 4 <= length <= 64 and re.fullmatch(rb"[A-Z][A-Za-z0-9]+\x00", name) is not None


def _is_sentencepiece(head: bytes, size: int) -> bool:
    """A ModelProto: field 1, a piece, whose own field 1 is its text, then its score (a float) and the next piece."""
    if len(head) < 8 or head[0] != 0x0A or head[1] >= 0x80 or head[2] != 0x0A:
        return False
    length, text = head[1], head[3]
    end = 2 + length
    if text + 2 > length or end > size:
        return False
    rest = head[4 + text : end]
    following = head[end : end + 1]
    return (rest[:1] in (b"", b"\x15", b"\x18")) and following in (b"\x0a", b"\x12", b"")


_ONNX_FIELDS = {2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2}
"""Fields of ModelProto and their wire types (onnx/onnx.proto)."""


def _is_onnx(head: bytes, size: int) -> bool:
    """A ModelProto: field 1, ir_version, then fields of that message up to its graph or its operator sets."""
    if len(head) < 4 or head[0] != 0x08 or not 1 <= head[1] < 64:
        return False
    position, fields = 2, 0
    while position < len(head) - 10:
        tag, position = _varint(head, position)
        field, wire = tag >> 3, tag & 7
        if _ONNX_FIELDS.get(field) != wire:
            return False
        value, position = _varint(head, position)
        fields += 1
        if wire == 2:
            if position + value > size:
                return field == 7 and fields > 1  # a graph that is cut off
            if field in (7, 8):
                return True
            position += value
    return fields > 0


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80 or shift > 63:
            break
    return value, position


def _text(head: bytes, size: int) -> FileKind:
    stripped = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _MARKUP.match(stripped):
        return FileKind.HTML
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if len(head) >= size or error.start < len(head) - 3:  # the window may cut the last character
            return FileKind.UNKNOWN
        text = head[: error.start].decode("utf-8")
    if any(ord(c) < 32 and c not in "\t\n\r\f\x1b" for c in text):
        return FileKind.UNKNOWN
    if re.match(rb'\{\s*("|\}|$)|\[\s*(["{\[\]0-9-]|$)', stripped):
        return FileKind.JSON
    return FileKind.TEXT
