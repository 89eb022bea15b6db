"""Files that are cut off or changed: the numbers of both sides, for zip and legacy, and that torch fails on them."""

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest
import torch

from mmdoctor.facts.checkpoint import DamageKind, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import MemoryRange
from mmdoctor.readers.torch_file import read_range
from mmdoctor.readers.zip_directory import read_directory
from tests.hostile import pickles

NAMES = [f"layers.{i}.weight" for i in range(10)]


def read(data: bytes) -> WeightFile:
    """Read bytes as a file."""
    return read_range(MemoryRange(data), FileEntry(path="m.pt", kind=FileKind.TORCH_ZIP, size=len(data)))


def saved(*, zipped: bool) -> bytes:
    """Ten tensors of 4096 bytes."""
    data = io.BytesIO()
    torch.save({n: torch.rand(32, 32) for n in NAMES}, data, _use_new_zipfile_serialization=zipped)
    return data.getvalue()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_cut_off_zip(tmp_path: Path, share: float):
    whole = saved(zipped=True)
    data = whole[: int(len(whole) * share)]
    (damage,) = read(data).damage
    (tmp_path / "m.pt").write_bytes(data)
    with pytest.raises((RuntimeError, OSError)):  # "failed finding central directory", or a negative seek
        torch.load(tmp_path / "m.pt")

    assert damage.kind is DamageKind.NO_CENTRAL_DIRECTORY
    assert damage.observed == len(data)
    starts = [t.start for t in read(whole).tensors]
    lost = [n for n, start in zip(NAMES, starts, strict=True) if start + 4096 > len(data)]
    assert damage.tensors == tuple(lost)
    assert f"{10 - len(lost)} of 10 storages are whole" in damage.message


def test_cut_off_within_the_list_of_tensors():
    (damage,) = read(saved(zipped=True)[:300]).damage

    assert damage.kind is DamageKind.NO_CENTRAL_DIRECTORY
    assert "300" in damage.message


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.999])
def test_cut_off_legacy(share: float):
    whole = saved(zipped=False)
    data = whole[: int(len(whole) * share)]
    (damage,) = read(data).damage
    with pytest.raises((RuntimeError, OSError, EOFError)):
        torch.load(io.BytesIO(data))

    assert damage.kind is DamageKind.TRUNCATED
    assert (damage.observed, damage.expected) == (len(data), len(whole))
    starts = {t.name: t.start for t in read(whole).tensors}
    assert set(damage.tensors) == {n for n in NAMES if starts[n] + 4096 > len(data)}


def test_cut_off_legacy_within_the_pickle():
    (damage,) = read(saved(zipped=False)[:400]).damage

    assert damage.kind is DamageKind.TRUNCATED


def test_legacy_storage_of_another_size():
    data = bytearray(saved(zipped=False))
    first = min(t.start for t in read(bytes(data)).tensors)
    data[first - 8 : first] = struct.pack("<Q", 1000)
    (damage,) = read(bytes(data)).damage

    assert (damage.kind, damage.observed, damage.expected) == (DamageKind.MEMBER_SIZE, 1000, 1024)
    with pytest.raises(RuntimeError):
        torch.load(io.BytesIO(bytes(data)))


