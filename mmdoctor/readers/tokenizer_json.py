"""tokenizer.json: vocabulary and added tokens, decoded into their types; everything else is passed over unread."""

import json
import re

import msgspec

from mmdoctor.facts.documents import BrokenDocument, escape
from mmdoctor.facts.tokenizer import AddedToken, TokenizerFile
from mmdoctor.location import Location, Reading
from mmdoctor.readers.json_text import MAX_BYTES, BrokenTextError, refuse_unreadable, where_text_breaks

MAX_VOCABULARY = 1_500_000
"""Commas in the vocabulary, so about as many entries of 150 bytes of memory; XLM-V has a million, Gemma 262,144."""
MAX_ADDED = 250_000
"""Added tokens, of 300 bytes of memory each; models of speech that add their codebooks have up to 30,000."""
MAX_ID = 2**32 - 1
"""Ids are u32 in the `tokenizers` library."""


class _Added(msgspec.Struct):
    id: int
    content: str
    special: bool = False


class _Model(msgspec.Struct):
    type: str | None = None
    vocab: msgspec.Raw = msgspec.Raw(b"{}")
    merges: msgspec.Raw = msgspec.Raw(b"[]")
    continuing_subword_prefix: str | None = None


class _File(msgspec.Struct):
    model: _Model
    added_tokens: msgspec.Raw = msgspec.Raw(b"[]")
    truncation: msgspec.Raw = msgspec.Raw(b"null")
    padding: msgspec.Raw = msgspec.Raw(b"null")


class _Truncation(msgspec.Struct):
    max_length: int


class _Strategy(msgspec.Struct):
    Fixed: int


class _Padding(msgspec.Struct):
    strategy: _Strategy


_DECODER = msgspec.json.Decoder(_File)
_ADDED = msgspec.json.Decoder(list[_Added])
_VOCABULARY = msgspec.json.Decoder(dict[str, int] | list[tuple[str, float]])


def tokenizer_json(data: bytes, file: str) -> TokenizerFile:
    """Vocabulary, added tokens and the shape of the merges.

    Raises:
        BrokenTextError: it is not what the `tokenizers` library reads.
    """
    refuse_unreadable(data, file, MAX_BYTES)
    inside = ""
    try:
        parsed = _DECODER.decode(data)
        if bytes(parsed.model.vocab).count(b",") > MAX_VOCABULARY:
            raise BrokenTextError(BrokenDocument(file=file, reason=f"it has more than {MAX_VOCABULARY:,} entries"))
        if bytes(parsed.added_tokens).count(b"{") > MAX_ADDED:
            raise BrokenTextError(BrokenDocument(file=file, reason=f"it has more than {MAX_ADDED:,} added tokens"))
        inside = "/model/vocab"
        vocabulary = _VOCABULARY.decode(parsed.model.vocab)
        inside = "/added_tokens"
        added = _ADDED.decode(parsed.added_tokens)
    except RecursionError:
        raise BrokenTextError(BrokenDocument(file=file, reason="it is nested too deeply")) from None
    except UnicodeDecodeError:
        raise BrokenTextError(where_text_breaks(data, file, "a string is not UTF-8")) from None
    except msgspec.ValidationError as error:
        raise BrokenTextError(_unexpected(error, inside, file)) from None
    except msgspec.DecodeError as error:
        raise BrokenTextError(where_text_breaks(data, file, str(error))) from None
    if isinstance(vocabulary, list):
        ids = {content: index for index, (content, _) in enumerate(vocabulary)}
        largest = len(vocabulary) - 1
        pointer = f"/model/vocab/{largest}"
    else:
        ids = vocabulary
        largest = max(ids.values(), default=-1)
        content = next((c for c, number in reversed(ids.items()) if number == largest), "")  # it is mostly the last
        pointer = f"/model/vocab/{escape(content)}"
    _refuse_impossible_ids(ids, added, largest, file)
    return TokenizerFile(
        file=file,
        kind=parsed.model.type or _implied_type(parsed.model, vocabulary),
        vocabulary=ids,
        size=len(vocabulary),
        largest=Reading(largest, Location(file=file, pointer=pointer)) if vocabulary else None,
        added=tuple(
            AddedToken(
                id=token.id,
                content=token.content,
                special=token.special,
                at=Location(file=file, pointer=f"/added_tokens/{index}"),
            )
            for index, token in enumerate(added)
        ),
        first_merge=_first_merge(memoryview(parsed.model.merges), file),
        truncation=_length(parsed.truncation, _Truncation, file),
        fixed_length=_length(parsed.padding, _Padding, file),
    )


def _length(section: msgspec.Raw, kind: type[_Truncation | _Padding], file: str) -> Reading[int] | None:
    """The length in a section that may say nothing of one, `"padding": {"strategy": "BatchLongest"}` for one."""
    try:
        found = msgspec.json.decode(section, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(found, _Truncation):
        return Reading(found.max_length, Location(file=file, pointer="/truncation/max_length"))
    return Reading(found.strategy.Fixed, Location(file=file, pointer="/padding/strategy/Fixed"))


def _refuse_impossible_ids(ids: dict[str, int], added: list[_Added], largest: int, file: str) -> None:
    smallest = min(ids.values(), default=0)
    stated = [token.id for token in added]
    for value in (smallest, largest if ids else 0, min(stated, default=0), max(stated, default=0)):
        if not 0 <= value <= MAX_ID:
            raise BrokenTextError(BrokenDocument(file=file, reason=f"the token id {value} is not between 0 and 2^32"))


def _implied_type(model: _Model, vocabulary: dict[str, int] | list[tuple[str, float]]) -> str:
    """Files from before 2021 name no type; the library tries the models in turn."""
    if isinstance(vocabulary, list):
        return "Unigram"
    if bytes(model.merges) != b"[]":
        return "BPE"
    return "WordPiece" if model.continuing_subword_prefix is not None else "WordLevel"


def _first_merge(merges: memoryview, file: str) -> Reading[str] | Reading[tuple[str, ...]] | None:
    head = bytes(merges[:8192]).decode("utf-8", "ignore").lstrip()
    if not head.startswith("["):
        return None
    try:
        first, _ = json.JSONDecoder().raw_decode(head[1:].lstrip())
    except (ValueError, RecursionError):
        return None
    at = Location(file=file, pointer="/model/merges/0")
    if isinstance(first, str):
        return Reading(first, at)
    return Reading(tuple(map(str, first)), at) if isinstance(first, list) else None


def _unexpected(error: msgspec.ValidationError, inside: str, file: str) -> BrokenDocument:
    text, _, path = str(error).partition(" - at `$")
    pointer = inside + "".join(f"/{part}" for part in re.findall(r"[^.\[\]`]+", path) if part != "...")
    return BrokenDocument(file=file, reason=f"{text[0].lower()}{text[1:]}{f' at {pointer}' if pointer else ''}")
