import io
import json
import pickle  # noqa: TID251 - makes the pickles that are recognised, reads none
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch

from mmdoctor.facts.source import FileKind
from mmdoctor.readers.sniff import sniff


def kind(content: bytes) -> FileKind:
    return sniff(content[:512], len(content), lambda offset, count: content[offset : offset + count])


def saved(thing: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer, **options)
    return buffer.getvalue()


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return buffer.getvalue()


def scripted() -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    return buffer.getvalue()


def exported(tmp_path: Path) -> bytes:
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), tmp_path / "model.pt2")
    return (tmp_path / "model.pt2").read_bytes()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("storages")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))
    return buffer.getvalue()


HEADER = json.dumps({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
SAFE = struct.pack("<Q", len(HEADER)) + HEADER + b"\0"
STATE = OrderedDict(weight=torch.zeros(300))
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", FileKind.EMPTY),
        (SAFE, FileKind.SAFETENSORS),
        (SAFE[:40], FileKind.SAFETENSORS),
        (bytes(8) + SAFE[8:], FileKind.SAFETENSORS),
        (struct.pack("<Q", 2**63) + SAFE[8:], FileKind.SAFETENSORS),
        (struct.pack("<Q", 8) + b"{}      ", FileKind.SAFETENSORS),
        (bytes(100), FileKind.UNKNOWN),
        (b"\x07\x80\x99random\xff\xfe" * 20, FileKind.UNKNOWN),
        (saved(STATE), FileKind.TORCH_ZIP),
        (saved(STATE)[:-700], FileKind.TORCH_ZIP),
        (saved(STATE, _use_new_zipfile_serialization=False), FileKind.TORCH_LEGACY),
        (saved(STATE, _use_new_zipfile_serialization=False, pickle_protocol=4), FileKind.TORCH_LEGACY),
        (scripted(), FileKind.TORCHSCRIPT),
        (zipped(**{"m__data.pkl": b"", "m__.data__extern_modules": b""}), FileKind.TORCH_PACKAGE),
        (zipped(**{"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b""}), FileKind.KERAS),
        (zipped(**{"readme.txt": b""}), FileKind.ZIP),
        (tarred(), FileKind.TAR),
        *((pickle.dumps({"a": [1, 2]}, protocol=n), FileKind.PICKLE) for n in range(6)),
        *((pickle.dumps(Path("x"), protocol=n), FileKind.PICKLE) for n in (0, 2, 4)),
        (b"GGUF" + bytes(20), FileKind.GGUF),
        (b"lmgg" + bytes(20), FileKind.GGML),
        (bytes(4) + b"TFL3" + bytes(20), FileKind.TFLITE),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), FileKind.HDF5),
        (b"\x1f\x8b\x08" + bytes(20), FileKind.COMPRESSED),
        (struct.pack("<IH", 6, 12) + b"WhisperSpec\0" + bytes(20), FileKind.CTRANSLATE2),
        (b"\x0a\x0e\x0a\x05<unk>\x15\x00\x00\x00\x00\x18\x02\x0a\x05\x0a\x03abc", FileKind.SENTENCEPIECE),
        (b"\x08\x08\x12\x07pytorch\x1a\x032.6:" + b"\x82\x01" + bytes(90), FileKind.ONNX),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n", FileKind.LFS_POINTER),
        (PAGE, FileKind.HTML),
        (b"\xef\xbb\xbf" + PAGE, FileKind.HTML),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", FileKind.HTML),
        (b'{"error":"Repository not found"}', FileKind.JSON),
        (b'[\n      {"a": 1}, {"b": 2}]' + b" " * 300, FileKind.JSON),
        (b'\xef\xbb\xbf{"a": 1}', FileKind.JSON),
        ("#version: 0.2\nĠ t\n".encode(), FileKind.TEXT),
        (("é" * 300).encode(), FileKind.TEXT),
        (b"Entry not found", FileKind.TEXT),
        (b"clear\nthe\ntable", FileKind.TEXT),
    ],
)  # fmt: skip
def test_kind_by_content(content: bytes, expected: FileKind) -> None:
    assert kind(content) is expected


def test_exported_program(tmp_path: Path) -> None:
    assert kind(exported(tmp_path)) is FileKind.TORCH_EXPORT


def test_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    np.savez(tmp_path / "a.npz", x=np.zeros(3))

    assert kind((tmp_path / "a.npy").read_bytes()) is FileKind.NUMPY
    assert kind((tmp_path / "a.npz").read_bytes()) is FileKind.NUMPY_ARCHIVE


def test_gguf_of_the_library(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()

    assert kind((tmp_path / "m.gguf").read_bytes()) is FileKind.GGUF