def repacked(data: bytes, **changed: bytes | None) -> bytes:
    """The archive with members of other content, or without them (None)."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = changed.get(info.filename.rpartition("/")[2], old.read(info.filename))
            if content is not None:
                new.writestr(info.filename, content)
    return out.getvalue()


def test_missing_storages():
    data = repacked(saved(zipped=True), **{"3": None, "4": None})
    (damage,) = read(data).damage
    with pytest.raises(RuntimeError):
        torch.load(io.BytesIO(data))

    assert damage.kind is DamageKind.MEMBER_MISSING
    assert damage.tensors == ("layers.3.weight", "layers.4.weight")


def test_short_storage():
    data = repacked(saved(zipped=True), **{"3": bytes(4000)})
    (damage,) = read(data).damage

    assert damage.kind is DamageKind.MEMBER_SIZE
    assert (damage.observed, damage.expected, damage.tensors) == (4000, 4096, ("layers.3.weight",))


def test_repacked_archives_are_whole():
    assert read(repacked(saved(zipped=True))).damage == ()


def test_compressed_members_have_no_offset():
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(zipped=True))) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info.filename))
    file = read(out.getvalue())

    assert file.damage == ()
    assert [t.start for t in file.tensors] == [None] * 10


def test_view_beyond_its_storage():
    data = pickles.archive(pickles.plain_state_dict().replace(b"K\x00K\x04\x85", b"K\x00K\x05\x85"))
    (damage,) = read(data).damage
    with pytest.raises(RuntimeError):
        torch.load(io.BytesIO(data))

    assert (damage.kind, damage.observed, damage.expected) == (DamageKind.SIZE_MISMATCH, 16, 20)


def test_impossible_shapes_are_damage():
    (damage,) = read(pickles.archive(b"\x80\x02}X\x01\x00\x00\x00w" + pickles.impossible_shape()[2:-1] + b"s.")).damage

    assert damage.kind is DamageKind.SIZE_MISMATCH
    (damage,) = read(pickles.archive(pickles.impossible_shape())).damage
    assert damage.kind is DamageKind.SIZE_MISMATCH


def test_any_root_folder_and_trailing_bytes():
    for root in ("archive", "model_600000", "ein Ordner"):
        assert read(pickles.archive(pickles.plain_state_dict(), root)).damage == ()
    assert read(pickles.archive(pickles.plain_state_dict()) + bytes(100)).damage == ()


def test_zip64_directory(tmp_path: Path):
    path = tmp_path / "wide.zip"
    with zipfile.ZipFile(path, "w") as file:
        for i in range(70_000):
            file.writestr(f"a/{i}", b"")
    data = path.read_bytes()
    directory = read_directory(MemoryRange(data))

    assert directory is not None
    assert (len(directory.members), directory.damage) == (70_000, ())


def test_sparse_file_beyond_4_gib(tmp_path: Path):
    """zip64 offsets: the header of a member lies past 4 GiB."""
    from mmdoctor.readers.torch_file import read_torch

    path = tmp_path / "large.pt"
    pickle = pickles.plain_state_dict().replace(b"K\x04tQ", b"\x8a\x05" + struct.pack("<Q", 5 << 28)[:5] + b"tQ")
    with path.open("wb") as raw:
        entries = []

        def add(name: str, content: bytes, size: int) -> None:
            offset = raw.tell()
            wide = struct.pack("<HHQQQ", 1, 24, size, size, offset)
            raw.write(
                b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", 45, 0, 0, 0, 0, 0, 0xFFFFFFFF, 0xFFFFFFFF, len(name), 20)
            )
            raw.write(name.encode() + struct.pack("<HHQQ", 1, 16, size, size) + content)
            raw.seek(size - len(content), 1)
            entry = struct.pack(
                "<HHHHHHIIIHHHHHII", 45, 45, 0, 0, 0, 0, 0, *([0xFFFFFFFF] * 2), len(name), 28, *([0] * 4), 0xFFFFFFFF
            )
            entries.append(b"PK\x01\x02" + entry + name.encode() + wide)

        add("archive/data.pkl", pickle, len(pickle))
        add("archive/data/0", b"", 5 << 30)
        add("archive/version", b"3\n", 2)
        start = raw.tell()
        raw.write(b"".join(entries))
        size = raw.tell() - start
        end = raw.tell()
        raw.write(b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 3, 3, size, start))
        raw.write(b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1))
        raw.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 3, 3, size, 0xFFFFFFFF, 0))
    file = read_torch(path, FileEntry(path="large.pt", kind=FileKind.TORCH_ZIP, size=path.stat().st_size))

    assert file.damage == ()
    assert file.metadata["version"] == "3"
    assert [t.name for t in file.tensors] == ["w"]


def test_old_export_archive():
    """torch 2.1 to 2.6: the state dict is a torch zip of its own within the archive."""
    inner = saved(zipped=True)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("serialized_exported_program.json", json.dumps({}))
        file.writestr("serialized_state_dict.pt", inner)
        file.writestr("version", "3.1")
    data = out.getvalue()
    read_file = read(data)

    assert read_file.kind is FileKind.TORCH_EXPORT
    assert [t.name for t in read_file.tensors] == NAMES
    expected = torch.load(io.BytesIO(inner))[NAMES[7]].numpy().tobytes()
    start = read_file.tensors[7].start
    assert data[start : start + 4096] == expected
