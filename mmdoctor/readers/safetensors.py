"""The header of a safetensors file: which tensors, where, and everything that can be wrong with it.

The reference is huggingface/safetensors, safetensors/src/tensor.rs: eight bytes of length, JSON, data without gaps.
What it refuses is damage here, with numbers; a header of which a part makes sense still yields that part.
"""

import itertools
import json
import struct
from collections.abc import Callable
from pathlib import Path

import msgspec

from mmdoctor.facts.checkpoint import Damage, DamageKind, Tensor, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.regular import open_regular
from mmdoctor.readers.safetensors_layout import layout_damage
from mmdoctor.wording import counted

MAX_HEADER_BYTES = 100_000_000
"""safetensors/src/tensor.rs, MAX_HEADER_SIZE: the reference refuses more."""
MAX_TENSORS = 150_000
"""Tensors of one file, for bounded memory; the largest mixtures of experts have about 150,000 over all their shards."""
MAX_COLONS = 5 * MAX_TENSORS
"""Colons of a header, four a tensor: they bound the number of keys before anything is decoded."""
MAX_ENTRY_BYTES = 4096
"""JSON of one tensor's entry; it holds a dtype, a few dimensions and two offsets."""
MAX_DIMENSIONS = 64
"""torch's own limit on the number of dimensions."""
MAX_BYTES_FOR_DUPLICATES = 2**20
"""Headers with escapes in them are searched for names that stand twice up to this size: it needs the slow parser."""
METADATA_KEYS = 1000
"""Metadata pairs kept; real files have up to a few hundred (trainers of adapters write many)."""
METADATA_SHOWN = 300
"""Characters kept of a metadata value."""

_U64 = 2**64


