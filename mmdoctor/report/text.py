"""Text from artefacts made harmless and short: whatever a file says, it cannot move a cursor or hide a word."""

import re
import unicodedata

# C0, DEL, C1; soft hyphen; Arabic letter mark; zero-width characters and marks; bidirectional controls; line and
# paragraph separators; invisible operators; byte order mark; interlinear annotations; tags; lone surrogates.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain(text: str) -> str:
    """The text with every control character, invisible character and lone surrogate spelled out as an escape."""
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shorten(text: str, width: int) -> str:
    """The text with its middle left out where it is longer than that many columns.

    Both ends of a path or a tensor name tell more than its middle.
    """
    if columns(text) <= width:
        return text
    if width <= 3:
        return text[:width]
    tail = (width - 3) * 3 // 5
    head = width - 3 - tail
    return f"{cut(text, head)}...{cut(text[::-1], tail)[::-1]}"


def cut(text: str, width: int) -> str:
    """The beginning of a text that takes at most that many columns."""
    if text.isascii():
        return text[:width]
    taken = 0
    for index, character in enumerate(text):
        taken += _cells(character)
        if taken > width:
            return text[:index]
    return text


def columns(text: str) -> int:
    """Terminal columns that the text takes: East Asian wide characters take two."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 error`, `2 errors`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


_ABSURD = 10**30
"""No model has so many bytes or parameters, but a header may say so; floats end at 10^308."""


def bytes_of(number: int) -> str:
    """Bytes in binary units: `15.4 GiB`."""
    value = float(min(number, _ABSURD))
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return count(number, "byte") if unit == "bytes" else f"{value:.{1 if value < 100 else 0}f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def parameters_of(number: int) -> str:
    """Parameters as model cards write them: `8.29 B`, `545 k`."""
    number = min(number, _ABSURD)
    for limit, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k")):
        if number >= limit:
            value = number / limit
            return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {unit}"
    return str(number)


def seconds_of(seconds: float) -> str:
    """A duration: `0.05 s`, `6.2 s`, `3 min 20 s`."""
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 1 else 1}f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def value_of(value: object) -> str:
    """An evidence's value in one line of harmless text; from a million on with thousands separators."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if value.bit_length() > 256:
            return f"an integer of {value.bit_length()} bits"
        return f"{value:,}" if abs(value) >= 10**6 else str(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return plain(str(value))
