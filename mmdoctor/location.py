"""Places in an artefact, and values that remember the place they were read."""

from typing import Generic, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place in the artefact. Line and column of a JSON value are filled in when a finding needs them."""

    file: str = ""
    """Path relative to the artefact's root, with forward slashes; empty for the artefact as a whole."""
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the file, such as `/vision_config/patch_size`."""
    tensor: str | None = None
    """Full tensor name, or a group of them such as `layers.{0..31}.self_attn.k_proj.weight`."""
    line: int | None = None
    """1-based line in a text file."""
    column: int | None = None
    """1-based column in a text file, in characters."""
    offset: int | None = None
    """0-based byte offset in a binary file."""


class Reading(msgspec.Struct, Generic[T_co], frozen=True):
    """A value together with the place it was read from."""

    value: T_co
    at: Location = Location()
