"""Hostile zip archives, made from healthy ones by changing bytes."""

import struct
import zlib
from collections.abc import Callable

from tests.hostile.pickles import archive, plain_state_dict


def _central(data: bytes, member: bytes) -> int:
    """Offset of the directory's entry of a member."""
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        if data[at + 46 :].startswith(member):
            return at
        at = data.find(b"PK\x01\x02", at + 4)
    raise ValueError(member)


def patched(data: bytes, at: int, value: bytes) -> bytes:
    """The data with other bytes at an offset."""
    return data[:at] + value + data[at + len(value) :]


def healthy() -> bytes:
    """{"w": torch.zeros(4)}"""
    return archive(plain_state_dict())


def encrypted_in_directory() -> bytes:
    """The encryption flag of data.pkl, in the directory only."""
    data = healthy()
    return patched(data, _central(data, b"archive/data.pkl") + 8, b"\x01\x00")


def encrypted_in_local_header() -> bytes:
    """The encryption flag of data.pkl, in the local header only: zipfile refuses it, torch reads it."""
    return patched(healthy(), 6, b"\x01\x00")


def other_local_name() -> bytes:
    """The local header of data.pkl says data.txt."""
    return patched(healthy(), 30, b"archive/data.txt")


def offset_outside() -> bytes:
    """data/0 begins far past the end."""
    data = healthy()
    return patched(data, _central(data, b"archive/data/0") + 42, struct.pack("<I", 1 << 30))


def overlapping() -> bytes:
    """data/0 begins where data.pkl does."""
    data = healthy()
    return patched(data, _central(data, b"archive/data/0") + 42, struct.pack("<I", 0))


def giant_sizes() -> bytes:
    """data.pkl claims 4 GB."""
    data = healthy()
    return patched(data, _central(data, b"archive/data.pkl") + 20, struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0))


def many_members() -> bytes:
    """An end record that promises 65,534 members."""
    data = healthy()
    return patched(data, data.rfind(b"PK\x05\x06") + 8, struct.pack("<HH", 65534, 65534))


def traversal() -> bytes:
    """A member that would be unpacked outside."""
    return archive(plain_state_dict(), more={"../../../../tmp/evil": b"x", "C:evil": b"y"})


def bomb() -> bytes:
    """data.pkl is a gigabyte of zeros in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    mebibyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # depends on nothing before it
    packed = mebibyte * 1024 + packer.flush()
    name = b"archive/data.pkl"
    sizes = struct.pack("<III", 0, len(packed), 1 << 30)
    local = b"PK\x03\x04" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name
    central = b"PK\x01\x02" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes
    central += struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    at = len(local) + len(packed)
    return local + packed + central + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), at, 0)


def hidden_member(pickle: bytes) -> bytes:
    """A member between the last one and the directory, which the directory does not list."""
    data = healthy()
    start = data.find(b"PK\x01\x02")
    name = b"archive/extra.pkl"
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, 0, len(pickle), len(pickle), len(name), 0) + name
    end = data.rfind(b"PK\x05\x06")
    moved = struct.pack("<I", start + len(local) + len(pickle))
    return patched(data[:start] + local + pickle + data[start:], end + len(local) + len(pickle) + 16, moved)


def overlapping_thousands(count: int = 20_000) -> bytes:
    """A directory that lists the same megabyte of storage, deflated, under thousands of names."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(64 << 20)) + packer.flush()
    local = b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 0, 0, len(packed), 64 << 20, 1, 0) + b"x"
    entries = []
    for i in range(count):
        name = f"a/{i}.pkl".encode()
        head = struct.pack(
            "<HHHHHHIIIHHHHHII", 20, 20, 0, 8, 0, 0, 1, len(packed), 64 << 20, len(name), 0, 0, 0, 0, 0, 0
        )
        entries.append(b"PK\x01\x02" + head + name)
    directory = b"".join(entries)
    at = len(local) + len(packed)
    return (
        local + packed + directory + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), at, 0)
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    f.__name__: f
    for f in (
        *(encrypted_in_directory, encrypted_in_local_header, other_local_name, offset_outside, overlapping),
        *(giant_sizes, many_members, traversal, bomb, overlapping_thousands),
    )
}
