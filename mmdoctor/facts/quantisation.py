"""Quantisation and adapters, as configuration and tensor names tell."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.tokenizer import Settings
from mmdoctor.location import Location, Reading


class QuantisationConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about quantisation (`quantization_config` and its variants)."""

    settings: Settings
    method: Reading[str]
    """Lower case: `gptq`, `awq`, `bitsandbytes`, `compressed-tensors`, `fp8`, ..."""


class PackedModules(msgspec.Struct, frozen=True, kw_only=True):
    """Modules whose weights are packed, told from companions such as `qweight` or `weight_scale`."""

    method: str | None
    """The method that the names and shapes imply; None when nothing is packed."""
    alternatives: tuple[str, ...] = ()
    """Other methods with the same names and shapes."""
    mixed_with: tuple[str, ...] = ()
    """Methods that fit other modules of the same checkpoint only."""
    modules: tuple[str, ...] = ()
    """Full module names, in file order."""
    signs: Mapping[str, int] = {}
    """Companion suffix (`qweight`, `weight_scale`) to how many tensors have it."""
    at: Location = Location()
    """The first packed tensor."""


class Adapter(msgspec.Struct, frozen=True, kw_only=True):
    """A PEFT adapter: `adapter_config.json`, with or without a base model beside it."""

    settings: Settings
    base_model: Reading[str] | None = None
    peft_type: str | None = None
    alone: bool = True
    """No full weights in the same folder."""


class AdapterBase(msgspec.Struct, frozen=True, kw_only=True):
    """The base model that an adapter names, as far as this machine knows it."""

    name: Reading[str]
    is_path: bool
    """Whether it is written as a folder of some machine, not as `owner/name` on the hub."""
    is_here: bool
    """Whether a folder of that name exists here."""
