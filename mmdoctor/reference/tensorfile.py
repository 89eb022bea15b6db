"""Tensors to and from safetensors files, as torch tensors, without the safetensors package.

The format: https://github.com/huggingface/safetensors#format. This reads mmdoctor's own bundled files;
a user's are read by `mmdoctor.readers`.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmdoctor.errors import MMDoctorError

_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_ALIGNMENT = 8


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of contiguous CPU tensors, in the order of their names."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    body = bytearray()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return struct.pack("<Q", len(text)) + text + bytes(body)


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The file's tensors, by name.

    Raises:
        MMDoctorError: the file is missing or is not a whole safetensors file.
    """
    try:
        data = bytearray(file.read_bytes())
        (length,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + length])
        header.pop("__metadata__", None)
        body = memoryview(data)[8 + length :]
        return {name: _tensor(body, **entry) for name, entry in header.items()}
    except OSError as error:
        raise MMDoctorError(f"{file} cannot be read: {error.strerror}; install mmdoctor again") from None
    except (struct.error, ValueError, TypeError, KeyError, AttributeError) as error:
        raise MMDoctorError(f"{file} is not a whole safetensors file ({error}); install mmdoctor again") from None


def _tensor(body: memoryview, *, dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    start, end = data_offsets
    if end > len(body):
        raise ValueError(f"a tensor ends at byte {end}, the file's data at {len(body)}")
    return torch.frombuffer(body[start:end], dtype=_DTYPES[dtype]).reshape(shape)
