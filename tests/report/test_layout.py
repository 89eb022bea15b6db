"""Styled text in lines."""

from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.report.layout import Page, wrap
from mmdoctor.report.text import columns, plain

SPANS = st.lists(st.tuples(st.text(alphabet="ab 模-/", min_size=1), st.sampled_from(["", "bold"])), max_size=8)


@given(SPANS, st.integers(2, 30), st.integers(2, 30))
def test_lines_fit_and_no_word_is_lost(spans: list[tuple[str, str]], width: int, further: int):
    lines = ["".join(text for text, _ in line) for line in wrap(spans, width, further)]

    assert columns(lines[0]) <= width
    assert all(columns(line) <= further for line in lines[1:])
    assert "".join("".join(lines).split()) == "".join("".join(text for text, _ in spans).split())


@given(SPANS, st.integers(2, 30))
def test_styles_stay_with_their_text(spans: list[tuple[str, str]], width: int):
    bold = [text for line in wrap(spans, width, width) for text, style in line if style]

    assert "".join("".join(bold).split()) == "".join("".join(t for t, style in spans if style).split())


def test_a_hanging_indent_and_a_word_that_changes_its_style():
    page = Page(12, color=False)
    page.paragraph(("one two", ""), ("three", "bold"), (" four", ""), indent=2, hang=4)

    assert page.text() == "  one\n    twothree\n    four\n"


def test_a_word_longer_than_a_line_is_cut():
    page = Page(8, color=False)
    page.paragraph(("ab abcdefghijk", ""), indent=0, hang=2)

    assert page.text() == "ab\n  abcdef\n  ghijk\n"


def test_pieces_break_between_them():
    page = Page(20, color=False)
    page.pieces([[("one two", "")], [("three four", "")], [("five", "")]], " | ", hang=2)

    assert page.text() == "one two | three four\n  five\n"


def test_colours_do_not_change_the_text():
    plain_page, colored = Page(20, color=False), Page(20, color=True)
    for page in (plain_page, colored):
        page.paragraph(("red [bold]x[/bold] ", "red"), (plain("\x1b[1m"), "bold"))

    assert "\x1b[31m" in colored.text()
    assert "[bold]x[/bold]" in colored.text()
    assert "\x1b" not in plain_page.text()
