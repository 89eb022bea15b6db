"""INT025 fires on configuration and tokenizer files that loaders refuse, with line and column."""

from pathlib import Path

import pytest

from mmdoctor.engine import Engine, Ran
from mmdoctor.facts.documents import BrokenDocument, Documents, JsonDocument
from mmdoctor.facts.source import Source
from mmdoctor.finding import Finding, Severity
from mmdoctor.providers import Providers
from mmdoctor.readers.index import shard_index
from mmdoctor.readers.source import open_source
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.json_unreadable import json_unreadable


def _findings(root: Path, **files: bytes) -> tuple[Finding, ...]:
    (root / "config.json").write_bytes(b'{"model_type": "bert"}')
    for name, data in files.items():
        (root / f"{name}.json").write_bytes(data)
    outcome = Engine(Providers(), {Source: open_source(root)}).run([json_unreadable])["INT025"]
    assert isinstance(outcome, Ran)
    return outcome.findings


@pytest.mark.parametrize(
    ("data", "line", "column"),
    [(b'{"a": 1,\n}', 2, 1), (b"\xef\xbb\xbf{}", 1, 1), (b'{"a": ', 1, 7), (b'{"a": "\xe9"}', 1, 8)],
)
def test_fires_with_the_place(tmp_path: Path, data: bytes, line: int, column: int) -> None:
    (finding,) = _findings(tmp_path, config=data)

    assert finding.severity is Severity.ERROR
    assert (finding.location.file, finding.location.line, finding.location.column) == ("config.json", line, column)


@pytest.mark.parametrize("data", [b'{"a": 1,}', b"\xef\xbb\xbf{}", b'{"a": "\xe9"}', b"[]", b"", b'{"a": '])
def test_transformers_refuses_what_is_reported(tmp_path: Path, data: bytes) -> None:
    transformers = pytest.importorskip("transformers")
    (tmp_path / "config.json").write_bytes(data)

    with pytest.raises((OSError, ValueError, TypeError, AttributeError)):
        transformers.BertConfig.from_pretrained(tmp_path)
    assert len(_findings(tmp_path, config=data)) == 1


def test_fires_on_a_tokenizer_that_is_cut_short(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, tokenizer=b'{"model": {"type": "BPE", "vocab": {"a": 0')

    assert finding.location.file == "tokenizer.json"
    assert "cut short" in finding.message


def test_a_generation_config_is_skipped_silently_by_the_library_so_a_warning() -> None:
    broken = Documents(by_file={}, broken=(BrokenDocument(file="generation_config.json", reason="the file is empty"),))

    (problem,) = fires(json_unreadable, broken, None, None)

    assert problem.severity is Severity.WARNING


def test_warns_on_a_key_that_stands_twice(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, generation_config=b'{"eos_token_id": 1, "eos_token_id": 2}')

    assert finding.severity is Severity.WARNING
    assert finding.location.pointer == "/eos_token_id"


def test_silent_on_nan_and_on_lone_surrogates(tmp_path: Path) -> None:
    assert _findings(tmp_path, generation_config=b'{"a": NaN, "b": -Infinity, "c": "\\ud83d"}') == ()


def test_silent_on_pointers_and_pages_that_int001_reports(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"

    assert _findings(tmp_path, tokenizer_config=pointer, generation_config=b"<!DOCTYPE html><html></html>") == ()


def test_silent_on_files_of_no_loader(tmp_path: Path) -> None:
    assert _findings(tmp_path, notes=b"not json") == ()


def test_silent_on_sound_documents() -> None:
    silent(json_unreadable, Documents(by_file={"config.json": JsonDocument(file="config.json", value={})}), None, None)


def test_fires_on_an_index_that_is_no_json(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text('{"metadata": {}, "weight_map": {"a": "b.safetensors"')

    (problem,) = fires(json_unreadable, Documents(by_file={}), None, shard_index(open_source(tmp_path)))

    assert "cut short" in problem.message
    assert problem.because[0].at.file == "model.safetensors.index.json"
