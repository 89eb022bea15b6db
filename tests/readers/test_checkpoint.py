import json
import struct
from pathlib import Path

import numpy as np
import pytest

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.source import FileKind
from mmdoctor.readers.checkpoint import checkpoint, complete_checkpoint
from mmdoctor.readers.index import shard_index
from mmdoctor.readers.source import open_source

INDEX = "model.safetensors.index.json"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 5\n"


def safe(*names: str) -> bytes:
    entries = {n: {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i, n in enumerate(names)}
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4 * len(names))


def gguf(*names: str) -> bytes:
    infos = b"".join(
        struct.pack("<Q", len(n)) + n.encode() + struct.pack("<IQIQ", 1, 8, 0, 32 * i) for i, n in enumerate(names)
    )
    head = b"GGUF" + struct.pack("<IQQ", 3, len(names), 0) + infos
    return head + bytes(-len(head) % 32 + 32 * len(names))


def index(**weights: str) -> bytes:
    return json.dumps({"metadata": {"total_size": 8.0}, "weight_map": weights}).encode()


def opened(root: Path, **files: bytes) -> Checkpoint:
    (root / "config.json").write_bytes(b"{}")
    for name, content in files.items():
        (root / name).write_bytes(content)
    return checkpoint(open_source(root))


def loaded(root: Path, **files: bytes) -> list[str]:
    return [f.path for f in opened(root, **files).files]


S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
BOTH = {S1: safe("a"), S2: safe("b"), INDEX: index(a=S1, b=S2)}


def test_shards_by_index(tmp_path: Path) -> None:
    found = opened(tmp_path, **BOTH, **{"consolidated.safetensors": safe("x"), "optimizer.pt": b"\x80\x02}."})

    assert [f.path for f in found.files] == [S1, S2]
    assert list(found.tensors) == ["a", "b"]
    assert found.ignored == ("consolidated.safetensors",)
    assert found.gaps == ()
    assert found.index is not None
    assert found.index.total_size is not None
    assert found.index.total_size.value == 8
    assert complete_checkpoint(found).checkpoint is found


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({**BOTH, "model.safetensors": safe("a", "b")}, ["model.safetensors"]),
        ({"model.safetensors": safe("a"), "adapter_model.safetensors": safe("x")}, ["model.safetensors"]),
        ({"adapter_model.safetensors": safe("x")}, ["adapter_model.safetensors"]),
        ({S1: safe("a"), S2: safe("b"), "consolidated.safetensors": safe(*"abcdefgh")}, [S1, S2]),
        ({"big.safetensors": safe(*"abcdefgh"), "small.safetensors": safe("a")}, ["big.safetensors"]),
        ({"model.fp16.safetensors": safe("a")}, ["model.fp16.safetensors"]),
        ({"m-Q4.gguf": gguf("a"), "m-F16.gguf": gguf("a", "b")}, ["m-F16.gguf"]),
        ({"m-Q4.gguf": gguf("a"), "mmproj-F16.gguf": gguf(*"vwxyz")}, ["m-Q4.gguf", "mmproj-F16.gguf"]),
        ({"mmproj-F16.gguf": gguf("v")}, ["mmproj-F16.gguf"]),
        ({"m-00001-of-00002.gguf": gguf("a"), "m-00002-of-00002.gguf": gguf("b")},
         ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]),
        ({"m.gguf": gguf("a"), "model.safetensors": safe("a")}, ["model.safetensors"]),
        ({"model.safetensors": safe("a"), "pytorch_model.bin": b"PK\x03\x04"}, ["model.safetensors"]),
    ],
)  # fmt: skip
def test_which_files_load(files: dict[str, bytes], expected: list[str], tmp_path: Path) -> None:
    assert loaded(tmp_path, **files) == expected


def test_a_missing_shard_is_a_gap(tmp_path: Path) -> None:
    found = opened(tmp_path, **{S1: safe("a"), INDEX: index(a=S1, b=S2)})

    assert list(found.tensors) == ["a"]
    with pytest.raises(Unavailable, match="1 of 2 shards"):
        complete_checkpoint(found)


def test_a_missing_part_of_a_numbered_set_is_a_gap(tmp_path: Path) -> None:
    assert "first: m-00002-of-00003.gguf" in opened(tmp_path, **{"m-00001-of-00003.gguf": gguf("a")}).gaps[0]


def test_a_pointer_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Git LFS pointer"):
        opened(tmp_path, **{"model.safetensors": POINTER})


def test_a_broken_header_is_a_checkpoint_with_damage(tmp_path: Path) -> None:
    found = opened(tmp_path, **{"model.safetensors": bytes(100)})

    assert found.files[0].damage
    assert found.gaps


def test_a_truncated_file_still_lists_all_tensors(tmp_path: Path) -> None:
    found = opened(tmp_path, **{"model.safetensors": safe("a", "b")[:-3]})

    assert list(found.tensors) == ["a", "b"]
    assert found.gaps == ()


def test_no_weights(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="no weights"):
        opened(tmp_path)


def test_names_in_the_index_never_lead_out(tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_bytes(safe("secret"))
    root = tmp_path / "model"
    root.mkdir()
    found = opened(root, **{S1: safe("a"), INDEX: index(a=S1, b="../secret.safetensors", c="/etc/passwd")})

    assert list(found.tensors) == ["a"]
    assert "2 of 3 shards" in found.gaps[0]


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"{",
        b"\xff",
        b'{"weight_map": 5}',
        b'{"weight_map": {"a": 5}}',
        b"[" * 100_000,
        b"null",
        b'{"a": "\\ud800"}',
    ],
)
def test_odd_indices_give_an_answer(content: bytes, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(content)
    with pytest.raises(Unavailable):
        checkpoint(open_source(tmp_path))


def test_what_is_wrong_with_an_index(tmp_path: Path) -> None:
    (tmp_path / INDEX).write_bytes(b'{"weight_map": {"a": 5, "b": "x.safetensors"}}')
    found = shard_index(open_source(tmp_path))

    assert found.weight_map == {"b": "x.safetensors"}
    assert found.problems == ("1 value of its weight_map instead of a file name", "it has no metadata")


def test_a_part_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / S2).write_bytes(safe("b"))

    assert "part 2 of 2" in checkpoint(open_source(tmp_path / S2)).gaps[0]


def test_recognised_formats_carry_advice(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 4), np.float16))
    found = checkpoint(open_source(tmp_path / "a.npy")).files[0]
    assert [(t.dtype, t.shape, t.nbytes) for t in found.tensors] == [("F16", (3, 4), 24)]
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08\x12\x07pytorch" + b":\x05" + bytes(40))
    found = checkpoint(open_source(tmp_path / "m.onnx")).files[0]
    assert found.kind is FileKind.ONNX
    assert "onnx.checker" in (found.note or "")
