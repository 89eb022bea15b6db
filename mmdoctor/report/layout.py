"""Styled text laid out in lines; Rich is imported for colours only, as it takes longer than many a check."""

import re
from collections.abc import Sequence

from mmdoctor.report.text import columns, cut

Span = tuple[str, str]
"""(text, style): the style in Rich's words, empty for none."""


class Page:
    """Lines of at most the given width, wrapped at blanks with a hanging indent.

    Args:
        width: columns of the terminal.
        color: whether styles are written.
    """

    def __init__(self, width: int, color: bool) -> None:
        self.width = width
        self._color = color
        self._lines: list[list[Span]] = []

    def blank(self) -> None:
        """Write an empty line."""
        self._lines.append([])

    def paragraph(self, *spans: Span, indent: int = 0, hang: int | None = None) -> None:
        """Write a text; its first line is indented by `indent` columns, the others by `hang`."""
        hanging = indent if hang is None else hang
        for number, line in enumerate(wrap(spans, self.width - indent, self.width - hanging)):
            self._lines.append([(" " * (hanging if number else indent), ""), *line])

    def pieces(
        self, pieces: Sequence[Sequence[Span]], separator: str, *, indent: int = 0, hang: int | None = None
    ) -> None:
        """Write pieces side by side, broken between them rather than inside."""
        hanging = indent if hang is None else hang
        line: list[Span] = []
        left = indent
        for piece in pieces:
            if line and left + _columns(line) + columns(separator) + _columns(piece) > self.width:
                self.paragraph(*line, indent=left, hang=hanging)
                line, left = [], hanging
            line = [*line, (separator, "dim"), *piece] if line else [*piece]
        if line:
            self.paragraph(*line, indent=left, hang=hanging)

    def preformatted(self, *spans: Span) -> None:
        """Write one line as it is, however long."""
        self._lines.append(list(spans))

    def text(self) -> str:
        """All lines, with ANSI codes where colours are wanted."""
        if self._color:
            return _colored(self._lines)
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in self._lines)


def wrap(spans: Sequence[Span], width: int, further: int) -> list[list[Span]]:
    """Lines of a text: the first of at most `width` columns, the others of `further`.

    Blanks at a break are dropped, words longer than a line are cut.
    """
    lines: list[list[Span]] = [[]]
    used, room = 0, width
    blanks: list[Span] = []
    for word in _words(spans):
        if not word[0][0].strip():
            blanks = word
            continue
        if lines[-1] and used + _columns(blanks) + _columns(word) > room:
            lines.append([])
            blanks, used, room = [], 0, further
        for text, style in (*blanks, *word):
            while used + columns(text) > room:
                head = cut(text, room - used)
                _add(lines[-1], head, style)
                text = text[len(head) :]  # noqa: PLW2901 - the rest of the word
                lines.append([])
                used, room = 0, further
            _add(lines[-1], text, style)
            used += columns(text)
        blanks = []
    return lines


def _add(line: list[Span], text: str, style: str) -> None:
    """Append text to a line; it joins what stands before it in the same style."""
    if line and line[-1][1] == style:
        line[-1] = (line[-1][0] + text, style)
    else:
        line.append((text, style))


def _words(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans, regrouped: words, which may change their style inside, and the blanks between them."""
    words: list[list[Span]] = []
    for text, style in spans:
        for token in re.findall(r" +|[^ ]+", text):
            if words and (words[-1][0][0][0] == " ") == (token[0] == " "):
                words[-1].append((token, style))
            else:
                words.append([(token, style)])
    return words


def _columns(spans: Sequence[Span]) -> int:
    return sum(columns(text) for text, _ in spans)


def _colored(lines: Sequence[Sequence[Span]]) -> str:
    import io

    from rich.console import Console
    from rich.text import Text

    out = io.StringIO()
    console = Console(
        file=out, force_terminal=True, color_system="standard", highlight=False, markup=False, emoji=False,
        legacy_windows=False, _environ={},
    )  # fmt: skip
    for line in lines:
        text = Text.assemble(*line)
        text.rstrip()
        console.print(text, soft_wrap=True)
    return out.getvalue()
