"""Safetensors files as numpy arrays, written by hand so that they can be written wrongly. No torch."""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Header = dict[str, Any]

STORED: dict[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
    "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1",
}  # fmt: skip
"""The dtypes of a header and how numpy holds them; BF16 and the eight-bit floats as raw bits."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a safetensors file."""

    dtype: str
    """As the header names it."""

    array: NDArray[Any]
    """The stored numbers, in `STORED[dtype]`."""

    @classmethod
    def of(cls, values: ArrayLike, dtype: str = "F32") -> "Tensor":
        """`values` rounded to `dtype`."""
        if dtype != "BF16":
            with np.errstate(over="ignore", invalid="ignore"):
                return cls(dtype, np.ascontiguousarray(np.asarray(values).astype(STORED[dtype])))
        floats = np.ascontiguousarray(np.asarray(values, "<f4"))
        bits = floats.view("<u4").astype("<u8")
        rounded = bits + 0x7FFF + ((bits >> 16) & 1)  # to nearest, ties to even
        return cls(dtype, (np.where(np.isfinite(floats), rounded, bits) >> 16).astype("<u2"))

    def floats(self) -> NDArray[np.float32]:
        """The values; eight-bit floats are not decoded.

        Raises:
            TypeError: The dtype is an eight-bit float.
        """
        if self.dtype.startswith("F8"):
            raise TypeError(f"{self.dtype} is kept as raw bits")
        if self.dtype == "BF16":
            return (self.array.astype("<u4") << 16).view("<f4")
        return self.array.astype("<f4")

    def like(self, values: ArrayLike) -> "Tensor":
        """`values` in this tensor's dtype."""
        return Tensor.of(values, self.dtype)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """Tensors in file order, and `__metadata__`."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header: Header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", None)
    body = memoryview(data)[8 + size :]
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = np.frombuffer(body[begin:end], STORED[entry["dtype"]]).reshape(entry["shape"]).copy()
        tensors[name] = Tensor(entry["dtype"], array)
    return tensors, metadata


def write(
    path: Path,
    tensors: dict[str, Tensor],
    metadata: dict[str, str] | None = None,
    edit: Callable[[Header], Header | None] | None = None,
) -> None:
    """A file with `tensors`; `edit` may change the header or return another one, the data stays as it was."""
    header: Header = {} if metadata is None else {"__metadata__": metadata}
    chunks, offset = [], 0
    for name, tensor in tensors.items():
        raw = tensor.array.tobytes()
        end = offset + len(raw)
        header[name] = {"dtype": tensor.dtype, "shape": list(tensor.array.shape), "data_offsets": [offset, end]}
        chunks.append(raw)
        offset = end
    path.write_bytes(b"".join([encode(header, edit), *chunks]))


def encode(header: Header, edit: Callable[[Header], Header | None] | None = None) -> bytes:
    """Length and JSON of a header, padded to eight bytes as the library does."""
    changed = edit(header) if edit else None
    text = json.dumps(header if changed is None else changed, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
