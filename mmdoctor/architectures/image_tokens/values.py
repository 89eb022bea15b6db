"""Settings with their class defaults, remembering what was read for a count."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Scalar
from mmdoctor.location import Location

MAX_EDGE = 1 << 24
"""Pixels, tokens and the like above this are no settings of a model; they would only keep us busy."""

MAX_LISTED = 64
"""Numbers in a list such as the strides of convolutions; published models have seven at most."""


class UnknownValue(Exception):  # noqa: N818 - an answer: nothing can be said
    """A value that the count needs is in no file, and no class default is known for it."""


class UnknownFamily(Exception):  # noqa: N818 - an answer: nothing can be said
    """No formula is known for one of the classes; the text says which."""


class Refused(Exception):  # noqa: N818 - an answer: the class itself would raise
    """The class would raise on this input; the text says why."""


class Values:
    """Settings with their class defaults; remembers what was asked for.

    Args:
        settings: the section of a file, or None where there is none.
        owner: the class that reads it, named where its default holds.
        defaults: that class's own values for absent keys; a key that is not in it has no known default.
        prefix: put before keys in `used`.
        imposed: values that its caller passes on every call, over what the file says.
    """

    def __init__(
        self,
        settings: Settings | None,
        owner: str,
        defaults: Mapping[str, Any] | None = None,
        prefix: str = "",
        imposed: Mapping[str, Any] | None = None,
    ) -> None:
        self.owner = owner
        self._settings = settings
        self._defaults = defaults or {}
        self._prefix = prefix
        self._imposed = imposed or {}
        self._used: dict[str, Used] = {}

    @property
    def used(self) -> tuple[Used, ...]:
        """What was asked for so far, in order."""
        return tuple(self._used.values())

    def note(self, used: Used) -> None:
        """Remember a value that was read elsewhere."""
        self._used.setdefault(used.what, used)

    def get(self, key: str) -> Any:
        """The value: stated, or the class default.

        Raises:
            UnknownValue: neither is there.
        """
        if key in self._imposed:
            return self._imposed[key]
        stated = self._settings.get(key) if self._settings is not None else None
        if stated is None and key not in self._defaults:
            raise UnknownValue(f"{self._prefix}{key} is in no file, and {self.owner} has no default for it")
        value = self._defaults[key] if stated is None else stated
        at = self._settings.at(key if stated is not None else "") if self._settings is not None else Location()
        self.note(Used(f"{self._prefix}{key}", _short(value), at, None if stated is not None else self.owner))
        return value

    def below(self, key: str, defaults: Mapping[str, Any] | None = None) -> "Values":
        """The section under a key, with defaults of its own; what it reads counts as read here."""
        section = self._settings.read(key, dict) if self._settings is not None else None
        inner = (
            Settings(document=self._settings.document, pointer=f"{self._settings.pointer}/{key}")
            if (section is not None and self._settings is not None)
            else None
        )
        values = Values(inner, self.owner, defaults, prefix=f"{self._prefix}{key}.")
        values._used = self._used
        return values

    def stated(self, key: str) -> Any:
        """The value that the file states, None where it does not; no default."""
        return self._settings.get(key) if self._settings is not None else None

    def integer(self, key: str, least: int = 1) -> int:
        """A whole number; of an edge that is given as [14, 14] or as height and width, the one edge."""
        value = self.get(key)
        if isinstance(value, dict):
            value = [value.get("height"), value.get("width")]
        if isinstance(value, list) and value and all(v == value[0] for v in value):
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_EDGE:
            raise UnknownValue(f"{self._prefix}{key} is not a number that makes sense: {_short(value)}")
        return value

    def number(self, key: str) -> float:
        """A ratio: a number above zero, neither tiny nor huge."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.001 <= value <= MAX_EDGE:
            raise UnknownValue(f"{self._prefix}{key} is not a number that makes sense: {_short(value)}")
        return float(value)

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise UnknownValue(f"{self._prefix}{key} is neither true nor false: {_short(value)}")
        return bool(value)

    def text(self, key: str) -> str:
        """A word."""
        value = self.get(key)
        if not isinstance(value, str):
            raise UnknownValue(f"{self._prefix}{key} is not a text: {_short(value)}")
        return value

    def edges(self, key: str) -> dict[str, int]:
        """A size with its keys, `height` and `width` or `shortest_edge` and so on."""
        value = self.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = {"height": value, "width": value}
        if isinstance(value, list) and len(value) == 2:
            value = {"height": value[0], "width": value[1]}
        if not isinstance(value, dict):
            raise UnknownValue(f"{self._prefix}{key} is not a size: {_short(value)}")
        edges = {k: v for k, v in value.items() if isinstance(v, int) and not isinstance(v, bool) and v > 0}
        if not edges or max(edges.values()) > MAX_EDGE * MAX_EDGE:
            raise UnknownValue(f"{self._prefix}{key} is not a size that makes sense: {_short(value)}")
        return edges

    def numbers(self, key: str) -> list[int]:
        """A list of whole numbers, a few of them."""
        value = self.get(key)
        sane = isinstance(value, list) and 1 <= len(value) <= MAX_LISTED
        if not sane or not all(type(v) is int and 0 <= v <= MAX_EDGE for v in value):
            raise UnknownValue(f"{self._prefix}{key} is not a list of numbers")
        return list(value)

    def resolutions(self, key: str) -> list[tuple[int, int]]:
        """A list of (height, width)."""
        value = self.get(key)
        pairs = [tuple(p) for p in value if isinstance(p, list)] if isinstance(value, list) else []
        sane = [p for p in pairs if len(p) == 2 and all(type(v) is int and 0 < v <= MAX_EDGE for v in p)]
        if not sane or not isinstance(value, list) or len(sane) != len(value) or len(sane) > 10_000:
            raise UnknownValue(f"{self._prefix}{key} is not a list of heights and widths")
        return [(p[0], p[1]) for p in sane]


def _short(value: object) -> Scalar:
    if value is None or isinstance(value, (str, int, float)):
        return value if not isinstance(value, str) else value[:60]
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in list(value.items())[:4])[:60]
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > 2 else str(value)[:60]
    return str(value)[:60]
