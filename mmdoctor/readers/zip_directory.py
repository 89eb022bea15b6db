"""The central directory of a zip archive, bounded and tolerant, as torch's miniz reads it and not as zipfile does.

Layout: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central), 4.3.14-4.3.16 (ends).
"""

import struct
from collections.abc import Mapping

import msgspec

from mmdoctor.facts.checkpoint import Damage, DamageKind
from mmdoctor.readers.byte_range import ByteRange

MAX_MEMBERS = 200_000
"""Members read. torch writes one for each storage: 50,000 in a shard of a mixture of experts."""
MAX_DIRECTORY = 64 << 20
"""Bytes of the central directory read: 200,000 members with names of 200 bytes take 50 MB."""
MAX_NAME_SHOWN = 80
"""Characters of a member's name in a message."""
MAX_DAMAGE = 100
"""Entries of the directory that are complained about."""
LOCAL_HEADER = 30
CENTRAL_HEADER = 46
MAX_COMMENT = 0xFFFF
"""Longest archive comment, so the end record begins at most this far before the last 22 bytes."""

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
CENTRAL, LOCAL, DESCRIPTOR = b"PK\x01\x02", b"PK\x03\x04", b"PK\x07\x08"

STORED, DEFLATED = 0, 8
ENCRYPTED_FLAG = 0x1


