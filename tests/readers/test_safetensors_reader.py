import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from mmdoctor.facts.checkpoint import DamageKind, WeightFile
from mmdoctor.facts.dtypes import DTYPES as ELEMENT_TYPES
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.safetensors import MAX_HEADER_BYTES, MAX_TENSORS, read_safetensors
from mmdoctor.readers.safetensors_layout import DTYPES

MILD = {DamageKind.DUPLICATE_NAME}
"""What the reference accepts without a word."""


def image(header: dict[str, Any] | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def info(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def read(folder: Path, content: bytes) -> WeightFile:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    entry = FileEntry(path="model.safetensors", kind=FileKind.SAFETENSORS, size=len(content))
    return read_safetensors(path, entry)


def accepts(folder: Path, content: bytes) -> bool:
    path = folder / "reference.safetensors"
    path.write_bytes(content)
    try:
        with safe_open(path, framework="np"):
            return True
    except SafetensorError:
        return False


def kinds(file: WeightFile) -> list[DamageKind]:
    return [d.kind for d in file.damage]


@pytest.mark.parametrize("dtype", sorted(DTYPES))
def test_every_dtype_of_the_reference_is_read_with_its_size(dtype: str, tmp_path: Path) -> None:
    nbytes = 24 * int(ELEMENT_TYPES[dtype].bits) // 8
    content = image({"__metadata__": {"format": "pt"}, "w": info(dtype, [4, 6], 0, nbytes)}, bytes(nbytes))

    file = read(tmp_path, content)

    assert accepts(tmp_path, content)
    assert file.damage == ()
    assert [(t.name, t.dtype, t.shape, t.nbytes) for t in file.tensors] == [("w", dtype, (4, 6), nbytes)]
    assert file.metadata == {"format": "pt"}


def test_a_dtype_of_the_future_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    content = image({"a": info("F3_NEW", [8], 0, 3), "b": info("F32", [1], 3, 7)}, bytes(7))

    file = read(tmp_path, content)

    assert kinds(file) == [DamageKind.UNKNOWN_DTYPE]
    assert "F3_NEW" in file.damage[0].message
    assert [t.name for t in file.tensors] == ["a", "b"]


@pytest.mark.parametrize(
    "content",
    [
        image({}),
        image({"__metadata__": {}}),
        image({"__metadata__": None}),
        image(b'  \n{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   ', bytes(4)),
        image({"a": info("F32", [0, 7], 0, 0), "b": info("BOOL", [3], 0, 3)}, bytes(3)),
        image({"": {**info("F32", [1], 0, 4), "comment": "extra keys are ignored"}}, bytes(4)),
        image({"z": info("F32", [1], 4, 8), "a": info("F32", [1], 0, 4)}, bytes(8)),
    ],
    ids=["empty", "empty metadata", "null metadata", "padded", "zero sized", "extra key", "unordered"],
)
def test_odd_and_legal(content: bytes, tmp_path: Path) -> None:
    assert accepts(tmp_path, content)
    assert read(tmp_path, content).damage == ()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x10\x00\x00", DamageKind.HEADER_TOO_SMALL),
        (struct.pack("<Q", 2**63) + b"{}", DamageKind.HEADER_TOO_LARGE),
        (struct.pack("<Q", MAX_HEADER_BYTES + 1) + b"{}", DamageKind.HEADER_TOO_LARGE),
        (struct.pack("<Q", 100) + b'{"a":', DamageKind.TRUNCATED),
        (bytes(64), DamageKind.HEADER_NOT_JSON),
        (image(b"[]"), DamageKind.HEADER_NOT_JSON),
        (image(b"{} tail"), DamageKind.HEADER_NOT_JSON),
        (image(b'\xef\xbb\xbf{"a": 1}'), DamageKind.HEADER_NOT_JSON),
        (image(b'{"\xff": 1}'), DamageKind.HEADER_NOT_JSON),
        (image({"a": info("F32", [1], 0, 4)}, bytes(3)), DamageKind.TRUNCATED),
        (image({"a": info("F32", [1], 0, 4)}, bytes(5)), DamageKind.TRAILING_BYTES),
        (image({"a": info("F32", [2], 0, 4)}, bytes(4)), DamageKind.SIZE_MISMATCH),
        (image({"a": info("F4", [1], 0, 1)}, bytes(1)), DamageKind.SIZE_MISMATCH),
        (image({"a": info("F32", [2**40, 2**40, 0], 0, 0)}), DamageKind.SIZE_MISMATCH),
        (image({"a": info("F32", [1], 4, 8)}, bytes(8)), DamageKind.GAP),
        (image({"a": info("F32", [1], 0, 4), "b": info("F32", [1], 2, 6)}, bytes(6)), DamageKind.OVERLAP),
        (image({"a": info("F32", [-1], 0, 4)}, bytes(4)), DamageKind.HEADER_INVALID),
        (image({"a": info("F32", [1], 4, 0)}, bytes(4)), DamageKind.HEADER_INVALID),
        (image({"a": info("F32", [1], 0, 2**64)}, bytes(4)), DamageKind.HEADER_INVALID),
        (image({"a": info("F32", [1.0], 0, 4)}, bytes(4)), DamageKind.HEADER_INVALID),  # type: ignore[list-item]  # bad on purpose
        (image({"__metadata__": {"epoch": 3}}), DamageKind.HEADER_INVALID),
        (image({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)), DamageKind.HEADER_INVALID),
    ],
)  # fmt: skip
def test_what_the_reference_refuses_is_damage(content: bytes, kind: DamageKind, tmp_path: Path) -> None:
    assert not accepts(tmp_path, content)
    assert kind in kinds(read(tmp_path, content))


