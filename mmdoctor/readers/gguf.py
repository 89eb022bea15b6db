"""The header of a GGUF file: key-value pairs, tensors, and everything that can be wrong with them.

The format is ggml's docs/gguf.md; what llama.cpp refuses (ggml/src/gguf.cpp, gguf_init_from_file_impl) is damage here.
Arrays (tokens, merges, scores) are passed over, only their lengths are kept.
"""

import struct
from pathlib import Path

from mmdoctor.facts.checkpoint import Damage, DamageKind, WeightFile
from mmdoctor.facts.gguf import GgufMetadata, Value
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import ByteStream, EndOfBytes
from mmdoctor.readers.gguf_layout import TensorRecord, layout
from mmdoctor.readers.regular import open_regular

MAX_PAIRS = 20_000
"""Key-value pairs; real files have 20 to 60."""
MAX_TENSORS = 50_000
"""Tensors; real files have up to a few thousand, experts are one tensor."""
MAX_ARRAY_STRINGS = 4_000_000
"""Strings in all arrays together; the largest vocabularies have 262,144 tokens and 514,906 merges."""
MAX_NAME_BYTES = 512
"""Bytes of a key or a tensor's name; llama.cpp allows tensors 64 (GGML_MAX_NAME)."""
MAX_DIMENSIONS = 4
"""ggml/include/ggml.h, GGML_MAX_DIMS."""
STRING_SHOWN = 300
"""Bytes kept of a string value."""

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Type number to struct's letter; gguf-py/gguf/constants.py, GGUFValueType."""
_STRING, _ARRAY = 8, 9
_DEFAULT_ALIGNMENT = 32
"""gguf-py/gguf/constants.py, GGUF_DEFAULT_ALIGNMENT."""


class _Invalid(Exception):  # noqa: N818 - carries the damage that ends the reading
    def __init__(self, kind: DamageKind, message: str, offset: int) -> None:
        super().__init__(message)
        self.damage = Damage(kind=kind, message=message, offset=offset)


def read_gguf(path: Path, entry: FileEntry) -> WeightFile:
    """Metadata, tensors and damage of one file; its data is never read.

    Raises:
        OSError: the file can no longer be opened.
    """
    with open_regular(path) as content:
        reader = _Reader(ByteStream(content, 4), content.size)
        try:
            reader.read()
        except EndOfBytes:
            what = f"while {reader.doing}"
            message = f"the file has {content.size:,} bytes and ends inside its header, {what}"
            reader.damage.append(
                Damage(kind=DamageKind.TRUNCATED, message=message, observed=content.size, offset=content.size)
            )
        except _Invalid as invalid:
            reader.damage.append(invalid.damage)
        tensors, damage = layout(
            reader.records,
            entry.path,
            reader.stream.position,
            reader.alignment,
            content.size,
            complete=not reader.damage,
        )
    return WeightFile(
        path=entry.path,
        kind=FileKind.GGUF,
        size=content.size,
        tensors=tensors,
        metadata={k: str(v) for k, v in reader.values.items()},
        gguf=GgufMetadata(
            version=reader.version,
            big_endian=reader.order == ">",
            alignment=reader.alignment,
            values=reader.values,
            lengths=reader.lengths,
        ),
        damage=(*reader.damage, *damage),
    )


def _cut_or_wrong(length: int) -> DamageKind:
    """A length that some file could have tells of a file that was cut off, any other of a broken header."""
    return DamageKind.TRUNCATED if length < 2**36 else DamageKind.HEADER_INVALID