class ZipMember(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the central directory."""

    name: str
    method: int
    """Compression: 0 stored, 8 deflated."""
    flags: int
    crc: int
    packed: int
    """Bytes in the archive."""
    size: int
    """Bytes when unpacked."""
    header: int
    """Offset of the local header."""

    @property
    def stored(self) -> bool:
        """Whether the bytes lie in the archive as they are."""
        return self.method == STORED and self.packed == self.size

    @property
    def encrypted(self) -> bool:
        """Whether the directory says so; neither torch nor this reader decrypts."""
        return bool(self.flags & ENCRYPTED_FLAG)


class ZipDirectory(msgspec.Struct, frozen=True, kw_only=True):
    """What the central directory lists."""

    members: Mapping[str, ZipMember]
    """By name; of a repeated name the last one, as Python reads it."""
    damage: tuple[Damage, ...] = ()
    start: int = 0
    """Offset of the directory, where the members end."""

    @property
    def root(self) -> str:
        """The folder of the first member, with its slash, which is where torch looks for everything."""
        first = next(iter(self.members), "").partition("/")
        return first[0] + first[1] if first[1] else ""


class _End(msgspec.Struct, frozen=True):
    """The end record: number of members, size and offset of the directory."""

    count: int
    size: int
    offset: int


def read_directory(source: ByteRange) -> ZipDirectory | None:
    """The directory, None where there is no end record: the archive was cut off, or is none."""
    end = _end_record(source)
    if end is None:
        return None
    damage: list[Damage] = []
    if end.offset + end.size > source.size:
        text = f"the directory should end at byte {end.offset + end.size:,}, the file has {source.size:,} bytes"
        damage.append(
            Damage(kind=DamageKind.TRUNCATED, message=text, observed=source.size, expected=end.offset + end.size)
        )
    if end.count > MAX_MEMBERS or end.size > MAX_DIRECTORY:
        text = f"the archive lists {end.count:,} members in {end.size:,} bytes; {MAX_MEMBERS:,} are read"
        damage.append(Damage(kind=DamageKind.HEADER_TOO_LARGE, message=text, observed=end.count, expected=MAX_MEMBERS))
    data = source.pread(end.offset, min(end.size, MAX_DIRECTORY))
    members: dict[str, ZipMember] = {}
    position = 0
    for _ in range(min(end.count, MAX_MEMBERS)):
        entry = _entry(data, position)
        if entry is None:
            text = f"entry {len(members) + 1:,} of {end.count:,} of the directory is not readable"
            damage.append(Damage(kind=DamageKind.HEADER_INVALID, message=text, offset=end.offset + position))
            break
        member, position = entry
        if len(damage) < MAX_DAMAGE:
            damage.extend(_entry_damage(member, members, source.size))
        members[member.name] = member
    return ZipDirectory(members=members, damage=tuple(damage), start=end.offset)


def _end_record(source: ByteRange) -> _End | None:
    tail_at = max(0, source.size - MAX_COMMENT - 22)
    tail = source.pread(tail_at, source.size - tail_at)
    at = tail.rfind(_END)
    while at >= 0:
        if at + 22 <= len(tail):
            count, size, offset = struct.unpack_from("<HII", tail, at + 10)
            if count == 0xFFFF or size == 0xFFFFFFFF or offset == 0xFFFFFFFF:
                return _end64(source, tail_at + at) or _End(count, size, offset)
            if offset + size <= tail_at + at or offset + size > source.size:
                return _End(count, size, offset)
        at = tail.rfind(_END, 0, at)
    return None


def _end64(source: ByteRange, end: int) -> _End | None:
    locator = source.pread(end - 20, 20)
    if len(locator) != 20 or not locator.startswith(_LOCATOR64):
        return None
    record = source.pread(struct.unpack_from("<Q", locator, 8)[0], 56)
    if len(record) != 56 or not record.startswith(_END64):
        return None
    return _End(*struct.unpack_from("<QQQ", record, 32))


def _entry(data: bytes, at: int) -> tuple[ZipMember, int] | None:
    if data[at : at + 4] != CENTRAL or at + CENTRAL_HEADER > len(data):
        return None
    flags, method, _, crc, packed, size, name_size, extra_size, comment_size = struct.unpack_from(
        "<HHIIIIHHH", data, at + 8
    )
    header = struct.unpack_from("<I", data, at + 42)[0]
    name_end = at + CENTRAL_HEADER + name_size
    after = name_end + extra_size + comment_size
    if after > len(data):
        return None
    wide = _wide_fields(data[name_end : name_end + extra_size])
    # the zip64 field has those that do not fit, in this order
    values = [wide.pop(0) if value == 0xFFFFFFFF and wide else value for value in (size, packed, header)]
    member = ZipMember(
        name=data[at + CENTRAL_HEADER : name_end].decode("utf-8", "backslashreplace"),
        method=method,
        flags=flags,
        crc=crc,
        packed=values[1],
        size=values[0],
        header=values[2],
    )
    return member, after


def _wide_fields(extra: bytes) -> list[int]:
    """The 64-bit numbers of the zip64 extra field (header id 1)."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + size]
            return list(struct.unpack_from(f"<{len(field) // 8}Q", field))
        at += 4 + size
    return []


def _entry_damage(member: ZipMember, earlier: Mapping[str, ZipMember], size: int) -> list[Damage]:
    found = []
    shown = member.name[:MAX_NAME_SHOWN]
    if member.name in earlier:
        text = f"the archive lists {shown!r} twice"
        found.append(Damage(kind=DamageKind.DUPLICATE_NAME, message=text, observed=shown, offset=member.header))
    if is_unsafe(member.name):
        text = f"the member {shown!r} would be unpacked outside the folder"
        found.append(Damage(kind=DamageKind.MEMBER_NAME, message=text, observed=shown, offset=member.header))
    if member.encrypted or member.method not in (STORED, DEFLATED):
        how = "encrypted" if member.encrypted else f"packed with method {member.method}"
        text = f"the member {shown!r} is {how}, which torch does not read"
        found.append(Damage(kind=DamageKind.MEMBER_UNREADABLE, message=text, observed=shown, offset=member.header))
    if member.header + LOCAL_HEADER + member.packed > size:
        text = (
            f"the member {shown!r} of {member.packed:,} bytes at byte {member.header:,} lies past the end of the file"
        )
        found.append(Damage(kind=DamageKind.TRUNCATED, message=text, observed=size, offset=member.header))
    return found


def is_unsafe(name: str) -> bool:
    """Whether a member's name leads out of the folder it is unpacked in, or cannot be a file name."""
    parts = name.replace("\\", "/").split("/")
    return name.startswith(("/", "\\")) or ".." in parts or "\0" in name or (len(name) > 1 and name[1] == ":")
