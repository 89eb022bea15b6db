"""Text to values, as the loaders' `json.load(open(file, encoding="utf-8"))` would do it, but in bounded memory."""

import collections
import json

import msgspec

from mmdoctor.facts.documents import BrokenDocument, JsonDocument, escape

MAX_BYTES = 64 * 2**20
"""Bytes of one document; the largest tokenizer.json known (Gemma 3) has 33 MB, the largest configuration 3 MB."""
MAX_CONTAINERS = 500_000
"""Objects and arrays of one document; an empty one takes 3 bytes of text and up to 240 bytes of memory."""
MAX_VALUES = 2_500_000
"""Commas of one document, so about as many values of 30 to 100 bytes of memory each."""
MAX_DEPTH = 100
"""Levels of nesting; the parser itself stops near 1000, real documents stay below 20."""
MAX_BYTES_FOR_DUPLICATES = 256 * 2**10
"""Only documents up to this size are searched for keys that stand twice: it needs the slow parser."""


class BrokenTextError(Exception):
    """The text is not a document that loaders accept; `broken` says why and where."""

    def __init__(self, broken: BrokenDocument) -> None:
        super().__init__(broken.reason)
        self.broken = broken


def parse(data: bytes, file: str = "") -> object:
    """The value of a JSON text.

    Raises:
        BrokenTextError: the text is empty, too large, not UTF-8, not JSON, or nested too deeply.
    """
    _refuse_bombs(data, file)
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise _too_deep(file) from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        value = _parse_slowly(data, file)
    if _depth_exceeds(value, MAX_DEPTH):
        raise _too_deep(file)
    return value


def document(data: bytes, file: str) -> JsonDocument:
    """The document of a JSON text, with the keys that stand twice in one object.

    Raises:
        BrokenTextError: see `parse`.
    """
    value = parse(data, file)
    twice = duplicates(data) if len(data) <= MAX_BYTES_FOR_DUPLICATES else ()
    return JsonDocument(file=file, value=value, duplicates=twice)


def structures(data: bytes) -> tuple[int, int]:
    """Containers and values that a text can hold at most, counted without parsing it."""
    return data.count(b"[") + data.count(b"{"), data.count(b",")


def duplicates(data: bytes) -> tuple[str, ...]:
    """Pointers of the keys that stand more than once in their object; the text must be parseable."""
    doubled: dict[int, tuple[dict[str, object], set[str]]] = {}

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        made = dict(pairs)
        if len(made) < len(pairs):
            counts = collections.Counter(key for key, _ in pairs)
            doubled[id(made)] = (made, {key for key, count in counts.items() if count > 1})
        return made

    root = json.loads(data, object_pairs_hook=collect)
    if not doubled:
        return ()
    found = []
    for pointer, value in JsonDocument(file="", value=root).walk():
        _, keys = doubled.get(id(value), (None, ()))
        found += [f"{pointer}/{escape(key)}" for key in sorted(keys)]
    return tuple(found)


def refuse_unreadable(data: bytes, file: str, limit: int) -> None:
    """Refuse what no loader reads as JSON, before anything is decoded.

    Raises:
        BrokenTextError: the text is empty, longer than `limit` bytes, or in another encoding than plain UTF-8.
    """
    if not data[:4096].strip() and not data.strip():
        raise BrokenTextError(BrokenDocument(file=file, reason="the file is empty"))
    if data[:3] == b"\xef\xbb\xbf":
        reason = "it begins with a byte order mark (EF BB BF), which loaders refuse"
        raise BrokenTextError(BrokenDocument(file=file, reason=reason, line=1, column=1))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        reason = "it is UTF-16, UTF-32 or binary, and loaders read UTF-8"
        raise BrokenTextError(BrokenDocument(file=file, reason=reason, line=1, column=1))
    if len(data) > limit:
        reason = f"it has {len(data):,} bytes, more than the {limit:,} that any real document needs"
        raise BrokenTextError(BrokenDocument(file=file, reason=reason))


def where_text_breaks(data: bytes, file: str, reason: str) -> BrokenDocument:
    """Why and where a text that a strict parser refused breaks; `reason` where the standard parser takes it."""
    try:
        json.JSONDecoder(object_pairs_hook=_forget).decode(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line, column = _line_and_column(data[: error.start].decode("utf-8", "replace"))
        words = f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8"
        return BrokenDocument(file=file, reason=words, line=line, column=column)
    except json.JSONDecodeError as error:
        return BrokenDocument(file=file, reason=_in_words(error), line=error.lineno, column=error.colno)
    except (RecursionError, ValueError):
        pass
    return BrokenDocument(file=file, reason=reason)


def _forget(_: list[tuple[str, object]]) -> None:
    """Keep the memory of a parse that is done for its error only small."""


def _refuse_bombs(data: bytes, file: str) -> None:
    refuse_unreadable(data, file, MAX_BYTES)
    containers, values = structures(data)
    if containers > MAX_CONTAINERS or values > MAX_VALUES:
        reason = f"it holds more than {MAX_CONTAINERS:,} containers or {MAX_VALUES:,} values: no real file does"
        raise BrokenTextError(BrokenDocument(file=file, reason=reason))


def _parse_slowly(data: bytes, file: str) -> object:
    """The standard library's answer: it takes NaN, Infinity and lone surrogates, and says where a text breaks."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise _too_deep(file) from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError too, or a number of too many digits
        raise BrokenTextError(where_text_breaks(data, file, str(error))) from None


def _in_words(error: json.JSONDecodeError) -> str:
    rest = error.doc[error.pos : error.pos + 1]
    before = error.doc[: error.pos].rstrip()[-1:]
    if not rest:
        return "the text ends in the middle of a value: the file is cut short"
    if before == "," and rest in "]}":
        return f"a comma stands before the closing `{rest}`"
    if error.msg.startswith("Expecting property name") and rest == "}":
        return "a comma stands before the closing `}`"
    if error.msg.startswith("Illegal trailing comma"):
        return "a comma stands before a closing bracket"
    if error.msg.startswith("Unterminated string"):
        return "a string has no closing quote: the file is cut short"
    return f"{error.msg[0].lower()}{error.msg[1:]}, found {rest!r}"


def _too_deep(file: str) -> BrokenTextError:
    return BrokenTextError(BrokenDocument(file=file, reason=f"it is nested deeper than {MAX_DEPTH} levels"))


def _depth_exceeds(value: object, limit: int) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return False
        inner = (c.values() if isinstance(c, dict) else c for c in level)
        level = [v for values in inner for v in values if isinstance(v, dict | list)]
    return bool(level)


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
