"""The file that the vocabulary comes from, in every format of the Hugging Face layout."""

import re
from collections.abc import Callable

import msgspec

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import BrokenDocument, escape
from mmdoctor.facts.source import FileEntry, Source
from mmdoctor.facts.tokenizer import AddedToken, TokenizerFile
from mmdoctor.location import Location, Reading
from mmdoctor.readers import content, sentencepiece
from mmdoctor.readers.json_text import MAX_BYTES, BrokenTextError, refuse_unreadable, where_text_breaks
from mmdoctor.readers.tokenizer_json import MAX_VOCABULARY, tokenizer_json

# tokenizer.json wins over every other file (transformers 5.23, tokenization_utils_tokenizers.py,
# convert_to_native_format); without it tekken.json and tokenizer.model* come before the names of the classes
# (tokenization_utils_base.py, `other_pattern`).
NAMES = (
    *(r"tokenizer\.json", r"tekken\.json", r"tokenizer\.model(\.v\d+\w*)?", r"tiktoken\.model", r"vocab\.json"),
    *(r"spiece\.model", r"sentencepiece\.bpe\.model", r"spm\.model", r"sentencepiece\.model", r"vocab\.txt"),
    *(r"[\w.-]+\.tiktoken",),
)
"""Vocabulary files, the one that loads first first."""

SHIFTED = re.compile(r"sentencepiece\.bpe\.model|spm\.model")
"""Models whose tokenizer classes move the ids of the pieces (transformers 4.57, `fairseq_offset`)."""

_TIKTOKEN_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")


def tokenizer_file(source: Source) -> TokenizerFile:
    """The vocabulary that a loader takes first, with its added tokens as the file states them.

    Raises:
        NotApplicable: there is no vocabulary file.
        Unavailable: there are only stand-ins (Git LFS pointers, error pages), or the file cannot be opened.
    """
    candidates = vocabulary_files(source)
    for entry in candidates:
        if content.usable(entry):
            return _read(source, entry)
    if not candidates:
        raise NotApplicable("there is no tokenizer")
    entry = candidates[0]
    raise Unavailable(f"{entry.path} is {entry.problem or f'a stand-in ({entry.kind}), not the vocabulary'}")


def vocabulary_files(source: Source) -> tuple[FileEntry, ...]:
    """The vocabulary files of the top level, stand-ins too, in the order in which loaders prefer them."""
    ranked = []
    for entry in source.top():
        for rank, pattern in enumerate(NAMES):
            if re.fullmatch(pattern, entry.path):
                ranked.append((rank, entry.path, entry))
                break
    return tuple(entry for _, _, entry in sorted(ranked, key=lambda r: r[:2]))


def _read(source: Source, entry: FileEntry) -> TokenizerFile:
    if entry.size > MAX_BYTES:
        reason = f"it has {entry.size:,} bytes, more than the {MAX_BYTES:,} that any real vocabulary needs"
        return TokenizerFile(
            file=entry.path, kind="", complete=False, broken=BrokenDocument(file=entry.path, reason=reason)
        )
    data = content.read(source, entry, MAX_BYTES)
    try:
        return _reader(entry.path, data)(data, entry.path)
    except BrokenTextError as error:
        return TokenizerFile(file=entry.path, kind="", complete=False, broken=error.broken)
    except sentencepiece.NotSentencePieceError as error:
        broken = BrokenDocument(file=entry.path, reason=str(error))
        return TokenizerFile(file=entry.path, kind="sentencepiece", complete=False, broken=broken)


def _reader(name: str, data: bytes) -> Callable[[bytes, str], TokenizerFile]:
    readers: dict[str, Callable[[bytes, str], TokenizerFile]] = {
        "tokenizer.json": tokenizer_json,
        "tekken.json": _tekken,
        "vocab.json": _vocab_json,
        "vocab.txt": _vocab_txt,
    }
    if name in readers:
        return readers[name]
    return _tiktoken if name.endswith(".tiktoken") or _TIKTOKEN_LINE.match(data) else _sentencepiece


