"""Text made harmless and short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.report.text import bytes_of, columns, parameters_of, plain, seconds_of, shorten, value_of


@given(st.text(alphabet=st.characters()))
def test_plain_text_prints_in_one_line(text: str):
    harmless = plain(text)

    assert "\n" not in harmless
    assert harmless.encode("utf-8").decode() == harmless, "no lone surrogates"
    assert plain(harmless) == harmless


@given(st.text(), st.integers(4, 80))
def test_shortened_text_fits_and_keeps_both_ends(text: str, width: int):
    short = shorten(plain(text), width)

    assert columns(short) <= width
    assert short == plain(text) or "..." in short


def test_wide_characters_take_two_columns():
    assert columns("模型") == 4
    assert shorten("模型" * 20, 11) == "模型...模型"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (30522, "30522"),
        (151936, "151936"),
        (288571596, "288,571,596"),
        (0.1, "0.1"),
        (1e-9, "1e-09"),
        (float("nan"), "nan"),
        ("a\nb", "a\\nb"),
        (None, "nothing"),
        (10**100, "an integer of 333 bits"),
    ],
)
def test_values(value: object, text: str):
    assert value_of(value) == text


def test_units():
    assert bytes_of(0) == "0 bytes"
    assert bytes_of(1536) == "1.5 KiB"
    assert bytes_of(16584333312) == "15.4 GiB"
    assert bytes_of(140 * 2**40) == "140.0 TiB"
    assert parameters_of(8292166656) == "8.29 B"
    assert parameters_of(545282) == "545 k"
    assert parameters_of(12) == "12"
    assert seconds_of(0.05) == "0.05 s"
    assert seconds_of(200) == "3 min 20 s"


def test_absurd_numbers_are_no_crash():
    assert bytes_of(10**500).endswith("TiB")
    assert parameters_of(10**500).endswith("T")
