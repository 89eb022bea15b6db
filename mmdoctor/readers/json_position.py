"""Line and column of a value in a JSON text, found when a finding needs them."""

import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the C scanner, absent from the stubs
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\n\r]*+")
# One string in C: possessive, so that an unclosed one fails at once instead of backtracking.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SKIP_STRING = re.compile(_STRING, re.DOTALL)
# Everything up to the next bracket outside strings that opens or closes more than one level: 150,000 entries of a
# vocabulary, or as many pairs of merges, are one match.
_FLAT = rf'[^"\[\]{{}}]*+(?:{_STRING}[^"\[\]{{}}]*+)*+'
_SKIP_FLAT = re.compile(rf'[^"\[\]{{}}]*+(?:(?:{_STRING}|\[{_FLAT}\]|{{{_FLAT}}})[^"\[\]{{}}]*+)*+', re.DOTALL)
_PLAIN = r'[^\s,\]}"\[{:]++'
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_SCALAR = re.compile(_PLAIN)


class Member(NamedTuple):
    """Where a member of an object, or an element of an array, begins."""

    key: int
    """Offset of the key's first quote; of an element, that of its value."""
    value: int
    """Offset of the value's first character."""


def locate(text: bytes | str, pointer: str) -> tuple[int, int] | None:
    """Line and column, both 1-based and in characters, of the place to look at for a JSON pointer.

    That is the key of the last token, or the element itself in an array. Of a key that stands twice the last is
    meant, as in the parsers. Text after the place may be broken. None where the pointer leads nowhere.
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8-sig", "replace")
    place = value = skip_space(text, 0)
    for escaped in pointer.split("/")[1:]:
        found = member_of(text, value, escaped.replace("~1", "/").replace("~0", "~"))
        if found is None:
            return None
        place, value = found
    if place >= len(text):
        return None
    return text.count("\n", 0, place) + 1, place - (text.rfind("\n", 0, place) + 1) + 1


def member_of(text: str, start: int, name: str) -> Member | None:
    """What a name stands for in the container that begins at `start`; of a key that stands twice the last."""
    if text.startswith("{", start):
        return _value_of_key(text, start + 1, name)
    if text.startswith("[", start) and _INDEX.fullmatch(name):
        return _element(text, start + 1, int(name))
    return None


def _value_of_key(text: str, position: int, wanted: str) -> Member | None:
    found = None
    # Members with other keys and no nested value, a whole run of them in C.
    others = re.compile(rf'(?:\s*+"(?!{re.escape(wanted)}")[^"\\]*+"\s*+:\s*+(?:{_STRING}|{_PLAIN})\s*+,)*+', re.DOTALL)
    while True:
        run = others.match(text, position)
        key_at = skip_space(text, run.end() if run else position)
        if not text.startswith('"', key_at):
            return found
        try:
            key, after = scanstring(text, key_at + 1, False)
        except ValueError:
            return found
        colon = skip_space(text, after)
        if not text.startswith(":", colon):
            return found
        value_at = skip_space(text, colon + 1)
        if key == wanted:
            found = Member(key_at, value_at)
        end = skip_value(text, value_at)
        comma = skip_space(text, end) if end is not None else len(text)
        if not text.startswith(",", comma):
            return found
        position = comma + 1


def _element(text: str, position: int, index: int) -> Member | None:
    at = skip_space(text, position)
    for _ in range(index):
        end = skip_value(text, at)
        comma = skip_space(text, end) if end is not None else len(text)
        if not text.startswith(",", comma):
            return None
        at = skip_space(text, comma + 1)
    return None if at >= len(text) or text[at] in "],}" else Member(at, at)


def skip_space(text: str, position: int) -> int:
    """Offset of the first character at or behind a position that is no white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position


def skip_value(text: str, start: int) -> int | None:
    """End of the value at `start`, or None where the text breaks before it ends."""
    if text.startswith('"', start):
        match = _SKIP_STRING.match(text, start)
        return match.end() if match else None
    if not text.startswith(("{", "["), start):
        match = _SCALAR.match(text, start)
        return match.end() if match else None
    depth, position = 1, start + 1
    while depth:
        flat = _SKIP_FLAT.match(text, position)
        position = flat.end() if flat else position
        bracket = text[position : position + 1]
        if bracket in ("{", "["):
            depth += 1
        elif bracket in ("}", "]"):
            depth -= 1
        else:
            return None
        position += 1
    return position
