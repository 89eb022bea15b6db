"""Formats that are named, not read: what they are and what to do with them. Shapes where a header gives them away."""

import ast
import re
import struct
from pathlib import Path

from mmdoctor.facts.checkpoint import Tensor, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import ByteStream, EndOfBytes, FileRange
from mmdoctor.readers.regular import open_regular

NOTES: dict[FileKind, str] = {
    FileKind.ONNX: "ONNX is recognised, its weights are not read: check it with `onnx.checker`, "
    "or check the PyTorch or safetensors model that it was exported from",
    FileKind.TFLITE: "TFLite is recognised, its weights are not read: check the model that it was converted from",
    FileKind.HDF5: "HDF5 is recognised (Keras or TensorFlow weights), its weights are not read: "
    "load it with Keras, or convert it to safetensors",
    FileKind.KERAS: "a Keras archive is recognised, its weights are not read: load it with `keras.saving.load_model`",
    FileKind.NUMPY: "a NumPy array is no model by itself",
    FileKind.NUMPY_ARCHIVE: "a NumPy archive is recognised, its arrays are not read: convert it to safetensors",
    FileKind.CTRANSLATE2: "CTranslate2 is recognised and its variables are listed; PyTorch and transformers "
    "cannot load it, whatever its name says: serve it with ctranslate2 or faster-whisper",
    FileKind.GGML: "GGML is the format before GGUF: llama.cpp no longer loads it, whisper.cpp does; convert it to GGUF",
    FileKind.TORCH_EXPORT: "a torch.export archive is recognised, its weights are not read: "
    "load it with `torch.export.load`",
    FileKind.TORCH_PACKAGE: "a torch.package archive is recognised, its weights are not read: it carries Python code, "
    "and `torch.package.PackageImporter` runs it",
}
"""What each format means for the user."""

_NUMPY_TYPES = dict(
    zip(
        ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "b1", "u8", "u4", "u2", "u1", "c8", "c16"),
        ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "BOOL", "U64", "U32", "U16", "U8", "C64", "C128"),
        strict=True,
    )
)

_CT2_TYPES = ("F32", "I8", "I16", "I32", "F16", "BF16")
"""OpenNMT/CTranslate2, include/ctranslate2/types.h, enum DataType."""
_CT2_BYTES = (4, 1, 2, 4, 2, 2)
_CT2_MAX_VARIABLES = 100_000
_CT2_MAX_RANK = 16


def read_recognised(path: Path, entry: FileEntry) -> WeightFile:
    """The file with a note, and with its tensors where that costs a look at a header only.

    Raises:
        OSError: the file can no longer be opened.
    """
    tensors: tuple[Tensor, ...] = ()
    if entry.kind in (FileKind.CTRANSLATE2, FileKind.NUMPY):
        with open_regular(path) as content:
            read = _ctranslate2 if entry.kind is FileKind.CTRANSLATE2 else _numpy
            tensors = read(content, entry.path)
    note = NOTES.get(entry.kind, f"{entry.kind} is recognised, its weights are not read")
    return WeightFile(path=entry.path, kind=entry.kind, size=entry.size, tensors=tensors, note=note)


def _numpy(content: FileRange, file: str) -> tuple[Tensor, ...]:
    """numpy/lib/format.py: magic, version, length of a Python literal, the literal."""
    head = content.pread(0, 12)
    wide = head[6:7] != b"\x01"
    start = 12 if wide else 10
    if len(head) < start:
        return ()
    (length,) = struct.unpack_from("<I" if wide else "<H", head, 8)
    if length > 65_536:
        return ()
    text = content.pread(start, length).decode("latin-1")
    match = re.search(r"'descr': '[<>|=]?(\w\d+)'", text)
    shape = re.search(r"'shape': (\([\d, ]*\))", text)
    if match is None or shape is None or match[1] not in _NUMPY_TYPES:
        return ()
    try:
        sizes = ast.literal_eval(shape[1])
    except (ValueError, SyntaxError, MemoryError):
        return ()
    tensor = Tensor(
        name="",
        dtype=_NUMPY_TYPES[match[1]],
        shape=tuple(sizes),
        file=file,
        nbytes=max(0, content.size - start - length),
        start=start + length,
        contiguous="'fortran_order': True" not in text,
    )
    return (tensor,)


def _ctranslate2(content: FileRange, file: str) -> tuple[Tensor, ...]:
    """OpenNMT/CTranslate2, python/ctranslate2/specs/model_spec.py, ModelSpec._serialize (version 6)."""
    stream = ByteStream(content)
    tensors: list[Tensor] = []
    try:
        version = _unpack(stream, "<I")
        stream.skip(_unpack(stream, "<H"))
        if version >= 2:
            stream.skip(4)  # revision of the specification
        count = _unpack(stream, "<I")
        for _ in range(min(count, _CT2_MAX_VARIABLES)):
            name = stream.take(_unpack(stream, "<H")).rstrip(b"\0").decode("utf-8", "replace")
            rank = _unpack(stream, "<B")
            if rank > _CT2_MAX_RANK:
                break
            shape = struct.unpack(f"<{rank}I", stream.take(4 * rank))
            kind = _unpack(stream, "<B") if version >= 4 else _CT2_BYTES.index(_unpack(stream, "<B"))
            nbytes = _unpack(stream, "<I")
            if version < 4:
                nbytes *= _CT2_BYTES[kind]
            if kind >= len(_CT2_TYPES):
                break
            tensors.append(
                Tensor(name=name, dtype=_CT2_TYPES[kind], shape=shape, file=file, nbytes=nbytes, start=stream.position)
            )
            stream.skip(nbytes)
    except (EndOfBytes, ValueError):
        return tuple(tensors)
    return tuple(tensors)


def _unpack(stream: ByteStream, letters: str) -> int:
    value: int = struct.unpack(letters, stream.take(struct.calcsize(letters)))[0]
    return value