def test_a_truncated_file_says_how_much_is_missing(tmp_path: Path) -> None:
    header = {f"t{i}": info("F32", [256], i * 1024, (i + 1) * 1024) for i in range(4)}
    whole = image(header, bytes(4096))

    (damage,) = read(tmp_path, whole[:-1500]).damage

    assert damage.observed == len(whole) - 1500
    assert damage.expected == len(whole)
    assert damage.tensors == ("t2", "t3")
    assert "1,500 are missing, and 2 of 4 tensors" in damage.message


def test_names_that_stand_twice_are_noticed_even_escaped(tmp_path: Path) -> None:
    entry = json.dumps(info("F32", [0], 0, 0))
    for second in ("a", "\\u0061"):
        content = image(f'{{"a":{entry},"{second}":{entry}}}'.encode())
        assert accepts(tmp_path, content)
        assert kinds(read(tmp_path, content)) == [DamageKind.DUPLICATE_NAME]


def test_more_tensors_than_the_limit_are_refused_before_decoding(tmp_path: Path) -> None:
    content = image(b"{" + b'"a":0,' * (5 * MAX_TENSORS + 1) + b'"b":0}')

    assert kinds(read(tmp_path, content)) == [DamageKind.HEADER_TOO_LARGE]


ENTRIES = st.dictionaries(
    st.text(max_size=6),
    st.tuples(st.sampled_from(["F32", "U8", "F4"]), st.lists(st.integers(0, 4), max_size=3)),
    max_size=4,
)


def healthy(entries: dict[str, tuple[str, list[int]]]) -> bytes:
    header: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape) in entries.items():
        count = 1
        for size in shape:
            count *= size
        if count * int(ELEMENT_TYPES[dtype].bits) % 8:
            continue
        begin, end = end, end + count * int(ELEMENT_TYPES[dtype].bits) // 8
        header[name] = info(dtype, shape, begin, end)
    return image(header, bytes(end))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES)
def test_what_the_reference_accepts_is_healthy(entries: dict[str, tuple[str, list[int]]], tmp_path: Path) -> None:
    content = healthy(entries)
    if accepts(tmp_path, content):
        assert not set(kinds(read(tmp_path, content))) - MILD


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=ENTRIES, place=st.floats(0, 1), change=st.integers(0, 255), cut=st.integers(0, 3))
def test_a_changed_byte_gives_the_verdict_of_the_reference(
    entries: dict[str, tuple[str, list[int]]], place: float, change: int, cut: int, tmp_path: Path
) -> None:
    content = bytearray(healthy(entries))
    content[int(place * (len(content) - 1))] = change
    damaged = bytes(content[: len(content) - cut])

    found = set(kinds(read(tmp_path, damaged))) - MILD

    assert bool(found) != accepts(tmp_path, damaged)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_any_bytes_give_an_answer(content: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, content).damage or accepts(tmp_path, content)
