import os
from pathlib import Path

import pytest

from mmdoctor.engine import NotApplicable
from mmdoctor.readers.hub_cache import hub_cache
from mmdoctor.readers.source import open_source


def snapshot(root: Path, *revisions: str) -> Path:
    home = root / "models--owner--name"
    (home / "blobs").mkdir(parents=True)
    (home / "blobs" / ("b" * 40)).write_bytes(b"{}")
    for revision in revisions:
        (home / "snapshots" / revision).mkdir(parents=True)
        (home / "snapshots" / revision / "config.json").symlink_to("../../blobs/" + "b" * 40)
    return home


def test_unfinished_blobs_of_a_snapshot(tmp_path: Path) -> None:
    home = snapshot(tmp_path, "one", "two")
    (home / "blobs" / "abc.incomplete").write_bytes(b"x" * 7)
    os.utime(home / "blobs" / "abc.incomplete", (1, 1))
    (home / "blobs" / "def.incomplete").write_bytes(b"")
    os.utime(home / "blobs" / "def.incomplete", (2**33, 2**33))
    found = hub_cache(open_source(home / "snapshots" / "one"))

    assert [(p.name, p.size, p.newer) for p in found.partial] == [
        ("abc.incomplete", 7, False),
        ("def.incomplete", 0, True),
    ]
    assert (found.snapshots, found.repository) == (2, "owner/name")


def test_unfinished_downloads_into_a_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    folder = tmp_path / ".cache" / "huggingface" / "download"
    folder.mkdir(parents=True)
    (folder / "model.safetensors.abc.incomplete").write_bytes(b"xx")
    (folder / "config.json.metadata").write_text("x")

    assert [p.size for p in hub_cache(open_source(tmp_path)).partial] == [2]


def test_a_plain_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NotApplicable):
        hub_cache(open_source(tmp_path))
