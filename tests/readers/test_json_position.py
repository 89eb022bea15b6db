"""Positions of values in JSON text, against documents that were written in many ways."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.facts.documents import JsonDocument, escape
from mmdoctor.readers.json_position import locate

KEYS = st.text(max_size=5) | st.sampled_from(["a/b", "~", "é", '"', "\\", "{", "]", "\n", "a", "b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=25,
)


def _rest(text: str, place: tuple[int, int]) -> str:
    """The text from a line and column on; lines end with a line feed only."""
    line, column = place
    lines = text.split("\n")
    return "\n".join([lines[line - 1][column - 1 :], *lines[line:]])


@given(value=VALUES, indent=st.sampled_from([None, 0, 1, 4, "\t"]), ascii_only=st.booleans(), wide=st.booleans())
def test_every_pointer_leads_to_its_key_or_element(
    value: Any, indent: int | str | None, ascii_only: bool, wide: bool
) -> None:
    separators = (" , ", "\n:\t") if wide else None
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators)

    for pointer, found in JsonDocument(file="", value=value).walk():
        place = locate(text, pointer)

        assert place is not None
        parent, _, last = pointer.rpartition("/")
        above = JsonDocument(file="", value=value).get(parent) if parent else value
        at = _rest(text, place)
        if pointer and isinstance(above, dict):
            key = json.JSONDecoder(strict=False).raw_decode(at)[0]
            assert escape(key) == last
        else:
            assert json.JSONDecoder(strict=False).raw_decode(at)[0] == found


@given(
    text=st.text(max_size=60) | st.text(alphabet='{}[]":,a1 \\\n', max_size=60), pointer=st.text("/ab01~", max_size=8)
)
def test_any_text_and_pointer_give_a_place_or_none(text: str, pointer: str) -> None:
    place = locate(text, pointer)

    assert place is None or (place >= (1, 1) and len(text.split("\n")) >= place[0])


@pytest.mark.parametrize(
    ("text", "pointer", "place"),
    [
        ('{"a": 1,\n "a": 2}', "/a", (2, 2)),
        ('{"a": {"b": 1},\n "a": {"b": 2}}', "/a/b", (2, 8)),
        ('{"a": {"b": 1},\n "a": 2}', "/a/b", None),
        ('{"\\u0061": 1}', "/a", (1, 2)),
        ('{"a/b": {"c~d": 1}}', "/a~1b/c~0d", (1, 10)),
        ('{"é": 1, "b": 2}', "/b", (1, 10)),
        ("\n\n  [1,\n  [2, 3]]", "/1/1", (4, 7)),
        ('{"a": 1', "/a", (1, 2)),
        ('{"a": {"b": "never closed', "/a/b", (1, 8)),
        ("  {}", "", (1, 3)),
        ("[1, 2]", "/2", None),
        ("[1, 2]", "/01", None),
        ("[1, 2]", "/-", None),
        ('{"a": 1}', "/a/b", None),
        ("", "", None),
    ],
)
def test_particular_places(text: str, pointer: str, place: tuple[int, int] | None) -> None:
    assert locate(text, pointer) == place


def test_bytes_are_read_as_utf8_and_columns_count_characters() -> None:
    assert locate('{"€": "€", "b": 1}'.encode(), "/b") == (1, 12)
