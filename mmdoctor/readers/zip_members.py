"""Members of a zip archive: where their bytes lie, whether the two headers agree, and their bytes, bounded."""

import struct
import zlib
from collections.abc import Mapping

import msgspec

from mmdoctor.facts.checkpoint import Damage, DamageKind
from mmdoctor.readers.byte_range import ByteRange, MemoryRange, SubRange
from mmdoctor.readers.zip_directory import (
    DEFLATED,
    DESCRIPTOR,
    LOCAL,
    LOCAL_HEADER,
    MAX_DAMAGE,
    MAX_NAME_SHOWN,
    ZipDirectory,
    ZipMember,
)

MAX_INFLATED = 64 << 20
"""Bytes that a compressed member may unpack to when it is read as a whole; torch compresses only code."""
MAX_GAP = 1 << 16
"""Bytes between two members that are searched for a member that the directory does not list."""
MAX_GAPS = 1000
"""Gaps that are searched; torch leaves none."""
DESCRIPTOR_FLAG = 0x8
"""A data descriptor follows the bytes: signature, CRC, sizes; 16 bytes, 24 with zip64 (miniz writes it so)."""


class LocalHeader(msgspec.Struct, frozen=True):
    """The header that stands directly before a member's bytes."""

    name: str
    method: int
    flags: int
    packed: int
    """Bytes in the archive; 0 where a descriptor behind the bytes has the number."""
    data: int
    """Offset of the first byte."""


def local_header(source: ByteRange, offset: int) -> LocalHeader | None:
    """The local header at an offset, None where there is none."""
    head = source.pread(offset, LOCAL_HEADER + 256)
    if len(head) < LOCAL_HEADER or not head.startswith(LOCAL):
        return None
    flags, method = struct.unpack_from("<HH", head, 6)
    packed = struct.unpack_from("<I", head, 18)[0]
    name_size, extra_size = struct.unpack_from("<HH", head, 26)
    name = head[LOCAL_HEADER : LOCAL_HEADER + name_size]
    if len(name) < name_size:
        name = source.pread(offset + LOCAL_HEADER, name_size)
    text = name.decode("utf-8", "backslashreplace")
    return LocalHeader(text, method, flags, packed, offset + LOCAL_HEADER + name_size + extra_size)


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Where the members' bytes lie."""

    data: Mapping[str, int]
    """Member name to the offset of its first byte; members without a local header are left out."""
    hidden: tuple[LocalHeader, ...] = ()
    """Members in the archive that the directory does not list."""
    damage: tuple[Damage, ...] = ()


def lay_out(source: ByteRange, directory: ZipDirectory) -> Layout:
    """Read every local header once and compare it with the directory."""
    data: dict[str, int] = {}
    damage: list[Damage] = []
    hidden: list[LocalHeader] = []
    end, before, gaps = 0, "", MAX_GAPS
    for member in sorted(directory.members.values(), key=lambda m: m.header):
        if member.header < end and len(damage) < MAX_DAMAGE:
            text = f"the members {before[:MAX_NAME_SHOWN]!r} and {member.name[:MAX_NAME_SHOWN]!r} share bytes"
            damage.append(Damage(kind=DamageKind.OVERLAP, message=text, observed=member.header, expected=end))
        elif member.header > end:
            gaps -= member.header - end > LOCAL_HEADER
            hidden.extend(_hidden(source, end, member.header) if gaps > 0 and len(hidden) < MAX_DAMAGE else ())
        header = local_header(source, member.header)
        if header is None:
            if len(damage) < MAX_DAMAGE and member.header < source.size:
                text = f"there is no header at byte {member.header:,}, where {member.name[:MAX_NAME_SHOWN]!r} should be"
                damage.append(Damage(kind=DamageKind.MEMBER_MISSING, message=text, offset=member.header))
            continue
        if len(damage) < MAX_DAMAGE:
            damage.extend(_disagreement(member, header))
        data[member.name] = header.data
        end, before = max(end, header.data + member.packed), member.name
    if directory.start > end:
        hidden.extend(_hidden(source, end, directory.start))
    for found in hidden[:MAX_DAMAGE]:
        text = (
            f"the archive holds {found.name[:MAX_NAME_SHOWN]!r} at byte {found.data:,}, its directory does not list it"
        )
        damage.append(Damage(kind=DamageKind.MEMBER_HIDDEN, message=text, observed=found.name, offset=found.data))
    return Layout(data=data, hidden=tuple(hidden[:MAX_DAMAGE]), damage=tuple(damage))


def _hidden(source: ByteRange, start: int, end: int) -> list[LocalHeader]:
    """Members between the end of one and the beginning of the next, where only a descriptor of 24 bytes should be."""
    if end - start <= LOCAL_HEADER:
        return []
    gap = source.pread(start, min(end - start, MAX_GAP))
    found: list[LocalHeader] = []
    at = gap.find(LOCAL)
    while at >= 0 and len(found) < MAX_DAMAGE:
        header = local_header(source, start + at)
        if header is not None and header.data <= end:
            found.append(header)
        at = gap.find(LOCAL, at + 4)
    return found


def _disagreement(member: ZipMember, header: LocalHeader) -> list[Damage]:
    what = []
    if header.name != member.name:
        what.append(f"name {header.name[:MAX_NAME_SHOWN]!r}")
    if header.method != member.method:
        what.append(f"compression {header.method} against {member.method}")
    if (header.flags ^ member.flags) & ~DESCRIPTOR_FLAG:
        what.append(f"flags {header.flags:#x} against {member.flags:#x}")
    if not what:
        return []
    text = f"the local header of {member.name[:MAX_NAME_SHOWN]!r} says otherwise than the directory: {', '.join(what)}"
    return [
        Damage(
            kind=DamageKind.MEMBER_HEADER,
            message=text,
            observed=header.name,
            expected=member.name,
            offset=member.header,
        )
    ]


def open_member(source: ByteRange, member: ZipMember, data: int, limit: int = MAX_INFLATED) -> tuple[ByteRange, bool]:
    """A member's bytes, and whether that is all of them: unpacking stops at the limit or where the stream is broken."""
    if member.method != DEFLATED:
        return SubRange(source, data, member.packed), True
    packed = SubRange(source, data, member.packed)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    parts: list[bytes] = []
    size = at = 0
    try:
        while at < packed.size and size <= limit and not inflater.eof:
            chunk = packed.pread(at, min(1 << 16, limit + 512))
            at += len(chunk)
            while chunk and size <= limit:
                part = inflater.decompress(chunk, min(1 << 20, limit + 1))
                chunk = inflater.unconsumed_tail
                parts.append(part)
                size += len(part)
    except zlib.error:
        return MemoryRange(b"".join(parts)), False
    return MemoryRange(b"".join(parts)[:limit]), inflater.eof and size <= limit


def descriptor_end(source: ByteRange, data: int, limit: int = MAX_GAP) -> int | None:
    """Bytes of a small member whose size only the descriptor behind it has, found by the descriptor's signature."""
    near = source.pread(data, limit + 16)
    at = near.find(DESCRIPTOR)
    while at >= 0:
        if len(near) >= at + 16 and struct.unpack_from("<I", near, at + 8)[0] == at:
            return at
        at = near.find(DESCRIPTOR, at + 1)
    return None
