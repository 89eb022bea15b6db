import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdoctor.facts.checkpoint import DamageKind, WeightFile
from mmdoctor.facts.dtypes import dtype
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.gguf import MAX_ARRAY_STRINGS, read_gguf
from mmdoctor.readers.gguf_layout import TYPES


def read(path: Path) -> WeightFile:
    return read_gguf(path, FileEntry(path=path.name, kind=FileKind.GGUF, size=path.stat().st_size))


def written(path: Path, *, endian: gguf.GGUFEndian = gguf.GGUFEndian.LITTLE, alignment: int = 32) -> Path:
    writer = gguf.GGUFWriter(path, "llama", endianess=endian)
    if alignment != 32:
        writer.add_custom_alignment(alignment)
    writer.add_context_length(4096)
    writer.add_block_count(2)
    writer.add_token_list([b"<s>", b"", "ü".encode(), b"x" * 1000])
    writer.add_chat_template("{{ messages }}" * 100)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tensor("token_embd.weight", np.zeros((4, 64), np.float32))
    writer.add_tensor("blk.0.attn_norm.weight", np.zeros(7, np.float16))
    writer.add_tensor(
        "output.weight", np.zeros((4, 2 * 144), np.uint8), raw_shape=(4, 288), raw_dtype=GGMLQuantizationType.Q4_K
    )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def header(pairs: bytes = b"", kv: int = 0, tensors: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, kv) + pairs


def name(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def test_types_and_block_sizes_are_those_of_gguf() -> None:
    assert {n: TYPES[n] for n in TYPES} == {t.value: t.name for t in GGMLQuantizationType}
    for kind, (count, nbytes) in GGML_QUANT_SIZES.items():
        assert dtype(kind.name).block in (None, (count, nbytes))
        assert dtype(kind.name).bits == 8 * nbytes / count


@pytest.mark.parametrize("endian", list(gguf.GGUFEndian))
@pytest.mark.parametrize("alignment", [32, 64])
def test_equal_to_the_library(tmp_path: Path, endian: gguf.GGUFEndian, alignment: int) -> None:
    path = written(tmp_path / "model.gguf", endian=endian, alignment=alignment)
    oracle = gguf.GGUFReader(path)

    file = read(path)

    assert file.damage == ()
    assert [(t.name, t.dtype, t.nbytes, t.start) for t in file.tensors] == [
        (t.name, t.tensor_type.name, t.n_bytes, t.data_offset) for t in oracle.tensors
    ]
    assert [t.shape for t in file.tensors] == [(4, 64), (7,), (4, 512)]


def test_metadata_that_rules_need(tmp_path: Path) -> None:
    found = read(written(tmp_path / "model.gguf")).gguf

    assert found is not None
    assert (found.architecture, found.number("context_length"), found.number("block_count")) == ("llama", 4096, 2)
    assert found.vocabulary == 4
    assert found.has_chat_template
    assert found.lengths["tokenizer.chat_template"] == 1400
    assert not found.is_projector


def test_a_projector_is_told_from_a_model(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "mmproj.gguf", "clip")
    writer.add_type("mmproj")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = read(tmp_path / "mmproj.gguf").gguf

    assert found is not None
    assert found.is_projector


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    whole = written(tmp_path / "model.gguf").read_bytes()
    last = max(t.start + t.nbytes for t in read(tmp_path / "model.gguf").tensors if t.start is not None)
    for size in [*range(4, last, 97), last - 1]:
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        assert DamageKind.TRUNCATED in [d.kind for d in read(tmp_path / "cut.gguf").damage], size
    (tmp_path / "cut.gguf").write_bytes(whole[:last])
    assert read(tmp_path / "cut.gguf").damage == ()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (header(version=1), DamageKind.UNSUPPORTED_VERSION),
        (header(version=99), DamageKind.UNSUPPORTED_VERSION),
        (header(kv=2**63), DamageKind.HEADER_TOO_LARGE),
        (header(tensors=2**63), DamageKind.HEADER_TOO_LARGE),
        (header(tensors=5000), DamageKind.TRUNCATED),
        (header(struct.pack("<Q", 2**60) + b"x" * 20, kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"k") + struct.pack("<IQ", 8, 2**60), kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"k") + struct.pack("<IIQ", 9, 4, 2**62), kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"k") + struct.pack("<IIQ", 9, 8, MAX_ARRAY_STRINGS + 1), kv=1), DamageKind.HEADER_TOO_LARGE),
        (header(name(b"k") + struct.pack("<IIQ", 9, 9, 1) + bytes(20), kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"k") + struct.pack("<I", 77) + bytes(20), kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"general.alignment") + struct.pack("<II", 4, 0), kv=1), DamageKind.HEADER_INVALID),
        (header(name(b"general.alignment") + struct.pack("<II", 4, 33), kv=1), DamageKind.HEADER_INVALID),
        (header(2 * (name(b"k") + struct.pack("<II", 4, 1)), kv=2), DamageKind.HEADER_INVALID),
        (header(name(b"t") + struct.pack("<I", 4_000_000_000) + bytes(40), tensors=1), DamageKind.HEADER_INVALID),
        (header(name(b"t") + struct.pack("<IQIQ", 1, 8, 99, 0) + bytes(64), tensors=1), DamageKind.UNKNOWN_DTYPE),
        (header(name(b"t") + struct.pack("<IQIQ", 1, 33, 8, 0) + bytes(99), tensors=1), DamageKind.SIZE_MISMATCH),
        (header(name(b"t") + struct.pack("<IQIQ", 1, 2**63, 0, 0) + bytes(99), tensors=1), DamageKind.SIZE_MISMATCH),
        (header(name(b"t") + struct.pack("<IQIQ", 1, 2, 0, 2**62) + bytes(99), tensors=1), DamageKind.GAP),
        (header(2 * (name(b"t") + struct.pack("<IQIQ", 1, 2, 0, 0)) + bytes(99), tensors=2), DamageKind.OVERLAP),
        (header(2 * (name(b"t") + struct.pack("<IQIQ", 1, 2, 0, 0)) + bytes(99), tensors=2), DamageKind.DUPLICATE_NAME),
    ],
)  # fmt: skip
def test_lies_are_damage(content: bytes, kind: DamageKind, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)

    assert kind in [d.kind for d in read(path).damage]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_bytes_give_an_answer(changes: list[tuple[float, int]], tmp_path: Path) -> None:
    source = tmp_path / "whole.gguf"
    if not source.exists():
        written(source)
    content: Any = bytearray(source.read_bytes())
    for place, value in changes:
        content[4 + int(place * 1900)] = value
    (tmp_path / "model.gguf").write_bytes(content)

    assert read(tmp_path / "model.gguf").kind is FileKind.GGUF