class _Reader:
    def __init__(self, stream: ByteStream, size: int) -> None:
        self.stream = stream
        self.size = size
        self.order = "<"
        self.version = 0
        self.alignment = _DEFAULT_ALIGNMENT
        self.doing = "giving its version"
        self.values: dict[str, Value] = {}
        self.lengths: dict[str, int] = {}
        self.records: list[TensorRecord] = []
        self.damage: list[Damage] = []
        self._strings = 0

    def read(self) -> None:
        """Everything up to the first byte of data.

        Raises:
            EndOfBytes: the file ends before.
            _Invalid: the header makes no sense from there on.
        """
        raw = self.stream.take(4)
        self.version = int.from_bytes(raw, "little")
        if self.version & 0xFFFF == 0 and self.version:  # gguf-py's test for the other byte order
            self.order = ">"
            self.version = int.from_bytes(raw, "big")
        if self.version not in (2, 3):
            message = f"GGUF version {self.version}: llama.cpp and mmdoctor read versions 2 and 3"
            raise _Invalid(DamageKind.UNSUPPORTED_VERSION, message, 4)
        tensors, pairs = struct.unpack(f"{self.order}QQ", self.stream.take(16))
        # A pair takes at least 8 + 4 + 1 bytes, a tensor 8 + 4 + 4 + 8.
        self._bounded("key-value pairs", pairs, MAX_PAIRS, 13)
        self._bounded("tensors", tensors, MAX_TENSORS, 24)
        for i in range(pairs):
            self.doing = f"reading key-value pair {i + 1} of {pairs}"
            self._pair()
        self._align()
        for i in range(tensors):
            self.doing = f"listing tensor {i + 1:,} of {tensors:,}"
            self.records.append(self._tensor())

    def _bounded(self, what: str, count: int, limit: int, least: int) -> None:
        if count > limit:
            message = f"the header announces {count:,} {what}, mmdoctor reads up to {limit:,}"
            raise _Invalid(DamageKind.HEADER_TOO_LARGE, message, 8)
        if count * least > self.size:
            message = f"the file has {self.size:,} bytes, too few for the {count:,} {what} that its header announces"
            raise _Invalid(DamageKind.TRUNCATED, message, self.size)

    def _pair(self) -> None:
        at = self.stream.position
        key = self._name("key")
        if key in self.values or key in self.lengths:
            self.damage.append(Damage(kind=DamageKind.HEADER_INVALID, message=f"the key {key} stands twice", offset=at))
        kind = self._number("I")
        if kind == _STRING:
            self.values[key] = self._string(key)
        elif kind == _ARRAY:
            self.lengths[key] = self._array(key)
        else:
            self.values[key] = self._scalar(kind, key)

    def _scalar(self, kind: int, key: str) -> Value:
        letter = _SCALARS.get(kind)
        if letter is None:
            message = f"the key {key} has the unknown value type {kind}"
            raise _Invalid(DamageKind.HEADER_INVALID, message, self.stream.position - 4)
        value: Value = struct.unpack(self.order + letter, self.stream.take(struct.calcsize(letter)))[0]
        return value

    def _number(self, letter: str) -> int:
        value: int = struct.unpack(self.order + letter, self.stream.take(struct.calcsize(letter)))[0]
        return value

    def _length(self, what: str) -> int:
        at = self.stream.position
        length = self._number("Q")
        if length > self.size - self.stream.position:
            left = self.size - self.stream.position
            message = f"{what} is {length:,} bytes long, the file has {left:,} left"
            raise _Invalid(_cut_or_wrong(length), message, at)
        return length

    def _name(self, what: str) -> str:
        at = self.stream.position
        length = self._length(f"a {what}")
        if length > MAX_NAME_BYTES:
            message = f"a {what} is {length:,} bytes long, mmdoctor reads up to {MAX_NAME_BYTES:,}"
            raise _Invalid(DamageKind.HEADER_INVALID, message, at)
        return self.stream.take(length).decode("utf-8", "replace")

    def _string(self, key: str) -> str:
        length = self._length(f"the value of {key}")
        shown = self.stream.take(min(length, STRING_SHOWN)).decode("utf-8", "replace")
        if length > STRING_SHOWN:
            self.stream.skip(length - STRING_SHOWN)
            self.lengths[key] = length
            shown += "..."
        return shown

    def _array(self, key: str) -> int:
        kind = self._number("I")
        at = self.stream.position
        count = self._number("Q")
        if kind == _STRING:
            self._strings += count
            if self._strings > MAX_ARRAY_STRINGS:
                message = (
                    f"the arrays have {self._strings:,} strings and more, mmdoctor reads up to {MAX_ARRAY_STRINGS:,}"
                )
                raise _Invalid(DamageKind.HEADER_TOO_LARGE, message, at)
            self._skip_strings(key, count)
            return count
        letter = _SCALARS.get(kind)
        if letter is None:
            message = f"the array {key} has elements of the unknown type {kind}"
            raise _Invalid(DamageKind.HEADER_INVALID, message, at - 4)
        if count * struct.calcsize(letter) > self.size:
            message = f"the array {key} has {count:,} elements, a file of {self.size:,} bytes cannot hold them"
            raise _Invalid(_cut_or_wrong(count), message, at)
        self.stream.skip(count * struct.calcsize(letter))
        return count

    def _skip_strings(self, key: str, count: int) -> None:
        """Pass over strings: the only loop whose length a vocabulary decides, so it works on the window itself."""
        stream = self.stream
        unpack = struct.Struct(self.order + "Q").unpack_from
        while count:
            window, index, end = stream.window, stream.index, len(stream.window) - 8
            while count and index <= end:
                (length,) = unpack(window, index)
                index += 8 + length
                count -= 1
            stream.index = index
            if index > len(window):
                at = stream.position
                if at > self.size:
                    message = f"a string of the array {key} ends at {at:,}, the file at {self.size:,}"
                    raise _Invalid(_cut_or_wrong(at), message, self.size)
                stream.seek(at)
            if count:
                stream.refill()
                if len(stream.window) < 8:
                    raise EndOfBytes

    def _align(self) -> None:
        value = self.values.get("general.alignment")
        if value is None:
            return
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**31 or value & (value - 1):
            message = f"general.alignment is {str(value)[:40]}, not a power of two"
            raise _Invalid(DamageKind.HEADER_INVALID, message, self.stream.position)
        self.alignment = value

    def _tensor(self) -> TensorRecord:
        name = self._name("tensor name")
        at = self.stream.position
        dimensions = self._number("I")
        if dimensions > MAX_DIMENSIONS:
            message = f"tensor {name} has {dimensions:,} dimensions, ggml allows {MAX_DIMENSIONS}"
            raise _Invalid(DamageKind.HEADER_INVALID, message, at)
        shape = struct.unpack(f"{self.order}{dimensions}Q", self.stream.take(8 * dimensions))
        kind, offset = struct.unpack(f"{self.order}IQ", self.stream.take(12))
        return TensorRecord(name, tuple(reversed(shape)), kind, offset)
