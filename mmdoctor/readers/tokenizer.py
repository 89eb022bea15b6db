"""The tokenizer that transformers builds from its files: which token gets which id.

transformers 5.23 (tokenization_utils_base.py `_from_pretrained`, tokenization_utils_tokenizers.py
`TokenizersBackend.__init__`): the vocabulary file's own added tokens, then those of `added_tokens_decoder`
(tokenizer_config.json) in the order of their ids, else of added_tokens.json, then named special tokens that are still
unknown, then the extra ones. The `tokenizers` library ignores the ids that the files state for added tokens: a token
of the vocabulary keeps its id there, any other gets the size of the vocabulary and counts on from there
(added_vocabulary.rs, `add_tokens`; measured with 0.22 and 0.23).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents, JsonDocument, escape
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import AddedToken, Tokenizer, TokenizerFile
from mmdoctor.location import Reading
from mmdoctor.readers.vocabulary import vocabulary_files

CONFIG, LEGACY, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"


def tokenizer(source: Source, documents: Documents, file: TokenizerFile | None) -> Tokenizer:
    """The tokenizer with the ids that it gives, as far as its files tell.

    Raises:
        NotApplicable: there is no tokenizer.
        Unavailable: its vocabulary is a stand-in or cannot be read, and no other file lists added tokens.
    """
    listed = tuple(_listed(documents))
    base = file or _without_vocabulary(source, known=bool(listed))
    if base.broken is not None:
        raise Unavailable(f"{base.file} cannot be read: {base.broken.reason}")
    config = documents.find(CONFIG)
    named = dict(_named(documents))
    added = _numbered(base, listed, named, tuple(_extra(documents))) if base.complete else _as_stated(base, listed)
    max_id, max_token = _largest(base, added)
    return Tokenizer(
        file=base.file,
        kind=base.kind,
        vocabulary=base.vocabulary,
        added=added,
        max_id=max_id,
        max_token=max_token,
        tokenizer_class=config.read("/tokenizer_class", str) if config else None,
        model_max_length=config.read("/model_max_length", int, float) if config else None,
        padding_side=config.read("/padding_side", str) if config else None,
        named=named,
        complete=base.complete,
        first_merge=base.first_merge,
    )


def _without_vocabulary(source: Source, *, known: bool) -> TokenizerFile:
    """An empty vocabulary beside the added tokens that other files list with their ids."""
    files = vocabulary_files(source)
    if not known:
        if not files:
            raise NotApplicable("there is no tokenizer")
        entry = files[0]
        raise Unavailable(f"{entry.path} is {entry.problem or f'a stand-in ({entry.kind})'}, not a vocabulary")
    return TokenizerFile(file=files[0].path if files else CONFIG, kind="", complete=False)


def _listed(documents: Documents) -> Iterator[AddedToken]:
    """Added tokens of tokenizer_config.json, in the order of their ids; without any there, of added_tokens.json."""
    config, legacy = documents.find(CONFIG), documents.find(ADDED)
    decoder = config.get("/added_tokens_decoder") if config else None
    if config is not None and isinstance(decoder, dict):
        ids = sorted((int(key), key) for key in decoder if key.isascii() and key.isdigit() and len(key) < 11)
        for number, key in ids:
            text = _content(decoder[key])
            special = isinstance(decoder[key], dict) and decoder[key].get("special") is True
            if text is not None:
                at = config.at(f"/added_tokens_decoder/{key}")
                yield AddedToken(id=number, content=text, special=special, at=at)
    elif legacy is not None:
        numbers = {k: v for k, v in legacy.value.items() if isinstance(v, int) and not isinstance(v, bool) and v >= 0}
        for text, number in sorted(numbers.items(), key=lambda item: item[1]):
            yield AddedToken(id=number, content=text, special=False, at=legacy.at(f"/{escape(text)}"))


def _named(documents: Documents) -> Iterator[tuple[str, Reading[str]]]:
    """`pad_token` and the like. special_tokens_map.json counts only where no `added_tokens_decoder` stands."""
    config, legacy = documents.find(CONFIG), documents.find(LEGACY)
    sources: list[tuple[JsonDocument, str]] = []
    if config is not None:
        sources += [(config, ""), (config, "/extra_special_tokens"), (config, "/model_specific_special_tokens")]
    if legacy is not None and (config is None or not config.get("/added_tokens_decoder")):
        sources.append((legacy, ""))
    for document, pointer in sources:
        section = document.get(pointer) if pointer else document.value
        for key, value in section.items() if isinstance(section, dict) else ():
            text = _content(value)
            if key.endswith("_token") and text is not None:
                yield key, Reading(text, document.at(f"{pointer}/{escape(key)}"))


def _extra(documents: Documents) -> Iterator[Reading[str]]:
    """Unnamed special tokens. transformers 5 writes them as `extra_special_tokens`, 4 as the longer name."""
    for file in (CONFIG, LEGACY):
        document = documents.find(file)
        config = documents.find(CONFIG)
        if document is None or (file == LEGACY and config is not None and config.get("/added_tokens_decoder")):
            continue
        for key in ("extra_special_tokens", "additional_special_tokens"):
            values = document.get(f"/{key}")
            for index, value in enumerate(values if isinstance(values, list) else ()):
                text = _content(value)
                if text is not None:
                    yield Reading(text, document.at(f"/{key}/{index}"))


def _content(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else None


def _numbered(
    base: TokenizerFile,
    listed: tuple[AddedToken, ...],
    named: Mapping[str, Reading[str]],
    extra: tuple[Reading[str], ...],
) -> tuple[AddedToken, ...]:
    """Every added token with the id that the library gives it."""
    numbered: dict[str, AddedToken] = {}
    free = base.size
    others = (_unnumbered(reading) for reading in (*named.values(), *extra))
    for token in (*base.added, *listed, *others):
        if token.content in numbered or not token.content:
            continue
        number = base.vocabulary.get(token.content)
        if number is None and base.kind == "tekken":
            number = token.id
        if number is None:
            number, free = free, free + 1
        stated = token.id if token.id not in (number, _UNKNOWN) else None
        numbered[token.content] = AddedToken(
            id=number, content=token.content, special=token.special, at=token.at, stated=stated
        )
    return tuple(numbered.values())


_UNKNOWN = -1
"""In place of an id, for tokens that no file gives one."""


def _unnumbered(reading: Reading[str]) -> AddedToken:
    return AddedToken(id=_UNKNOWN, content=reading.value, special=True, at=reading.at)


def _as_stated(base: TokenizerFile, listed: tuple[AddedToken, ...]) -> tuple[AddedToken, ...]:
    by_id = {token.id: token for token in (*listed, *base.added)}
    return tuple(by_id[number] for number in sorted(by_id))


def _largest(base: TokenizerFile, added: tuple[AddedToken, ...]) -> tuple[Reading[int], str]:
    top = max(added, key=lambda token: token.id, default=None)
    if top is not None and (base.largest is None or top.id >= base.largest.value):
        return Reading(top.id, top.at), top.content
    if base.largest is None:
        raise Unavailable(f"{base.file} has an empty vocabulary")
    largest = base.largest.value
    backwards = reversed(tuple(base.vocabulary.items()))  # it is mostly the last
    content = next((c for c, i in backwards if i == largest), "")
    return base.largest, content
