"""WordPiece tokens from a `tokenizer.json`, without the tokenizers package.

Wu et al. 2016, https://arxiv.org/abs/1609.08144, section 4.1; matching as in BERT's `tokenization.py`, the longest
piece first. Reads what `files()` writes, which Hugging Face's `tokenizers` reads just the same.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.errors import MMDoctorError
from mmdoctor.readers.source import open_source
from mmdoctor.readers.vocabulary import tokenizer_file
from mmdoctor.reference.world import SPECIAL_TOKENS, VOCABULARY

_CONTINUING = "##"


class Encoding(NamedTuple):
    """A batch of texts, padded to the longest."""

    input_ids: list[list[int]]
    token_type_ids: list[list[int]]
    """0 for the first text of a pair, 1 for the second."""
    attention_mask: list[list[int]]
    """1 for a token, 0 for padding."""


class Tokenizer:
    """Text to ids and back.

    Args:
        content: the content of a `tokenizer.json`.

    Raises:
        ValueError: it is not a WordPiece tokenizer, or a special token is not in its vocabulary.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        kind = content["model"].get("type")
        if kind != "WordPiece":
            raise ValueError(f"the tokenizer's model is {kind!r}, expected 'WordPiece'")
        self.vocabulary: dict[str, int] = content["model"]["vocab"]
        self.tokens = {index: token for token, index in self.vocabulary.items()}
        self.special = {entry["content"]: entry["id"] for entry in content["added_tokens"]}
        for token, index in self.special.items():
            if self.vocabulary.get(token) != index:
                raise ValueError(f"{token} has id {index}, the vocabulary says {self.vocabulary.get(token)}")
        self._special = re.compile("(" + "|".join(re.escape(token) for token in self.special) + ")")

    @classmethod
    def from_folder(cls, folder: Path) -> "Tokenizer":
        """As a user's is read; raises `MMDoctorError` when `tokenizer.json` is missing or not what it should be."""
        try:
            read = tokenizer_file(open_source(folder))
            kind = read.broken.reason if read.broken is not None else read.kind
            special = [{"content": token.content, "id": token.id} for token in read.added if token.special]
            return cls({"model": {"type": kind, "vocab": read.vocabulary}, "added_tokens": special})
        except (NotApplicable, Unavailable, ValueError) as error:
            file = folder / "tokenizer.json"
            raise MMDoctorError(f"{file} cannot be used: {error}; install mmdoctor again") from None

    def ids(self, text: str) -> list[int]:
        """Ids of the text alone, without [CLS] and [SEP]."""
        result: list[int] = []
        for part in self._special.split(text):
            if part in self.special:
                result.append(self.special[part])
            else:
                for word in _words(part):
                    result.extend(self._pieces(word))
        return result

    def encode(self, texts: Sequence[str | tuple[str, str]]) -> Encoding:
        """[CLS] text [SEP], or [CLS] text [SEP] second text [SEP] for pairs; padded to the longest."""
        cls, sep, pad = (self.special[name] for name in ("[CLS]", "[SEP]", "[PAD]"))
        rows, segments = [], []
        for text in texts:
            first, *second = (text,) if isinstance(text, str) else text
            ids = [cls, *self.ids(first), sep]
            kinds = [0] * len(ids)
            for other in second:
                more = [*self.ids(other), sep]
                ids, kinds = ids + more, kinds + [1] * len(more)
            rows.append(ids)
            segments.append(kinds)
        longest = max(map(len, rows), default=0)
        return Encoding(
            [row + [pad] * (longest - len(row)) for row in rows],
            [row + [0] * (longest - len(row)) for row in segments],
            [[1] * len(row) + [0] * (longest - len(row)) for row in rows],
        )

    def decode(self, ids: Sequence[int]) -> str:
        """The words, without the special tokens; endings are joined to their word."""
        words = (self.tokens[index] for index in ids if self.tokens[index] not in self.special)
        return " ".join(words).replace(f" {_CONTINUING}", "")

    def _pieces(self, word: str) -> list[int]:
        pieces, start = [], 0
        while start < len(word):
            prefix = _CONTINUING if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if prefix + word[start:end] in self.vocabulary), None)
            if end is None:
                return [self.special["[UNK]"]]
            pieces.append(self.vocabulary[prefix + word[start:end]])
            start = end
        return pieces


def _words(text: str) -> list[str]:
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn").lower()
    return re.findall(r"\w+|[^\w\s]", plain)


def files() -> dict[str, Any]:
    """Contents of `tokenizer.json` and `tokenizer_config.json`, by file name."""
    named = {f"{name.strip('[]').lower()}_token": name for name in SPECIAL_TOKENS if name.startswith("[")}
    added = [
        {
            "id": VOCABULARY[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for token in SPECIAL_TOKENS
    ]
    ending = {token: {"id": token, "ids": [VOCABULARY[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    cls, sep, second_sep = (
        {"SpecialToken": {"id": name, "type_id": kind}} for name, kind in (("[CLS]", 0), ("[SEP]", 0), ("[SEP]", 1))
    )
    return {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": True,
                "handle_chinese_chars": True,
                "strip_accents": True,
                "lowercase": True,
            },
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [cls, first, sep],
                "pair": [cls, first, sep, second, second_sep],
                "special_tokens": ending,
            },
            "decoder": {"type": "WordPiece", "prefix": _CONTINUING, "cleanup": False},
            "model": {
                "type": "WordPiece",
                "unk_token": "[UNK]",
                "continuing_subword_prefix": _CONTINUING,
                "max_input_chars_per_word": 100,
                "vocab": VOCABULARY,
            },
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": 64,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            "padding_side": "right",
            "clean_up_tokenization_spaces": False,
            **named,
            "extra_special_tokens": {"image_token": "<image>"},
            "added_tokens_decoder": {
                str(entry["id"]): {key: value for key, value in entry.items() if key != "id"} for entry in added
            },
        },
    }
