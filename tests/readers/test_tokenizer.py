"""Which token gets which id, against the `tokenizers` library and transformers."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from mmdoctor.engine import Engine, NotApplicable, Unavailable
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import Tokenizer, TokenizerFile
from mmdoctor.providers import Providers
from mmdoctor.readers.json_text import BrokenTextError
from mmdoctor.readers.source import open_source
from mmdoctor.readers.tokenizer_json import tokenizer_json

WORDS = {"a": 0, "b": 1, "c": 2, "<pad>": 3}


def _added(number: int, content: str, special: bool = True) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": content, "special": special, **flags}


def _file(vocab: Any = None, added: Any = (), kind: str = "WordLevel", **model: Any) -> dict[str, Any]:
    own = {"type": kind, "vocab": WORDS if vocab is None else vocab}
    own |= {"unk_token": "a"} if kind == "WordLevel" else {}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "pre_tokenizer", "post_processor", "decoder"))
    return {"version": "1.0", **empty, "added_tokens": list(added), "model": {**own, **model}}


def _folder(root: Path, **files: Any) -> Path:
    (root / "config.json").write_text('{"model_type": "bert"}')
    for name, value in files.items():
        path = root / name.replace("_json", ".json").replace("_txt", ".txt").replace("_model", ".model")
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return root


def _read(root: Path) -> Tokenizer:
    return Engine(Providers(), {Source: open_source(root)}).fact(Tokenizer)


def _ids(tokenizer: Tokenizer) -> dict[str, int]:
    return {**tokenizer.vocabulary, **{token.content: token.id for token in tokenizer.added}}


@given(
    vocab=st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 40), min_size=1, max_size=8),
    added=st.lists(
        st.tuples(st.integers(0, 60), st.sampled_from(["<x>", "<y>", "<z>", "a", "b"]), st.booleans()), max_size=5
    ),
)
def test_added_tokens_get_the_librarys_ids(
    tmp_path_factory: pytest.TempPathFactory, vocab: dict[str, int], added: list[tuple[int, str, bool]]
) -> None:
    unique_ids = {number: content for content, number in vocab.items()}
    vocab = {content: number for number, content in unique_ids.items()} | {"a": 50}
    text = _file(vocab, [_added(*token) for token in added])
    root = _folder(tmp_path_factory.mktemp("t"), tokenizer_json=text)
    library = Library.from_str(json.dumps(text))

    ours = _read(root)

    assert _ids(ours) == library.get_vocab(with_added_tokens=True)
    assert ours.max_id.value == max(library.get_vocab(with_added_tokens=True).values())


def test_a_gap_is_closed_and_the_stated_id_remembered(tmp_path: Path) -> None:
    root = _folder(tmp_path, tokenizer_json=_file(added=[_added(64003, "<image>")]))

    (token,) = _read(root).added

    assert (token.id, token.stated) == (4, 64003)
    assert (token.at.file, token.at.pointer) == ("tokenizer.json", "/added_tokens/0")


@pytest.mark.parametrize("named", ["[PAD]", {"content": "[PAD]", "lstrip": False, "__type": "AddedToken"}])
def test_a_named_token_that_is_nowhere_gets_the_next_id(tmp_path: Path, named: Any) -> None:
    config = {"pad_token": named, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 10**30 + 7}
    root = _folder(tmp_path, tokenizer_json=_file(), tokenizer_config_json=config)

    ours = _read(root)

    assert (ours.max_id.value, ours.max_token) == (4, "[PAD]")
    assert ours.max_id.at.pointer == "/pad_token"
    assert ours.named["pad_token"].value == "[PAD]"
    assert ours.model_max_length is not None
    assert ours.model_max_length.value > 10**29


@pytest.mark.parametrize(
    "config",
    [
        {"pad_token": "[PAD]", "extra_special_tokens": ["<e>", "<pad>"]},
        {"additional_special_tokens": ["<e>", "<f>"], "added_tokens_decoder": {"9": _added(0, "<d>")}},
        {"extra_special_tokens": {"image_token": "<image>", "boi_token": "<boi>"}},
        {"added_tokens_decoder": {"5": {"content": "<late>"}, "4": {"content": "<early>", "special": True}}},
        {},
    ],
)
def test_ids_are_those_of_transformers(tmp_path: Path, config: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    root = _folder(tmp_path, tokenizer_json=_file(added=[_added(4, "<s>")]), tokenizer_config_json=config)

    library = transformers.PreTrainedTokenizerFast.from_pretrained(root)

    assert _ids(_read(root)) == library.get_vocab()


def test_special_tokens_map_counts_only_without_a_decoder(tmp_path: Path) -> None:
    legacy = {"pad_token": "[LEGACY]"}
    root = _folder(tmp_path, tokenizer_json=_file(), special_tokens_map_json=legacy, tokenizer_config_json={})
    assert _read(root).named["pad_token"].at.file == "special_tokens_map.json"

    _folder(tmp_path, tokenizer_config_json={"added_tokens_decoder": {"4": _added(4, "<d>")}})
    assert "pad_token" not in _read(root).named


@pytest.mark.parametrize(
    ("model", "kind", "merge"),
    [
        ({"kind": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}, "BPE", "a b"),
        ({"kind": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}, "BPE", ("a", "b")),
        ({"kind": "BPE", "vocab": {"a": 0}, "merges": []}, "BPE", None),
        ({"kind": "Unigram", "vocab": [["<unk>", 0.0], ["a", -1]], "unk_id": 0}, "Unigram", None),
        ({"kind": "WordPiece", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}, "WordPiece", None),
    ],
)
def test_kinds_and_the_shape_of_the_merges(model: dict[str, Any], kind: str, merge: object) -> None:
    found = tokenizer_json(json.dumps(_file(**model)).encode(), "tokenizer.json")

    assert found.kind == kind
    assert (found.first_merge.value if found.first_merge else None) == merge
    assert found.largest is not None
    assert found.largest.value == len(model["vocab"]) - 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": None}, "expected `object`"),
        ({"model": {"type": "BPE", "vocab": {"a": "0"}}}, "expected `int`"),
        ({"model": {"type": "BPE", "vocab": {"a": -1}}}, "not between"),
        ({"added_tokens": [{"id": 2**40, "content": "x"}]}, "not between"),
        ({"added_tokens": [{"content": "x"}]}, "missing required field `id`"),
    ],
)
def test_files_that_the_library_refuses_are_broken(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BrokenTextError) as caught:
        tokenizer_json(json.dumps(_file() | change).encode(), "tokenizer.json")
    with pytest.raises(Exception, match=r"line 1 column \d+"):
        Library.from_str(json.dumps(_file() | change))

    assert words in caught.value.broken.reason


def test_a_file_that_is_cut_short_says_so(tmp_path: Path) -> None:
    text = json.dumps(_file(), indent=1).encode()
    root = _folder(tmp_path, tokenizer_json=text[:-40])

    with pytest.raises(Unavailable, match="cut short"):
        _read(root)


def test_tokenizer_json_wins_over_every_other_file(tmp_path: Path) -> None:
    root = _folder(tmp_path, tokenizer_json=_file(), vocab_json={"z": 0}, vocab_txt=b"q\n", spiece_model=b"")

    assert _read(root).file == "tokenizer.json"


def test_no_tokenizer_is_not_applicable(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable, match="no tokenizer"):
        _read(_folder(tmp_path))


def test_a_pointer_without_other_files_is_unavailable(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"ab" * 32 + b"\nsize 11421896\n"
    root = _folder(tmp_path, tokenizer_json=pointer)
    with pytest.raises(Unavailable, match="stand-in"):
        _read(root)

    _folder(tmp_path, tokenizer_config_json={"added_tokens_decoder": {"32000": _added(0, "<image>")}})
    known = _read(root)
    assert (known.complete, known.id_of("<image>"), known.max_id.value) == (False, 32000, 32000)


def test_vocab_txt_counts_lines(tmp_path: Path) -> None:
    found = _read(_folder(tmp_path, vocab_txt="[PAD]\r\n[UNK]\r\né\r\n".encode()))

    assert (found.kind, found.max_id.value, found.max_token, found.max_id.at.line) == ("WordPiece", 2, "é", 3)


def test_vocab_json_of_bpe_and_of_one_vocabulary_a_language(tmp_path: Path) -> None:
    found = _read(_folder(tmp_path, vocab_json={"a": 0, "b/c": 7}))
    assert (found.kind, found.max_id.value, found.max_id.at.pointer) == ("BPE", 7, "/b~1c")

    _folder(tmp_path, vocab_json={"eng": {"a": 0}})
    file = Engine(Providers(), {Source: open_source(tmp_path)}).fact(TokenizerFile)
    assert not file.complete


def test_tekken_puts_special_tokens_first_and_cuts_the_vocabulary(tmp_path: Path) -> None:
    vocab = [{"rank": i, "token_bytes": "YQ==", "token_str": f"t{i}" if i else None} for i in range(20)]
    special = [{"rank": 0, "token_str": "<unk>", "is_control": True}, {"rank": 3, "token_str": "[INST]"}]
    tekken = {"config": {"default_vocab_size": 15, "default_num_special_tokens": 5}, "vocab": vocab}
    (tmp_path / "tekken.json").write_text(json.dumps(tekken | {"special_tokens": special}))

    found = _read(_folder(tmp_path))

    assert (found.kind, found.max_id.value, found.id_of("[INST]"), found.id_of("t9")) == ("tekken", 14, 3, 14)
    assert found.id_of("t10") is None


def test_tiktoken_lines_are_counted_under_either_name(tmp_path: Path) -> None:
    lines = b"".join(base64.b64encode(bytes([i])) + b" %d\n" % i for i in range(7))
    (tmp_path / "qwen.tiktoken").write_bytes(lines)
    found = _read(_folder(tmp_path))
    assert (found.kind, found.max_id.value, found.complete) == ("tiktoken", 6, False)

    (tmp_path / "qwen.tiktoken").rename(tmp_path / "tokenizer.model")
    assert _read(_folder(tmp_path)).kind == "tiktoken"