class _Info(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


_INFO = msgspec.json.Decoder(_Info)
_ENTRIES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_METADATA = msgspec.json.Decoder(dict[str, str] | None)


class _Refused(Exception):  # noqa: N818 - carries the damage that ends the reading
    def __init__(self, damage: Damage) -> None:
        super().__init__(damage.message)
        self.damage = damage


def read_safetensors(path: Path, entry: FileEntry) -> WeightFile:
    """Tensors, metadata and damage of one file; its data is never read.

    Raises:
        OSError: the file can no longer be opened.
    """
    with open_regular(path) as content:
        size = content.size
        try:
            header, start = _header(content.pread, size)
            entries = _decode(header)
            metadata, damage = _metadata(entries, header)
        except _Refused as refused:
            return WeightFile(path=entry.path, kind=FileKind.SAFETENSORS, size=size, damage=(refused.damage,))
    duplicates = _duplicates(header, entries)
    tensors, invalid = _tensors(entries, entry.path, start)
    damage += invalid
    if duplicates:
        damage.append(
            Damage(
                kind=DamageKind.DUPLICATE_NAME,
                message=(
                    f"{counted(len(duplicates), 'tensor name')} more than once in the header (first: "
                    f"{_short(duplicates[0])})"
                ),
                observed=len(duplicates),
                expected=0,
                offset=8,
                tensors=duplicates,
            )
        )
    damage += layout_damage(tensors, start, size, complete=not invalid)
    return WeightFile(
        path=entry.path,
        kind=FileKind.SAFETENSORS,
        size=size,
        tensors=tuple(tensors),
        metadata=metadata,
        damage=tuple(damage),
    )


def _header(read: Callable[[int, int], bytes], size: int) -> tuple[bytes, int]:
    """The JSON text and the offset of the first byte of data."""
    if size < 8:
        raise _refuse(
            DamageKind.HEADER_TOO_SMALL, f"the file has {size} bytes, its header's length alone takes 8", size, 8
        )
    first = read(0, 8)
    if len(first) < 8:
        raise _refuse(DamageKind.HEADER_TOO_SMALL, "the file ended while it was read", len(first), 8)
    (length,) = struct.unpack("<Q", first)
    if length > MAX_HEADER_BYTES:
        raise _refuse(
            DamageKind.HEADER_TOO_LARGE,
            f"the first 8 bytes give the header {length:,} bytes, safetensors allows {MAX_HEADER_BYTES:,}",
            length,
            MAX_HEADER_BYTES,
        )
    if length + 8 > size:
        raise _refuse(
            DamageKind.TRUNCATED,
            f"the file has {size:,} bytes and ends inside its header, which takes {length + 8:,}",
            size,
            length + 8,
            size,
        )
    header = read(8, length)
    if len(header) < length:
        raise _refuse(DamageKind.TRUNCATED, "the file ended while it was read", 8 + len(header), 8 + length, size)
    if not header.lstrip(b" \n\r\t").startswith(b"{"):
        if not header:
            message = "the first 8 bytes give the header a length of 0"
        elif not any(header[:64]):
            message = f"the header of {length:,} bytes is zeros instead of JSON"
        else:
            message = f"the header of {length:,} bytes begins with {header[:16]!r} instead of an opening brace"
        raise _refuse(DamageKind.HEADER_NOT_JSON, message, repr(header[:16]), "{", 8)
    return header, 8 + length


def _decode(header: bytes) -> dict[str, msgspec.Raw]:
    colons = header.count(b":")
    if colons > MAX_COLONS:
        raise _too_many(colons // 4)
    try:
        if not header.isascii():
            header.decode("utf-8")
        entries = _ENTRIES.decode(header)
    except UnicodeDecodeError as error:
        offset = 8 + error.start
        message = f"the header is not UTF-8: byte 0x{header[error.start]:02x} at offset {offset:,}"
        raise _refuse(DamageKind.HEADER_NOT_JSON, message, None, None, offset) from None
    except RecursionError:
        raise _refuse(DamageKind.HEADER_NOT_JSON, "the header is nested without end", None, None, 8) from None
    except msgspec.DecodeError as error:
        reason = str(error).removeprefix("JSON is malformed: ")
        raise _refuse(DamageKind.HEADER_NOT_JSON, f"the header is not JSON: {reason}", None, None, 8) from None
    if len(entries) > MAX_TENSORS:
        raise _too_many(len(entries))
    return entries


def _metadata(entries: dict[str, msgspec.Raw], header: bytes) -> tuple[dict[str, str], list[Damage]]:
    raw = entries.pop("__metadata__", None)
    if raw is None:
        return {}, []
    try:
        pairs = _METADATA.decode(raw) or {}
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"__metadata__ is not a table of strings: {_short(str(error))}"
        return {}, [
            Damage(kind=DamageKind.HEADER_INVALID, message=message, offset=8 + max(0, header.find(b"__metadata__")))
        ]
    return {_short(k): _short(v) for k, v in itertools.islice(pairs.items(), METADATA_KEYS)}, []


def _tensors(entries: dict[str, msgspec.Raw], file: str, start: int) -> tuple[list[Tensor], list[Damage]]:
    """The tensors whose entries make sense, in the order of their data, and one damage for those that do not."""
    found: list[Tensor] = []
    bad: list[tuple[str, str]] = []
    for name, raw in entries.items():
        info = _info(raw)
        if isinstance(info, str):
            bad.append((name, info))
            continue
        begin, end = info.data_offsets
        found.append(
            Tensor(
                name=name, dtype=info.dtype, shape=tuple(info.shape), file=file, nbytes=end - begin, start=start + begin
            )
        )
    found.sort(key=lambda t: (t.start or 0, t.nbytes))
    if not bad:
        return found, []
    name, reason = bad[0]
    message = f"{len(bad)} of {len(entries)} entries of the header are invalid (first: {_short(name)}: {reason})"
    names = tuple(n for n, _ in bad)
    return found, [
        Damage(kind=DamageKind.HEADER_INVALID, message=message, observed=len(bad), expected=0, offset=8, tensors=names)
    ]


def _info(raw: msgspec.Raw) -> _Info | str:
    """An entry, or what is wrong with it."""
    text = bytes(raw)
    if len(text) > MAX_ENTRY_BYTES:
        return f"its entry takes {len(text):,} bytes"
    try:
        info = _INFO.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return _short(str(error))
    begin, end = info.data_offsets
    if not 0 <= begin <= end < _U64:
        return _short(f"data_offsets [{begin}, {end}] are not a range")
    if any(not 0 <= d < _U64 for d in info.shape) or len(info.shape) > MAX_DIMENSIONS:
        return _short(f"shape {info.shape[:8]} is not a list of sizes")
    if b"-0" in text and b"-0" not in info.dtype.encode():
        return "negative zero is not a size"
    return info


def _duplicates(header: bytes, entries: dict[str, msgspec.Raw]) -> tuple[str, ...]:
    """Names that stand twice. The reference takes the last one, so their tensors are lost without a word."""
    literal = header.count(b'"data_offsets"')
    if literal == len(entries) and (b"\\" not in header or len(header) > MAX_BYTES_FOR_DUPLICATES):
        return ()
    if literal != len(entries) and len(header) > 64 * MAX_BYTES_FOR_DUPLICATES:
        return ()
    twice: dict[str, None] = {}

    def pairs(items: list[tuple[str, object]]) -> frozenset[str]:
        seen: set[str] = set()
        for key, value in items:
            if key in seen and (isinstance(value, frozenset) and "data_offsets" in value):
                twice[key] = None
            seen.add(key)
        return frozenset(seen)

    try:
        json.loads(header, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return ()
    return tuple(twice)


def _too_many(count: int) -> _Refused:
    message = f"the header has about {count:,} entries, mmdoctor reads up to {MAX_TENSORS:,}"
    return _refuse(DamageKind.HEADER_TOO_LARGE, message, count, MAX_TENSORS, 8)


def _refuse(
    kind: DamageKind, message: str, observed: int | str | None, expected: int | str | None, offset: int = 0
) -> _Refused:
    return _Refused(Damage(kind=kind, message=message, observed=observed, expected=expected, offset=offset))


def _short(text: str) -> str:
    return text if len(text) <= METADATA_SHOWN else text[: METADATA_SHOWN - 3] + "..."
