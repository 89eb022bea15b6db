"""Hostile JSON is a broken document; test_check.py measures what it costs."""

import contextlib
from pathlib import Path

import pytest

from mmdoctor.engine import NotApplicable
from mmdoctor.readers.documents import documents, model_config
from mmdoctor.readers.json_position import locate
from mmdoctor.readers.source import open_source
from mmdoctor.readers.vocabulary import tokenizer_file
from tests.hostile import json_bombs


@pytest.mark.parametrize("bomb", json_bombs.ALL, ids=lambda bomb: bomb.__name__)
def test_a_bomb_is_a_broken_document(tmp_path: Path, bomb) -> None:
    (tmp_path / "config.json").write_bytes(bomb())

    assert _broken_in(tmp_path) == ["config.json"]


def test_bombs_in_every_file_are_all_named(tmp_path: Path) -> None:
    text = b"[" + b"[]," * 400_000 + b"[]]"
    for name in ("config.json", "generation_config.json", "processor_config.json", "adapter_config.json"):
        (tmp_path / name).write_bytes(b'{"a":' + text + b"}")
    (tmp_path / "tokenizer.json").write_bytes(json_bombs.vocabulary(2_000_000))

    assert len(_broken_in(tmp_path)) == 5


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


def _broken_in(folder: Path) -> list[str]:
    """Files that cannot be read."""
    source = open_source(folder)
    broken = [document.file for document in documents(source).broken]
    with contextlib.suppress(NotApplicable):
        tokenizer = tokenizer_file(source)
        broken += [tokenizer.file] if tokenizer.broken else []
    return broken
