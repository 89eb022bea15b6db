"""Hostile pickles, written opcode by opcode: each is small, and bad for an unpickler in its own way."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def touching(target: Path, protocol: int = 2) -> bytes:
    """Unpickled, it writes the file."""
    command = f"touch {target}".encode()
    if protocol < 2:
        return b"cos\nsystem\n(V" + command + b"\ntR."
    if protocol >= 4:
        return b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(command)]) + command + b"\x85R."
    return b"\x80\x02cos\nsystem\nX" + struct.pack("<I", len(command)) + command + b"\x85R."


def huge_put() -> bytes:
    """CPython would allocate 32 GiB for the memo."""
    return b"\x80\x02Nr\xff\xff\xff\xff."


def memo_cycle() -> bytes:
    """A list that holds itself, in a dictionary that holds itself."""
    return b"\x80\x02}q\x00U\x01a]q\x01h\x01asU\x01bh\x00s."


def doubling(levels: int = 60) -> bytes:
    """A tuple of the tuple before, twice, `levels` times: 2^60 when written out, with a tensor at the bottom."""
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00K\x04\x85K\x01\x85\x89NtR"
    return b"\x80\x02" + tensor + b"q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(levels)) + b"."


def deep(levels: int = 100_000) -> bytes:
    """Tuples within each other."""
    return b"\x80\x02)" + b"\x85" * levels + b"."


def endless() -> bytes:
    """Five million lists, all remembered, and no STOP."""
    return b"\x80\x02" + b"]\x94" * 5_000_000


def marks() -> bytes:
    """Three million marks."""
    return b"\x80\x02" + b"(" * 3_000_000


def long_string() -> bytes:
    """A string of 2^62 bytes in a file of 20."""
    return b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x."


def many_digits() -> bytes:
    """An integer whose decimal digits take quadratic time."""
    return b"L" + b"9" * 1_000_000 + b"L\n."


def huge_frame() -> bytes:
    """A frame beyond the end."""
    return b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N."


def impossible_shape() -> bytes:
    """A tensor of 2^60 x 2^60 elements in a storage of four."""
    sizes = (b"\x8a\x08" + struct.pack("<Q", 1 << 60)) * 2 + b"\x86"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + b"K\x00" + sizes + sizes + b"\x89NtR."


def computed_name() -> bytes:
    """STACK_GLOBAL of names that calls return."""
    part = b"cbuiltins\nstr\nX\x02\x00\x00\x00os\x85R"
    return b"\x80\x04" + part + part + b"\x93."


def through_getattr() -> bytes:
    """getattr(getattr(...)) on the way to os.system."""
    return (
        b"\x80\x02cbuiltins\ngetattr\ncbuiltins\n__import__\nX\x02\x00\x00\x00os\x85RX\x06\x00\x00\x00system\x86R"
        b"X\x02\x00\x00\x00id\x85R."
    )


def nested(inner: bytes) -> bytes:
    """A pickle within a string, handed to pickle.loads by a harmless-looking name."""
    return b"\x80\x03ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(inner)) + inner + b"\x85R."


BOMBS: dict[str, Callable[[], bytes]] = {
    f.__name__: f
    for f in (
        huge_put,
        memo_cycle,
        doubling,
        deep,
        endless,
        marks,
        long_string,
        many_digits,
        huge_frame,
        impossible_shape,
    )
}


def archive(pickle: bytes, root: str = "archive", more: dict[str, bytes] | None = None) -> bytes:
    """A zip as torch.save writes it, with that data.pkl."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr(f"{root}/data.pkl", pickle)
        file.writestr(f"{root}/byteorder", "little")
        file.writestr(f"{root}/data/0", bytes(16))
        for name, content in (more or {}).items():
            file.writestr(f"{root}/{name}", content)
        file.writestr(f"{root}/version", "3\n")
    return data.getvalue()


def plain_state_dict() -> bytes:
    """The pickle of {"w": torch.zeros(4)}."""
    return (
        b"\x80\x02}q\x00X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n("
        + STORAGE
        + b"K\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRs."
    )
