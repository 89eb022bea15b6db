"""DRF030 fires on tokenizer files that the libraries of the deployment do not read, and on nothing else."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor.finding import Edit, Severity
from mmdoctor_checks.drift.tokenizer_file_version import tokenizer_file_version
from tests.checks.drift.library_versions import FIVE, FOUR, NOWHERE, OLD, QWEN, findings, installed

GEMMA = {"model_type": "gemma3"}
NAMED = {"boi_token": "<boi>", "image_token": "<image>"}
TOKENIZERS_019 = installed(transformers="4.44.2", tokenizers="0.19.1")


def json_of(first: Any) -> dict[str, Any]:
    vocabulary = {"a": 0, "b": 1, "ab": 2}
    return {"model": {"type": "BPE", "vocab": vocabulary, "merges": [first]}, "added_tokens": []}


def found(
    folder: Path, libraries: Libraries, settings: Any = None, config: Any = QWEN, merge: Any = "a b", **files: Any
) -> Any:
    files = {"config_json": config, "tokenizer_json": json_of(merge)} | files
    if settings is not None:
        files["tokenizer_config_json"] = settings
    return findings(tokenizer_file_version, folder, libraries, **files)


def test_merges_as_pairs_need_tokenizers_0_20(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, TOKENIZERS_019, merge=["a", "b"])

    assert finding.severity is Severity.ERROR
    assert "tokenizers 0.19.1 (in prod.json) is older" in finding.message
    assert finding.location.pointer == "/model/merges/0"


@pytest.mark.parametrize(
    ("libraries", "fires"),
    [
        (installed(transformers="4.44.2"), 1),
        (installed(transformers="4.45.0"), 0),
        (installed(transformers="4.45.0", tokenizers="0.20.0"), 0),
        (FOUR, 0),
        (FIVE, 0),
        (NOWHERE, 0),
    ],
)
def test_the_edge_of_the_merges(tmp_path: Path, libraries: Libraries, fires: int) -> None:
    assert len(found(tmp_path, libraries, merge=["a", "b"])) == fires
    assert not found(tmp_path, libraries, merge="a b")


def test_the_class_of_transformers_5(tmp_path: Path) -> None:
    (finding,) = found(tmp_path, FOUR, {"tokenizer_class": "TokenizersBackend"})

    assert finding.severity is Severity.ERROR
    assert "transformers 4.57.6 (in prod.json) does not read that" in finding.message
    assert finding.location.pointer == "/tokenizer_class"
    assert finding.fix.edits == (
        Edit(file="tokenizer_config.json", pointer="/tokenizer_class", value="PreTrainedTokenizerFast"),
    )
    assert not found(tmp_path, FIVE)
    assert [f.severity for f in found(tmp_path, NOWHERE)] == [Severity.NOTE]


@pytest.mark.parametrize("name", ["Qwen2Tokenizer", "Qwen2TokenizerFast", "PreTrainedTokenizerFast", "LlamaTokenizer"])
@pytest.mark.parametrize("libraries", [OLD, FOUR, FIVE, NOWHERE])
def test_silent_on_classes_of_both_lines(tmp_path: Path, libraries: Libraries, name: str) -> None:
    assert not found(tmp_path, libraries, {"tokenizer_class": name})


@pytest.mark.parametrize("libraries", [FOUR, NOWHERE])
def test_silent_on_a_class_with_code_of_its_own(tmp_path: Path, libraries: Libraries) -> None:
    settings = {"tokenizer_class": "MyTokenizer", "auto_map": {"AutoTokenizer": ["tokenization.MyTokenizer", None]}}
    assert not found(tmp_path, libraries, settings)


def test_silent_on_a_model_type_that_needs_transformers_5_anyway(tmp_path: Path) -> None:
    assert not found(tmp_path, FOUR, {"tokenizer_class": "TokenizersBackend"}, {"model_type": "gemma4"})


def test_extra_tokens_as_a_list(tmp_path: Path) -> None:
    settings = {"tokenizer_class": "Qwen2Tokenizer", "extra_special_tokens": ["<a>", "<b>"]}
    (finding,) = found(tmp_path, FOUR, settings)

    assert "extra_special_tokens a list of 2" in finding.message
    assert finding.fix.edits == (
        Edit(file="tokenizer_config.json", pointer="/extra_special_tokens", value={}),
        Edit(file="tokenizer_config.json", pointer="/additional_special_tokens", value=["<a>", "<b>"]),
    )
    assert not found(tmp_path, installed(transformers="4.46.3", tokenizers="0.20.3")), "it did not read the key yet"
    assert not found(tmp_path, FIVE)
    assert not found(tmp_path, FOUR, settings | {"extra_special_tokens": NAMED})


def test_named_tokens_that_the_processor_of_transformers_4_asks_for(tmp_path: Path) -> None:
    settings = {"tokenizer_class": "GemmaTokenizer", "model_specific_special_tokens": NAMED}
    (finding,) = found(tmp_path, FOUR, settings, GEMMA)

    assert "named tokens boi_token, image_token" in finding.message
    assert finding.fix.edits == (
        Edit(file="tokenizer_config.json", pointer="/extra_special_tokens", value=dict(NAMED)),
    )
    assert not found(tmp_path, FOUR, settings, QWEN), "that one helps itself"
    assert not found(tmp_path, FIVE, settings, GEMMA)
    assert not found(tmp_path, FOUR, settings | {"extra_special_tokens": NAMED}, GEMMA)


def piece(text: bytes) -> bytes:
    """One piece of a SentencePiece model (sentencepiece_model.proto: `pieces` = 1, in it `piece` = 1, `score` = 2)."""
    inner = b"\x0a" + bytes([len(text)]) + text + b"\x15\x00\x00\x00\x00"
    return b"\x0a" + bytes([len(inner)]) + inner


def sentencepiece(folder: Path, libraries: Libraries, **files: Any) -> Any:
    model = b"".join(piece(token) for token in (b"<s>", b"a", b"b"))
    files = {"config_json": {"model_type": "llama"}, "tokenizer_model": model} | files
    return findings(tokenizer_file_version, folder, libraries, **files)


@pytest.mark.parametrize(
    ("more", "missing"),
    [
        ({}, "sentencepiece and protobuf is not there"),
        ({"sentencepiece": "0.2.0"}, "protobuf is not there"),
        ({"protobuf": "6.30"}, "sentencepiece is not there"),
        ({"protobuf": "6.30", "sentencepiece": "0.2.0"}, None),
    ],
)
@pytest.mark.parametrize("version", ["4.57.6", "5.23.0"])
def test_a_sentencepiece_model_alone(tmp_path: Path, version: str, more: dict[str, str], missing: str | None) -> None:
    said = [f.message for f in sentencepiece(tmp_path, installed(transformers=version, **more))]

    assert len(said) == (missing is not None)
    assert all(str(missing) in message for message in said)


def test_silent_where_a_tokenizer_json_is_there_or_nothing_is_known(tmp_path: Path) -> None:
    assert not sentencepiece(tmp_path / "unknown", NOWHERE)
    assert not sentencepiece(tmp_path / "no-transformers", installed(torch="2.9"))
    assert not sentencepiece(tmp_path / "json", FOUR, tokenizer_json=json_of("a b"))
    code = {"tokenizer_class": "MyTokenizer", "auto_map": {"AutoTokenizer": ["tokenization.MyTokenizer", None]}}
    assert not sentencepiece(tmp_path / "code", FOUR, tokenizer_config_json=code)


def test_silent_on_a_damaged_tokenizer_json(tmp_path: Path) -> None:
    assert not findings(tokenizer_file_version, tmp_path, FOUR, config_json=QWEN, tokenizer_json=b'{"model": {')


@pytest.mark.parametrize(
    "settings",
    [
        [],
        {"tokenizer_class": 7},
        {"tokenizer_class": "\ud800", "extra_special_tokens": [None, {}]},
        {"extra_special_tokens": [], "model_specific_special_tokens": {"": None, "image_token": 5}},
        {"extra_special_tokens": ["\ud800"] * 10_000},
    ],
)
def test_odd_settings_are_no_crash(tmp_path: Path, settings: Any) -> None:
    for finding in found(tmp_path, FOUR, settings, GEMMA):
        assert finding.message
