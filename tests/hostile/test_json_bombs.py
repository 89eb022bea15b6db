"""Hostile JSON costs little memory, little time and no traceback."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from mmdoctor.readers.documents import documents, model_config
from mmdoctor.readers.json_position import locate
from mmdoctor.readers.source import open_source
from mmdoctor.readers.vocabulary import tokenizer_file
from tests.hostile import json_bombs

LIMIT = 512 * 2**20
_READ = """
import sys
from mmdoctor.readers.documents import documents
from mmdoctor.readers.source import open_source
from mmdoctor.readers.vocabulary import tokenizer_file
from mmdoctor.engine import NotApplicable
source = open_source(sys.argv[1])
read = documents(source)
try:
    broken = tokenizer_file(source).broken
except NotApplicable:
    broken = None
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(len(read.broken) + (broken is not None), int(peak) * 1024)
"""


@pytest.mark.parametrize("bomb", json_bombs.ALL, ids=lambda bomb: bomb.__name__)
def test_a_bomb_is_a_broken_document_in_bounded_memory(tmp_path: Path, bomb) -> None:
    (tmp_path / "config.json").write_bytes(bomb())

    count, peak = _read_in_a_process(tmp_path)

    assert count == 1
    assert peak < LIMIT


def test_bombs_in_every_file_together_stay_in_bounds(tmp_path: Path) -> None:
    text = b"[" + b"[]," * 400_000 + b"[]]"
    for name in ("config.json", "generation_config.json", "processor_config.json", "adapter_config.json"):
        (tmp_path / name).write_bytes(b'{"a":' + text + b"}")
    (tmp_path / "tokenizer.json").write_bytes(json_bombs.vocabulary(2_000_000))

    count, peak = _read_in_a_process(tmp_path)

    assert count == 5
    assert peak < LIMIT


def test_duplicate_keys_are_named_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(json_bombs.duplicates())

    read = documents(open_source(tmp_path))

    assert read["config.json"].duplicates == ("/a",)
    assert read["config.json"].get("/a") == 19_999


@pytest.mark.parametrize(
    "bomb", [json_bombs.deep, json_bombs.unterminated, json_bombs.objects], ids=lambda b: b.__name__
)
def test_positions_in_a_bomb_are_found_or_not_without_harm(bomb) -> None:
    assert locate(bomb(), "/b/0/c") is None


@pytest.mark.parametrize("value", ["[]", "3", '"text"', "null", "true"])
def test_a_configuration_that_is_no_object_is_broken(tmp_path: Path, value: str) -> None:
    (tmp_path / "config.json").write_text(value)

    (broken,) = documents(open_source(tmp_path)).broken

    assert "loaders expect an object" in broken.reason


@pytest.mark.parametrize("text", ['{"model_type": 7, "architectures": "Bert"}', '{"architectures": [1, {}, "A"]}'])
def test_wrong_types_in_a_configuration_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    config = model_config(documents(open_source(tmp_path)))

    assert config.model_type is None
    assert config.architectures in ((), ("A",))


def test_a_vocabulary_bomb_is_a_broken_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_bytes(json_bombs.vocabulary(1_600_000))

    broken = tokenizer_file(open_source(tmp_path)).broken

    assert broken is not None
    assert "1,500,000 entries" in broken.reason


def _read_in_a_process(folder: Path) -> tuple[int, int]:
    """Broken documents found, and peak memory in bytes."""
    out = subprocess.run(
        [sys.executable, "-c", _READ, str(folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 * LIMIT, 2 * LIMIT)),
    )
    count, peak = out.stdout.split()
    return int(count), int(peak)
