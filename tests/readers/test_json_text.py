"""Text to values as `json.load` would do it, and every way to fail with its place."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.readers import json_text
from mmdoctor.readers.json_text import BrokenTextError, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 0, 2]))
def test_what_json_writes_is_read_back(value: object, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    assert parse(text.encode("utf-8", "surrogatepass") if ascii_only else _utf8(text)) == json.loads(text)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_value_or_a_broken_document(data: bytes) -> None:
    try:
        expected = json.loads(data.decode("utf-8"))
    except ValueError:
        with pytest.raises(BrokenTextError):
            parse(data)
    else:
        assert json.dumps(parse(data)) == json.dumps(expected)


def test_what_only_the_standard_parser_takes() -> None:
    value = parse(b'{"a": NaN, "b": Infinity, "c": "\\ud800", "d": 1e400, "e": 1000000000000000019884624838656}')

    assert isinstance(value, dict)
    assert math.isnan(value["a"])
    assert (value["b"], value["c"], value["d"]) == (math.inf, "\ud800", math.inf)
    assert value["e"] == 1000000000000000019884624838656


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        (b'{\n  "a": 1,\n}', 3, 1, "comma stands before the closing `}`"),
        (b"[1,\n 2,\n]", 3, 1, "comma stands before the closing `]`"),
        (b'{"a": "b', 1, 7, "no closing quote"),
        (b'{"a": 1', 1, 8, "cut short"),
        (b"{'a': 1}", 1, 2, "double quotes"),
        (b'{"a": 1}\n{"b": 2}', 2, 1, "extra data"),
        (b'{"a":\n  "caf\xe9"}', 2, 7, "0xe9"),
        (b"\xef\xbb\xbf{}", 1, 1, "byte order mark"),
        ('{"a": 1}'.encode("utf-16"), 1, 1, "UTF-16"),
        (b"  \n ", None, None, "empty"),
        (b"", None, None, "empty"),
    ],
)
def test_where_and_why_a_text_breaks(text: bytes, line: int | None, column: int | None, words: str) -> None:
    with pytest.raises(BrokenTextError) as caught:
        parse(text, "config.json")

    broken = caught.value.broken
    assert (broken.file, broken.line, broken.column) == ("config.json", line, column)
    assert words in broken.reason


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf{}", b'{"a": 1,}', b'{"a": "\xe9"}', b""])
def test_what_is_refused_is_refused_by_the_loaders_way_too(text: bytes, tmp_path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(text)

    with pytest.raises(ValueError), path.open(encoding="utf-8") as file:  # UnicodeDecodeError and JSONDecodeError are
        json.loads(file.read())
    with pytest.raises(BrokenTextError):
        parse(text)


def test_depth_is_bounded_at_its_edge() -> None:
    at_limit = b"[" * json_text.MAX_DEPTH + b"]" * json_text.MAX_DEPTH

    assert parse(at_limit)
    with pytest.raises(BrokenTextError, match="deeper"):
        parse(b"[" + at_limit + b"]")


def test_keys_that_stand_twice_are_named_where_they_stand() -> None:
    text = b'{"a": {"x": 1, "x": 2}, "b/c": [{"y": 1, "y": 1}], "a~": 0, "a~": 1}'

    assert json_text.duplicates(text) == ("/a~0", "/a/x", "/b~1c/0/y")


def test_duplicates_inside_a_value_that_lost_are_not_named() -> None:
    assert json_text.duplicates(b'{"a": {"x": 1, "x": 2}, "a": 3}') == ("/a",)
