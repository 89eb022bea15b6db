"""Options as text, turned into values here: quicker than Typer's way, and a mistake names the nearest choice."""

import enum
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from typer.core import TyperCommand, TyperGroup

E = TypeVar("E", bound=enum.StrEnum)


class _AsGiven:
    """Takes a value as it was typed."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ARG002 - Typer's signature
        return () if value is None and (param.multiple or param.nargs == -1) else value


def as_given(params: list[Any]) -> list[Any]:
    """The parameters, told to take values as they were typed.

    Typer from 0.26 on coerces every value through pydantic, absent ones too, and importing pydantic takes as long as
    checking a small folder. Where Typer has no such attribute, its own coercion of text to text does the same.
    """
    for param in params:
        if getattr(param, "_runtime_param", params) is None:
            setattr(param, "_runtime_param", _AsGiven())  # noqa: B010 - private to Typer, so unknown to mypy
    return params


class Command(TyperCommand):
    """A command all of whose options are text or flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return as_given(super().get_params(ctx))


class Group(TyperGroup):
    """A group of such commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` included."""
        return as_given(super().get_params(ctx))


def choice(option: str, text: str | None, kind: type[E]) -> E | None:
    """The member of an enumeration that was named.

    Raises:
        UsageError: there is none of that name.
    """
    if text is None:
        return None
    try:
        return kind(text.lower())
    except ValueError:
        from difflib import get_close_matches

        from mmdoctor.errors import UsageError

        close = get_close_matches(text.lower(), list(kind), n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise UsageError(f"{option} {text}: not one of {', '.join(kind)}{hint}") from None


def number(option: str, text: str | None, kind: type[int] | type[float]) -> Any:
    """The number that was given.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return kind(text)
    except ValueError:
        from mmdoctor.errors import UsageError

        raise UsageError(f"{option} {text}: not {'a whole number' if kind is int else 'a number'}") from None


def image_size(option: str, text: str) -> tuple[int, int]:
    """(width, height) in pixels of `1024x768`.

    Raises:
        UsageError: it is no size.
    """
    width, x, height = text.lower().replace("\u00d7", "x").partition("x")
    sides = [side.strip() for side in (width, height)]
    if x and all(s.isascii() and s.isdigit() and len(s) <= 6 and int(s) > 0 for s in sides):
        return int(sides[0]), int(sides[1])
    from mmdoctor.errors import UsageError

    raise UsageError(f"{option} {text}: write width and height in pixels, such as 1024x768")


def paths(texts: Iterable[str] | None) -> list[Path]:
    """The paths that were given."""
    return [Path(text).expanduser() for text in texts or ()]
