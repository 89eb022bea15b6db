"""Hostile pickles and archives end as damage, in bounded time and memory, and nothing in them runs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdoctor.facts.checkpoint import DamageKind, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers import pickle_programs, pickle_tree
from mmdoctor.readers.byte_range import MemoryRange
from mmdoctor.readers.torch_file import read_range, read_torch
from tests.hostile import pickles, zips

LIMIT = pytest.mark.timeout(120)  # seconds on a busy machine; two of processor time


@pytest.fixture(scope="module", autouse=True)
def _small_budgets() -> Iterator[None]:
    """A hundredth of the limits: what the real ones cost is measured in tests/hostile/test_check.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pickle_programs, "MAX_WORK", 100_000)
        patch.setattr(pickle_tree, "MAX_VISITS", 2_000)
        patch.setattr(pickle_tree, "MAX_TENSORS", 2_000)
        yield


def read(data: bytes) -> WeightFile:
    """Read bytes as a file."""
    return read_range(MemoryRange(data), FileEntry(path="x.pt", kind=FileKind.TORCH_ZIP, size=len(data)))


@LIMIT
@pytest.mark.parametrize("name", pickles.BOMBS)
@pytest.mark.parametrize("packed", [False, True], ids=["bare", "zip"])
def test_pickle_bombs_are_bounded(name: str, packed: bool):
    data = pickles.BOMBS[name]()
    file = read(pickles.archive(data) if packed else data)

    assert file.program is not None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("huge_put", DamageKind.PICKLE_TOO_COMPLEX),
        ("doubling", DamageKind.PICKLE_TOO_COMPLEX),
        ("endless", DamageKind.PICKLE_TOO_COMPLEX),
        ("many_digits", DamageKind.PICKLE_TOO_COMPLEX),
        ("long_string", DamageKind.TRUNCATED),
        ("huge_frame", DamageKind.TRUNCATED),
    ],
)
def test_a_bomb_is_named(name: str, kind: DamageKind):
    file = read(pickles.BOMBS[name]())

    assert [d.kind for d in file.damage] == [kind]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("packed", [False, True], ids=["bare", "zip"])
def test_a_malicious_pickle_is_read_and_runs_nothing(tmp_path: Path, protocol: int, packed: bool):
    target = tmp_path / "touched"
    data = pickles.touching(target, protocol)
    path = tmp_path / "model.pt"
    path.write_bytes(pickles.archive(data) if packed else data)

    file = read_torch(path, FileEntry(path="model.pt", kind=FileKind.TORCH_ZIP, size=path.stat().st_size))

    assert file.program is not None
    assert [(g.dotted, g.called) for g in file.program.globals] == [("os.system", True)]
    assert not target.exists()


@LIMIT
@pytest.mark.parametrize("name", zips.HOSTILE)
def test_hostile_archives_end_as_facts(name: str):
    file = read(zips.HOSTILE[name]())

    assert file.damage


@pytest.mark.parametrize("name", ["encrypted_in_local_header", "other_local_name", "overlapping"])
def test_what_torch_reads_is_read(name: str):
    file = read(zips.HOSTILE[name]())

    assert [t.name for t in file.tensors] == ["w"]


def test_a_hidden_member_is_found_and_walked(tmp_path: Path):
    file = read(zips.hidden_member(pickles.touching(tmp_path / "x")))

    assert DamageKind.MEMBER_HIDDEN in {d.kind for d in file.damage}
    assert "os.system" in {g.dotted for g in file.program.globals}
    assert file.program.hidden


def test_nested_and_second_pickles_are_walked(tmp_path: Path):
    evil = pickles.touching(tmp_path / "x")

    assert "os.system" in {g.dotted for g in read(pickles.nested(evil)).program.globals}
    assert "os.system" in {g.dotted for g in read(pickles.nested(pickles.archive(evil))).program.globals}
    assert "os.system" in {g.dotted for g in read(pickles.plain_state_dict() + evil).program.globals}
    assert "os.system" in {g.dotted for g in read(pickles.archive(pickles.plain_state_dict() + evil)).program.globals}
    assert "os.system" in {
        g.dotted for g in read(pickles.archive(pickles.plain_state_dict(), more={"notes.txt": evil})).program.globals
    }


def test_stdlib_pickle_is_not_imported_by_the_readers():
    import subprocess

    code = "import sys, mmdoctor.readers.torch_file; sys.exit(bool({'pickle', 'torch', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_bytes_never_raise(data: st.DataObject):
    whole = data.draw(st.sampled_from([zips.healthy(), pickles.plain_state_dict(), pickles.nested(zips.healthy())]))
    mutated = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(mutated[: data.draw(st.integers(1, len(whole)))])

    assert isinstance(read(cut), WeightFile)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04", b"\x80\x02}q\x00("]))
def test_random_bytes_never_raise(tail: bytes, head: bytes):
    assert isinstance(read(head + tail), WeightFile)
