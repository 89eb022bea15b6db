"""A value set or taken away leaves every other character of a JSON text as it was."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.facts.documents import escape
from mmdoctor.fixing.json_splice import SpliceError, remove, set_value

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(max_size=6), VALUES, min_size=1, max_size=5)
INDENTS = st.sampled_from([None, 0, 1, 2, 4, "\t"])


def pointers(value: object, at: str = "") -> list[str]:
    """Of every value inside."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, inner in items:
        where = f"{at}/{escape(str(key))}"
        found += [where, *pointers(inner, where)]
    return found


def changed(value: dict, pointer: str, new: object) -> dict:
    whole = copy.deepcopy(value)
    holder = whole
    *path, last = [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]
    for token in path:
        holder = holder[int(token)] if isinstance(holder, list) else holder[token]
    if new is ...:
        del holder[last]
    else:
        holder[int(last) if isinstance(holder, list) else last] = new
    return whole


@given(OBJECTS, INDENTS, VALUES, st.data())
def test_any_value_of_any_text_can_be_set(value: dict, indent: int | str | None, new: object, data: st.DataObject):
    pointer = data.draw(st.sampled_from(pointers(value)))

    text = set_value(json.dumps(value, indent=indent), pointer, new)

    assert json.loads(text) == changed(value, pointer, new)


@given(OBJECTS, INDENTS, VALUES, st.data())
def test_a_key_can_be_added_to_any_object(value: dict, indent: int | str | None, new: object, data: st.DataObject):
    holders = [p for p in ["", *pointers(value)] if isinstance(at(value, p), dict)]
    pointer = f"{data.draw(st.sampled_from(holders))}/added-key"

    text = set_value(json.dumps(value, indent=indent), pointer, new)

    assert json.loads(text) == changed(value, pointer, new)


@given(OBJECTS, INDENTS, st.data())
def test_any_member_of_any_object_can_be_taken_away(value: dict, indent: int | str | None, data: st.DataObject):
    members = [p for p in pointers(value) if isinstance(at(value, p.rpartition("/")[0]), dict)]
    pointer = data.draw(st.sampled_from(members))

    text = remove(json.dumps(value, indent=indent), pointer)

    assert json.loads(text) == changed(value, pointer, ...)


def at(value: object, pointer: str) -> object:
    for token in [t.replace("~1", "/").replace("~0", "~") for t in pointer.split("/")[1:]]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


TEXT = """{
  "a": 1,   "b":{"c" : [1, 2],
    "d": null },
  "e": "x"
}
"""


def test_only_the_value_changes():
    assert set_value(TEXT, "/b/c/1", 7) == TEXT.replace("[1, 2]", "[1, 7]")
    assert set_value(TEXT, "/b/d", {"f": 1}) == TEXT.replace("null", '{\n      "f": 1\n    }')


def test_a_new_key_stands_where_the_last_one_ended_and_looks_like_the_others():
    assert set_value(TEXT, "/f", 3) == TEXT.replace('"x"\n', '"x",\n  "f": 3\n')
    assert set_value('{"a": 1}', "/b", 2) == '{"a": 1, "b": 2}'
    assert set_value('{"a": {}}', "/a/b", 2) == '{"a": {\n  "b": 2\n}}'


def test_what_is_taken_away_takes_its_comma_with_it():
    assert remove(TEXT, "/e") == TEXT.replace(' },\n  "e": "x"', " }")
    assert remove(TEXT, "/a") == TEXT.replace('"a": 1,   ', "")


@pytest.mark.parametrize(
    ("text", "pointer"),
    [("{}", "/a/b"), ("[1]", "/a"), ("[1]", "/1"), ("{", "/a"), ('{"a": 1', "/a"), ("", "/a"), ('{"a": 1}', "")],
)
def test_what_is_not_there_is_refused(text: str, pointer: str):
    with pytest.raises(SpliceError):
        set_value(text, pointer, 1)
    with pytest.raises(SpliceError):
        remove(text, pointer)


def test_of_a_key_that_stands_twice_the_last_counts():
    assert set_value('{"a": 1, "a": 2}', "/a", 3) == '{"a": 1, "a": 3}'
    with pytest.raises(SpliceError, match="that place alone"):
        remove('{"a": 1, "a": 2}', "/a")
