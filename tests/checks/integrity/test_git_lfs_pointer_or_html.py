import pytest

from mmdoctor.facts.checkpoint import Checkpoint, Tensor, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.git_lfs_pointer_or_html import git_lfs_pointer_or_html
from tests.checks.integrity.made import source

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 4976698672\n"
LOADED = Checkpoint(
    files=(WeightFile(path="model.safetensors", kind=FileKind.SAFETENSORS, size=9),),
    tensors={"a": Tensor(name="a", dtype="F32", shape=(1,), file="model.safetensors", nbytes=4)},
)


def entry(path: str, kind: FileKind, head: bytes = b"", size: int | None = None) -> FileEntry:
    return FileEntry(path=path, kind=kind, head=head, size=len(head) if size is None else size)


def pointer(path: str) -> FileEntry:
    return entry(path, FileKind.LFS_POINTER, POINTER)


def test_fires_once_for_all_pointers_with_their_sizes() -> None:
    files = source(pointer("a.safetensors"), pointer("tokenizer.json"), pointer("tokenizer.model"))
    (problem,) = fires(git_lfs_pointer_or_html, files, None)

    assert "3 files hold a Git LFS pointer" in problem.message
    assert "14,930,096,016 bytes" in problem.message
    assert [e.expected for e in problem.because] == ["4,976,698,672 bytes"] * 3


@pytest.mark.parametrize(
    ("file", "what"),
    [
        (entry("model.safetensors", FileKind.HTML, b"<!DOCTYPE html>"), "HTML"),
        (entry("config.json", FileKind.HTML, b"<?xml version='1.0'?><Error/>"), "XML"),
        (entry("pytorch_model.bin", FileKind.JSON, b'{"error":"Repository not found"}'), "error message"),
        (entry("config.json", FileKind.JSON, b'{"error":"Repository not found"}'), "error message"),
        (entry("tokenizer.json", FileKind.TEXT, b"Entry not found"), "error message"),
        (entry("model.pt", FileKind.TEXT, b"hello"), "text instead of weights"),
        (entry("model.safetensors", FileKind.EMPTY), "0 bytes"),
        (entry("tokenizer.model", FileKind.EMPTY), "0 bytes"),
        (entry("model.pth", FileKind.UNKNOWN, bytes(512), 9999), "zeros in its first 512 bytes"),
        (entry("tokenizer.json", FileKind.UNKNOWN, bytes(512), 9999), "zeros"),
        (entry("pytorch_model.bin", FileKind.UNKNOWN, b"\xfe\xff?", 9999), "no PyTorch file"),
        (entry("model.safetensors", FileKind.COMPRESSED, b"\x1f\x8b", 9999), "compressed"),
    ],
)
def test_fires_on(file: FileEntry, what: str) -> None:
    (problem,) = fires(git_lfs_pointer_or_html, source(file), None)

    assert what in problem.message
    assert problem.severity is None


@pytest.mark.parametrize(
    "file",
    [
        entry("adapter_model.safetensors", FileKind.SAFETENSORS, b"\x08\0\0\0\0\0\0\0{}", 16),
        entry("pytorch_model.bin", FileKind.TORCH_LEGACY, b"\x80\x02", 900),
        entry("pytorch_model.bin", FileKind.TAR, b"storages", 900),
        entry("model.bin", FileKind.CTRANSLATE2, b"\x06\0\0\0", 900),
        entry("model.bin", FileKind.HDF5, b"\x89HDF", 900),
        entry("openvino_model.bin", FileKind.UNKNOWN, b"\x01\xff", 900),
        entry("openvino_model.bin", FileKind.UNKNOWN, bytes(512), 900),
        entry("model.safetensors", FileKind.UNKNOWN, bytes(512), 9999),
        entry("vocab.txt", FileKind.HTML, b"<title>\n</s>", 900),
        entry("added_tokens.json", FileKind.JSON, b"{}", 2),
        entry("config.json", FileKind.JSON, b'{"model_type": "error"}'),
        entry("README.md", FileKind.LFS_POINTER, POINTER),
        entry("image.png", FileKind.LFS_POINTER, POINTER),
        entry("page.html", FileKind.HTML, b"<html>"),
        entry("merges.txt", FileKind.EMPTY),
        entry("notes.txt", FileKind.TEXT, b"Entry not found"),
    ],
)
def test_silent_on(file: FileEntry) -> None:
    silent(git_lfs_pointer_or_html, source(file), None)


@pytest.mark.parametrize("path", ["pytorch_model.bin", "onnx/model.safetensors", "training_args.bin", "tf_model.h5"])
def test_what_nothing_needs_is_a_note(path: str) -> None:
    (problem,) = fires(git_lfs_pointer_or_html, source(pointer(path)), LOADED)

    assert problem.severity is Severity.NOTE


def test_a_shard_that_loads_is_no_note() -> None:
    (problem,) = fires(git_lfs_pointer_or_html, source(pointer("model.safetensors")), LOADED)

    assert problem.severity is None
