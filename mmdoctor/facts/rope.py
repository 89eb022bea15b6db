"""Rotary position embeddings as the sections of config.json set them."""

from collections.abc import Mapping
from typing import Any

import msgspec

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import Used


class RopeSet(msgspec.Struct, frozen=True, kw_only=True):
    """One set of frequencies, of a whole section or of its layers of one type, as transformers 5 reads it."""

    at: str
    """JSON pointer of the settings; of the section where it has none."""
    stated: bool
    """Whether there are settings at that pointer."""
    layers: str = ""
    """Type of the layers (`full_attention`), empty where all are meant."""
    values: Mapping[str, Any] = {}
    kind: Any = "default"
    """`rope_type`, or `type` as it was named before."""
    read_as: str = ""
    """The kind as the class reads it (`longrope` for `su`); empty for one that it does not have."""
    missing: tuple[str, ...] = ()
    """Settings that the kind needs and that are absent."""
    since: str | None = None
    """Version of transformers that has the kind; None where all that matter have it."""
    until: str | None = None
    """Version of transformers from which on the settings are refused."""
    theta: Used | None = None
    """The base; None where it is not known."""
    rotary: int | None = None
    """Numbers of a head that are rotated; None where it is not known."""
    counted: str = ""
    """How they were counted: `128 x 0.25`."""


class RopeSection(msgspec.Struct, frozen=True, kw_only=True):
    """A section of config.json with rotary position embeddings."""

    document: JsonDocument
    pointer: str
    model_type: str
    known: bool
    """Whether transformers' own class of that type reads it."""
    in_old: bool = False
    """Whether transformers 4.57 has that class."""
    sets: tuple[RopeSet, ...] = ()
    old: Mapping[str, Any] = {}
    """What the class of transformers 4.57 takes for absent settings: `rope_theta`, `rope_local_base_freq` ..."""
    new: Mapping[str, Any] = {}
    """The same of 5.23: settings, or settings by type of layer."""
    usual_mrope: tuple[int, ...] = ()
    """`mrope_section` that the class of transformers 5 takes where there is none; empty where it has no use for one."""
    of_defaults: bool = False
    """Whether width and heads are those of the configuration class, so that its other defaults ought to fit them."""
    interleaves: bool = False
    """Whether the class takes every third number of a head for an axis, rather than a part of it."""
    needs_mrope: bool = False
    """Whether transformers 4 cannot run the type without one."""
    needs_scaling: bool = False
    """Whether transformers 4 cannot run the type without `rope_scaling`."""
    three_fields: bool = False
    """Whether transformers 4 refuses a `rope_scaling` with anything but `type`, `short_factor` and `long_factor`."""
    original: bool = False
    """Whether the class knows the length of pretraining where no setting tells it."""
    positions: int | None = None
    """`max_position_embeddings`."""

    @property
    def nests(self) -> bool:
        """Whether the class of transformers 5 has settings for each type of layer."""
        return any(isinstance(value, dict) for value in self.new.values())

    def get(self, key: str) -> Any:
        """A value of the section, None where absent or null."""
        return self.document.get(f"{self.pointer}/{key}")


class RotaryEmbeddings(msgspec.Struct, frozen=True, kw_only=True):
    """Every section with rotary position embeddings."""

    sections: tuple[RopeSection, ...]
