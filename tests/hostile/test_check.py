"""The command itself on everything hostile: an answer in bounds, nothing run, nothing opened but the model."""

import json
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile import artefacts, command, headers

ATTACKS = headers.ATTACKS | artefacts.ATTACKS
PASSES = {
    # What there is no rule against, or what real loaders take as well.
    *("a_million_metadata_keys", "metadata_of_ninety_megabytes", "gguf_strings_in_a_hole", "folders_below_folders"),
    *("gguf_long_string_in_a_hole", "a_hundred_thousand_files", "templates_of_four_megabytes", "template_that_acts"),
    *(
        "code_beside_the_model",
        "pickle_memo_cycle",
        "pickle_deep",
        "zip_encrypted_in_local_header",
        "zip_other_local_name",
    ),
}
"""Attacks that may end with exit code 0 without a finding."""
OTHER_FORMATS = ("every_text_is_controls", "tensor_names_of_controls", "file_names_of_controls", "pickle_that_acts")

pytestmark = pytest.mark.timeout(command.PATIENCE)


@pytest.fixture
def place() -> Iterator[Path]:
    """An empty folder that goes with the test: pytest would keep the gigabytes of three runs."""
    folder = tempfile.mkdtemp(prefix="mmdoctor-hostile-")
    yield Path(folder)
    shutil.rmtree(os.fsencode(folder))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_answer_in_bounds(name: str, place: Path) -> None:
    target = ATTACKS[name](place)

    answer = command.check(target)

    command.assert_harmless(answer, place)
    assert not (place / "touched").exists()
    assert "root:" not in answer.out
    assert answer.code or name in PASSES or name.startswith("every_number") or _found(answer.out), answer.out


def _found(out: str) -> bool:
    return "warning" in out or "note  " in out or "could not check" in out


@pytest.mark.parametrize("format_", ["json", "markdown"])
@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_other_formats_are_as_harmless(name: str, format_: str, place: Path) -> None:
    answer = command.check(ATTACKS[name](place), "--format", format_)

    command.assert_harmless(answer, place)
    if format_ == "json":
        assert json.loads(answer.out)["crashed"] == []
    else:
        running = re.sub(r"(`+).*?\1", "", answer.out)
        assert not re.search(r"<script|</details>.|@everyone|(?<!\\)\*\*\[", running)


def test_colours_are_the_only_control_characters(place: Path) -> None:
    answer = command.check(ATTACKS["tensor_names_of_controls"](place), "--color", "always")

    assert "\x1b[" in answer.out
    assert "\x1b[2J" not in answer.out
    assert "\x07" not in answer.out
    assert "\u202e" not in answer.out


NOTHING = {
    "empty file": ("empty", "is empty (0 bytes)"),
    "file of nothing known": ("noise", "is no weight file"),
    "empty folder": ("folder", "is empty: give a weight file"),
    "folder without a model": ("pictures", "holds no model"),
    "nothing": ("absent", "does not exist"),
    "below a file": ("noise/model.pt", "does not exist"),
    "pipe": ("pipe", "is a pipe"),
    "pipe with a model's name": ("pipe.safetensors", "is a pipe"),
    "socket": ("socket.pt", "is a socket"),
    "device": ("/dev/zero", "is a device"),
    "link to a device": ("device.safetensors", "is a device"),
    "memory of a process": ("/proc/self/mem", ""),
    "loop of links": ("loop.safetensors", "is a link that leads to itself"),
    "dangling link": ("dangling.safetensors", "is a link to nowhere, which does not exist"),
    "long name": ("x" * 300, "cannot be opened: File name too long"),
    "long path": ("x/" * 3000, ""),
    "control characters": ("\x1b[2J\u202e", "does not exist"),
    "not UTF-8": (os.fsdecode(b"\xff.pt"), "does not exist"),
    "no path": ("", "the path is empty"),
    "blank": (" ", "the path is empty"),
}


@pytest.mark.parametrize("case", NOTHING)
def test_one_line_where_there_is_nothing_to_check(case: str, place: Path) -> None:
    name, words = NOTHING[case]
    (place / "empty").touch()
    (place / "noise").write_bytes(bytes(range(256)))
    (place / "folder").mkdir()
    (place / "pictures").mkdir()
    (place / "pictures" / "cat.jpg").write_bytes(b"\xff\xd8\xff")
    for pipe in ("pipe", "pipe.safetensors"):
        os.mkfifo(place / pipe)
    (place / "device.safetensors").symlink_to("/dev/zero")
    (place / "loop.safetensors").symlink_to("loop.safetensors")
    (place / "dangling.safetensors").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place / "socket.pt"))

    answer = command.check(name if name.startswith("/") or not name.strip() else str(place / name))

    command.assert_harmless(answer, place, Path("/proc/self/mem"))
    assert answer.code == 2
    assert words in answer.err


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.gguf"])
def test_a_file_that_may_not_be_read(name: str, place: Path) -> None:
    (place / name).write_bytes(b"x" * 100)
    (place / name).chmod(0)

    answer = command.check(place / name, as_nobody=True)

    command.assert_harmless(answer, place)
    assert answer.code == 2
    assert "permission denied" in answer.err


def test_a_folder_that_may_not_be_read(place: Path) -> None:
    folder = artefacts.folder_of(place / "model")
    folder.chmod(0)

    answer = command.check(folder, as_nobody=True)

    folder.chmod(0o700)
    command.assert_harmless(answer, place)
    assert answer.code == 2
    assert "permission denied" in answer.err


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors", "processor_config.json"])
def test_a_file_of_a_folder_that_may_not_be_read(name: str, place: Path) -> None:
    folder = artefacts.folder_of(place / "model")
    (folder / name).chmod(0)

    answer = command.check(folder, as_nobody=True)

    command.assert_harmless(answer, place)
    assert f"{name}: not readable" in " ".join(answer.out.split())


def test_nothing_beside_the_model_is_run_from_its_own_folder(place: Path) -> None:
    folder = ATTACKS["code_beside_the_model"](place)

    answer = command.check(".", cwd=folder)

    command.assert_harmless(answer, place)
    assert not (place / "touched").exists()


@pytest.mark.parametrize("link", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_a_link_to_a_secret_is_not_opened(link: str, place: Path) -> None:
    secret = place / "home" / "id_rsa"
    secret.parent.mkdir()
    secret.write_text("SECRET")
    folder = artefacts.folder_of(place / "model")
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(secret)

    answer = command.check(folder)

    command.assert_harmless(answer, folder)
    assert "SECRET" not in answer.out


def test_the_witness_sees_what_is_opened(place: Path) -> None:
    folder = artefacts.folder_of(place / "model")

    answer = command.check(folder)

    opened = {what for event, what in answer.events if event == "open"}
    assert {str(folder / "config.json"), str(folder / "model.safetensors")} <= opened
    assert ("open", str(folder / "config.json")) in command.strangers(answer, place / "other")