def _vocab_json(data: bytes, file: str) -> TokenizerFile:
    refuse_unreadable(data, file, MAX_BYTES)
    if data.count(b",") > MAX_VOCABULARY:
        raise BrokenTextError(BrokenDocument(file=file, reason=f"it has more than {MAX_VOCABULARY:,} entries"))
    try:
        vocabulary = msgspec.json.decode(data, type=dict[str, int])
    except msgspec.ValidationError:  # wav2vec 2.0 keeps one vocabulary a language
        return TokenizerFile(file=file, kind="WordLevel", complete=False)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenTextError(where_text_breaks(data, file, str(error))) from None
    last = max(vocabulary, key=vocabulary.__getitem__) if vocabulary else ""
    return TokenizerFile(
        file=file,
        kind="BPE",
        vocabulary=vocabulary,
        size=len(vocabulary),
        largest=Reading(vocabulary[last], Location(file=file, pointer=f"/{escape(last)}")) if vocabulary else None,
    )


def _vocab_txt(data: bytes, file: str) -> TokenizerFile:
    if data.count(b"\n") > MAX_VOCABULARY:
        raise BrokenTextError(BrokenDocument(file=file, reason=f"it has more than {MAX_VOCABULARY:,} lines"))
    lines = data.decode("utf-8", "replace").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    # A line that stands twice keeps its last id, as in BertTokenizer's dictionary.
    vocabulary = {line.rstrip("\r"): index for index, line in enumerate(lines)}
    at = Location(file=file, line=len(lines), column=1)
    return TokenizerFile(
        file=file,
        kind="WordPiece",
        vocabulary=vocabulary,
        size=len(vocabulary),
        largest=Reading(len(lines) - 1, at) if lines else None,
    )


def _sentencepiece(data: bytes, file: str) -> TokenizerFile:
    model = sentencepiece.pieces(data)
    size = len(model.contents)
    at = Location(file=file)
    return TokenizerFile(
        file=file,
        kind="sentencepiece",
        vocabulary={piece: index for index, piece in enumerate(model.contents)},
        size=size,
        largest=Reading(size - 1, at),
        added=tuple(
            AddedToken(id=i, content=model.contents[i], special=i in model.control, at=at) for i in model.special
        ),
        complete=not SHIFTED.fullmatch(file),
    )


def _tiktoken(data: bytes, file: str) -> TokenizerFile:
    """Lines of base64 and rank. The special tokens are in code or in tokenizer_config.json."""
    lines = [line for line in data.splitlines() if line]
    last = lines[-1].rpartition(b" ")[2] if lines else b""
    if not last.isdigit() or len(last) > 10:
        raise BrokenTextError(BrokenDocument(file=file, reason="a line is not base64 and a rank", line=len(lines)))
    at = Location(file=file, line=len(lines), column=1)
    return TokenizerFile(file=file, kind="tiktoken", size=len(lines), largest=Reading(int(last), at), complete=False)


class _TekkenSettings(msgspec.Struct):
    default_vocab_size: int = 131072
    default_num_special_tokens: int = 1000


class _TekkenToken(msgspec.Struct):
    rank: int = 0
    token_str: str | None = None
    is_control: bool = True


class _Tekken(msgspec.Struct):
    config: _TekkenSettings
    vocab: list[_TekkenToken] = []
    special_tokens: list[_TekkenToken] | None = None


def _tekken(data: bytes, file: str) -> TokenizerFile:
    """Mistral's own format: the special tokens come first, the vocabulary is cut to the size in `config`."""
    refuse_unreadable(data, file, MAX_BYTES)
    if data.count(b"{") > MAX_VOCABULARY:
        raise BrokenTextError(BrokenDocument(file=file, reason=f"it has more than {MAX_VOCABULARY:,} entries"))
    try:
        parsed = msgspec.json.decode(data, type=_Tekken)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenTextError(where_text_breaks(data, file, str(error))) from None
    specials = parsed.config.default_num_special_tokens
    kept = min(len(parsed.vocab), max(0, parsed.config.default_vocab_size - specials))
    vocabulary = {t.token_str: specials + t.rank for t in parsed.vocab[:kept] if t.token_str is not None}
    largest = max((specials + t.rank for t in parsed.vocab[:kept]), default=specials - 1)
    return TokenizerFile(
        file=file,
        kind="tekken",
        vocabulary=vocabulary,
        size=specials + kept,
        largest=Reading(largest, Location(file=file, pointer="/config/default_vocab_size")),
        added=tuple(
            AddedToken(
                id=t.rank,
                content=t.token_str or "",
                special=t.is_control,
                at=Location(file=file, pointer=f"/special_tokens/{index}"),
            )
            for index, t in enumerate(parsed.special_tokens or ())
        ),
    )
