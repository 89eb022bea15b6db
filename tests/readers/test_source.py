import os
import socket
import sys
from pathlib import Path

import pytest

from mmdoctor.errors import NothingToCheckError
from mmdoctor.facts.source import FileKind, FileProblem
from mmdoctor.readers import source as module
from mmdoctor.readers.source import open_source

EMPTY = (8).to_bytes(8, "little") + b"{}      "


def folder(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(EMPTY if name.endswith(".safetensors") else b"{}")
    return root


def refused(path: Path | str) -> str:
    with pytest.raises(NothingToCheckError) as error:
        open_source(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def problem(root: Path, name: str) -> FileProblem | None:
    entry = open_source(root).entry(name)
    assert entry is not None
    return entry.problem


def test_a_folder_is_listed_with_what_each_file_is(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, "config.json", "model.safetensors", "sub/x.json"))

    assert [(f.path, f.kind) for f in source.files] == [
        ("config.json", FileKind.JSON),
        ("model.safetensors", FileKind.SAFETENSORS),
        ("sub/x.json", FileKind.JSON),
    ]
    assert source.single is None
    assert source.absolute("sub/x.json") == tmp_path.resolve() / "sub/x.json"


def test_a_single_file_lists_nothing_beside_it(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, "config.json", "model.safetensors") / "model.safetensors")

    assert [f.path for f in source.files] == ["model.safetensors"]
    assert source.single == "model.safetensors"


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_no_path(text: str) -> None:
    assert "give a weight file" in refused(text)


def test_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.md").write_text("hello")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "void").touch()

    assert "does not exist" in refused(tmp_path / "absent")
    assert "is empty" in refused(tmp_path / "empty")
    assert "no weight file that mmdoctor knows" in refused(tmp_path / "notes.md")
    assert "a link to nowhere" in refused(tmp_path / "dangling")
    assert "leads to itself" in refused(tmp_path / "loop")
    assert "0 bytes" in refused(tmp_path / "void")
    assert "holds no model" in refused(tmp_path)


def test_one_file_of_a_model_asks_for_its_folder(tmp_path: Path) -> None:
    assert f"mmdoctor check {tmp_path}" in refused(folder(tmp_path, "config.json") / "config.json")


def test_damaged_weights_are_something_to_check(tmp_path: Path) -> None:
    for name in ("model.safetensors", "model.pt", "model.safetensors?download=true"):
        (tmp_path / name).write_bytes(b"")
        assert open_source(tmp_path / name).files[0].kind is FileKind.EMPTY


def test_pipes_devices_and_sockets_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "model.safetensors")
    server = socket.socket(socket.AF_UNIX)
    server.bind(os.path.relpath(tmp_path / "socket"))
    (tmp_path / "config.json").symlink_to("/dev/zero")

    assert "a pipe" in refused(tmp_path / "pipe")
    assert "a device" in refused("/dev/zero")
    assert "a socket" in refused(tmp_path / "socket")
    assert problem(tmp_path, "model.safetensors") is FileProblem.SPECIAL
    assert problem(tmp_path, "config.json") in (FileProblem.SPECIAL, FileProblem.OUTSIDE)
    server.close()


def test_folders_below_are_named(tmp_path: Path) -> None:
    folder(tmp_path, "checkpoint-500/config.json", "checkpoint-1000/model.safetensors", "logs/events.txt")
    message = refused(tmp_path)

    assert "checkpoint-500" in message
    assert "checkpoint-1000" in message
    assert "logs" not in message


def test_a_pipeline_names_its_components(tmp_path: Path) -> None:
    folder(tmp_path, "model_index.json", "unet/diffusion_pytorch_model.safetensors", "text_encoder/config.json")
    message = refused(tmp_path)

    assert "Diffusers pipeline" in message
    assert "unet" in message
    assert "text_encoder" in message


def cache(root: Path, *revisions: str) -> Path:
    home = root / "models--owner--name"
    (home / "blobs").mkdir(parents=True)
    (home / "blobs" / ("a" * 64)).write_bytes(EMPTY)
    (home / "blobs" / ("b" * 40)).write_bytes(b"{}")
    for revision in revisions:
        snapshot = home / "snapshots" / revision
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").symlink_to("../../blobs/" + "a" * 64)
        (snapshot / "config.json").symlink_to("../../blobs/" + "b" * 40)
    return home


def test_the_only_snapshot_of_a_cache_is_the_model(tmp_path: Path) -> None:
    source = open_source(cache(tmp_path, "0123"))

    assert source.root.name == "0123"
    assert source.name == "owner/name"
    assert [(f.name, f.kind, f.problem) for f in source.files] == [
        ("config.json", FileKind.JSON, None),
        ("model.safetensors", FileKind.SAFETENSORS, None),
    ]


def test_of_several_snapshots_the_user_chooses(tmp_path: Path) -> None:
    message = refused(cache(tmp_path, "0123", "4567"))

    assert "snapshots/0123" in message
    assert "snapshots/4567" in message
    assert "blobs" not in message


def test_links_of_the_user_are_followed_and_odd_ones_are_not(tmp_path: Path) -> None:
    outside = folder(tmp_path / "data", "base.safetensors", "merges.txt", "secret")
    root = folder(tmp_path / "model", "config.json")
    (root / "model.safetensors").symlink_to(outside / "base.safetensors")
    (root / "merges.txt").symlink_to("../data/merges.txt")
    (root / "tokenizer.json").symlink_to(outside / "secret")
    (root / "vocab.json").symlink_to("/proc/self/environ")
    (root / "spiece.model").symlink_to("gone")
    (root / "loop.json").symlink_to("loop.json")
    (root / "link").symlink_to(outside)
    source = open_source(root)

    assert {f.name: f.problem for f in source.files} == {
        "config.json": None,
        "model.safetensors": None,
        "merges.txt": None,
        "tokenizer.json": FileProblem.OUTSIDE,
        "vocab.json": FileProblem.SPECIAL,
        "spiece.model": FileProblem.DANGLING,
        "loop.json": FileProblem.LOOP,
    }
    assert all(not f.head for f in source.files if f.problem)


def test_what_is_outside_is_never_opened(tmp_path: Path) -> None:
    outside = folder(tmp_path / "data", "secret")
    root = folder(tmp_path / "model", "config.json")
    (root / "tokenizer.json").symlink_to(outside / "secret")
    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event == "open":
            opened.append(os.path.realpath(str(arguments[0])))

    sys.addaudithook(hook)
    open_source(root)
    watching = False

    assert str((root / "config.json").resolve()) in opened
    assert str((outside / "secret").resolve()) not in opened


def test_names_that_are_no_text_do_not_stop_the_listing(tmp_path: Path) -> None:
    folder(tmp_path, "config.json")
    (tmp_path / os.fsdecode(b"bad\xff.json")).write_bytes(b"{}")
    names = [f.path for f in open_source(tmp_path).files]

    assert len(names) == 2
    assert all(name.encode("utf-8") for name in names)


def test_the_listing_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, "config.json", *(f"deep/{i}.json" for i in range(20)), "a/b/c/d/e/f/g.json")
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    source = open_source(tmp_path)

    assert source.truncated
    assert len(source.files) == 10
    assert source.entry("config.json") is not None


def test_deep_folders_are_left_out(tmp_path: Path) -> None:
    source = open_source(folder(tmp_path, "config.json", "a/b/c/d/x.json", "a/b/c/d/e/x.json", ".git/config.json"))

    assert [f.path for f in source.files] == ["a/b/c/d/x.json", "config.json"]
    assert not source.truncated
