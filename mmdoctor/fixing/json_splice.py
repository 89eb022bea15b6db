"""One value of a JSON text set or taken away, with every other character left as it was."""

import json
from typing import Any

import msgspec

from mmdoctor.errors import MMDoctorError
from mmdoctor.readers.json_position import member_of, skip_space, skip_value

_INDENT = 2
"""Blanks a level, where the text itself does not show how it is indented: what transformers writes."""


class SpliceError(MMDoctorError):
    """The place is not there, or the text is no JSON."""


def set_value(text: str, pointer: str, value: Any) -> str:
    """The text with that value at the pointer; a key that is missing is added behind the last one of its object.

    Raises:
        SpliceError: the parent is not there or no object, or the text is not JSON.
    """
    tokens = _tokens(pointer)
    start = skip_space(text, 0)
    for depth, token in enumerate(tokens):
        found = member_of(text, start, token)
        if found is None:
            if depth < len(tokens) - 1 or not text.startswith("{", start):
                raise SpliceError(f"there is nothing at {pointer} to change")
            return _proved(text, _appended(text, start, token, value), tokens, value)
        start = found.value
    end = _end(text, start, pointer)
    return _proved(text, text[:start] + _written(value, text, start) + text[end:], tokens, value)


def remove(text: str, pointer: str) -> str:
    """The text without the key and value at the pointer.

    Raises:
        SpliceError: there is none, it is not in an object, or the text is not JSON.
    """
    tokens = _tokens(pointer)
    parent = skip_space(text, 0)
    for token in tokens[:-1]:
        found = member_of(text, parent, token)
        if found is None:
            raise SpliceError(f"there is nothing at {pointer} to take away")
        parent = found.value
    member = member_of(text, parent, tokens[-1]) if text.startswith("{", parent) else None
    if member is None:
        raise SpliceError(f"there is nothing at {pointer} to take away")
    end = _end(text, member.value, pointer)
    behind = skip_space(text, end)
    if text.startswith(",", behind):
        without = text[: member.key] + text[skip_space(text, behind + 1) :]
    else:
        before = text[: member.key].rstrip()
        without = before.removesuffix(",") + text[end:]
    expected = _decoded(text)
    _holder(expected, tokens).pop(tokens[-1], None)
    return _equal(without, expected)


def _tokens(pointer: str) -> list[str]:
    tokens = [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]
    if not tokens:
        raise SpliceError("a pointer to a whole document names no value in it")
    return tokens


def _end(text: str, start: int, pointer: str) -> int:
    end = skip_value(text, start)
    if end is None:
        raise SpliceError(f"the text breaks off at {pointer}")
    return end


def _appended(text: str, start: int, key: str, value: Any) -> str:
    """The object at `start` with another member, laid out as its last one is."""
    end = _end(text, start, key)
    last = len(text[: end - 1].rstrip())
    is_empty = last == start + 1
    if is_empty:
        outer = _indent_of(text, start)
        gap, closing = f"\n{outer}{' ' * _INDENT}", f"\n{outer}"
    else:
        first = skip_space(text, start + 1)
        gap, closing = text[start + 1 : first], text[last : end - 1]
    inserted = f"{json.dumps(key, ensure_ascii=False)}: "
    head = f"{text[:last]}{'' if is_empty else ','}{gap or (' ' if not is_empty else '')}{inserted}"
    return head + _written(value, head, len(head)) + closing + text[end - 1 :]


def _written(value: Any, text: str, at: int) -> str:
    """The value as JSON; objects and lists over several lines, indented below their own line."""
    indent = _indent_of(text, at)
    several = isinstance(value, dict | list) and any(isinstance(v, dict | list) for v in _items(value))
    if not (several or (isinstance(value, dict) and value)) or "\n" not in text:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=_INDENT).replace("\n", f"\n{indent}")


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value


def _indent_of(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SpliceError(f"the text is no JSON: {error}") from None


def _holder(value: Any, tokens: list[str]) -> Any:
    for token in tokens[:-1]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


def _proved(text: str, changed: str, tokens: list[str], value: Any) -> str:
    expected = _decoded(text)
    holder = _holder(expected, tokens)
    holder[int(tokens[-1]) if isinstance(holder, list) else tokens[-1]] = value
    return _equal(changed, expected)


def _equal(changed: str, expected: Any) -> str:
    """The changed text, when it means just what was asked for."""
    if _decoded(changed) != expected:
        raise SpliceError("the text could not be changed in that place alone")
    return changed
