"""What a global in a pickle means: harmless, a custom object, unknown, or able to execute."""

import enum
import re
import sys

import msgspec

from mmdoctor.facts.pickles import PickleGlobal
from mmdoctor_checks.security.allowed_globals import ALLOWED, DATA_PACKAGES, KNOWN_OBJECTS, SCRIPT
from mmdoctor_checks.security.dangerous_globals import (
    DUNDERS,
    INDIRECTION,
    MODULES,
    NAMES,
    PACKAGES,
    PREFIXES,
    REACHED,
    UNPICKLING,
)


class Verdict(enum.IntEnum):
    """How bad a global is, mildest first."""

    HARMLESS = 0
    CUSTOM = 1
    """A class of some library or project: its code runs, the pickle does not choose what it does."""
    UNKNOWN = 2
    """A function that is not on the list of harmless ones."""
    DANGEROUS = 3


class Judgement(msgspec.Struct, frozen=True):
    """A verdict and, of a dangerous global, what it lets the pickle do."""

    verdict: Verdict
    what: str = ""


_HARMLESS = Judgement(Verdict.HARMLESS)
_CLASS = re.compile(r"_?[A-Z]")
_OF_CONSTANTS = ("builtins.getattr", "torch.storage._load_from_bytes")
_VALUES = ("functools.partial", "operator.itemgetter")
"""Callables that are kept as values; what a partial calls is named beside it."""


def judge(found: PickleGlobal, *, script: bool = False) -> Judgement:
    """What a global means.

    Args:
        found: the global.
        script: it stands in a TorchScript archive, which torch's C++ reads.
    """
    dotted = found.dotted
    if script and dotted.startswith(SCRIPT):
        return _HARMLESS
    if dotted in ALLOWED:
        return _HARMLESS
    if dotted in _OF_CONSTANTS and not found.called:
        return _HARMLESS  # the machine followed it: what it leads to is judged under its own name
    if dotted in _VALUES:
        return Judgement(Verdict.CUSTOM)
    return _dangerous(found) or _other(found)


def _dangerous(found: PickleGlobal) -> Judgement | None:
    dotted = found.dotted
    parts = dotted.split(".")
    if dotted == "torch.storage._load_from_bytes":
        return Judgement(Verdict.DANGEROUS, UNPICKLING)
    if DUNDERS & set(parts):
        return Judgement(Verdict.DANGEROUS, INDIRECTION)
    for length in range(len(parts), 0, -1):
        what = NAMES.get(".".join(parts[:length]))
        if what is not None:
            return Judgement(Verdict.DANGEROUS, what)
    what = MODULES.get(found.module) or PACKAGES.get(parts[0])
    if what is not None:
        return Judgement(Verdict.DANGEROUS, what)
    if not _CLASS.match(parts[-1]):
        prefix = next((p for p in PREFIXES if dotted.startswith(p)), None)
        if prefix is not None:
            return Judgement(Verdict.DANGEROUS, PREFIXES[prefix])
        if REACHED & set(parts[1:-1]):
            return Judgement(Verdict.DANGEROUS, INDIRECTION)
    return None


def _other(found: PickleGlobal) -> Judgement:
    dotted = found.dotted
    is_class = bool(_CLASS.match(found.name.rpartition(".")[2]))
    if dotted.startswith(DATA_PACKAGES) and is_class:
        return _HARMLESS
    top = found.module.partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return Judgement(Verdict.UNKNOWN if found.called and not is_class else Verdict.CUSTOM)
    if is_class or dotted.startswith(KNOWN_OBJECTS) or not found.called:
        return Judgement(Verdict.CUSTOM)
    return Judgement(Verdict.UNKNOWN)
