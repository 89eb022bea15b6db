"""The rule API: `@check` turns a function of facts into a rule."""

import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Generic, ParamSpec

from mmdoctor.errors import PluginError
from mmdoctor.finding import Problem, Severity

P = ParamSpec("P")

FAMILIES = {
    "MEM": "gpu_memory",
    "PRE": "precision",
    "ATT": "attention_shape",
    "DRF": "drift",
    "INT": "integrity",
    "SEC": "security",
    "ENV": "environment",
    "SRV": "serving",
    "REF": "reference",
}
"""Letters of a code and the family they stand for. Plugins may use letters of their own."""

SECTIONS = ("What it checks", "Why it matters", "How to fix it", "Sources")
"""The sections of a rule's page, in order."""

_CODE = re.compile(r"[A-Z]{2,8}[0-9]{3}")


class Need(typing.NamedTuple):
    """A fact that a check asks for."""

    fact: type
    optional: bool


class Check(Generic[P]):
    """A rule: its identity, the facts it needs, and the function that looks at them."""

    def __init__(
        self, code: str, severity: Severity, function: Callable[P, Iterator[Problem]], yields_to: tuple[str, ...]
    ) -> None:
        if not _CODE.fullmatch(code):
            raise PluginError(f"rule code {code!r} is not capital letters and three digits ({_place(function)})")
        self.code = code
        self.severity = severity
        self.function = function
        self.yields_to = yields_to
        self.name = function.__name__.replace("_", "-")
        letters = code.rstrip("0123456789")
        self.family = FAMILIES.get(letters, letters.lower())
        if not (function.__doc__ or "").strip():
            raise PluginError(f"rule {code} has no docstring: it is the rule's page ({_place(function)})")

    @functools.cached_property
    def page(self) -> str:
        """The docstring: the rule's page in Markdown."""
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def summary(self) -> str:
        """First line of the page: the problem in general."""
        return self.page.partition("\n")[0]

    @property
    def needs(self) -> tuple[Need, ...]:
        """The facts that the function's parameters ask for, by type.

        Raises:
            PluginError: a parameter has no usable type.
        """
        return needs_of(self.function)

    @property
    def place(self) -> str:
        """Module and line of the function."""
        return _place(self.function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Iterator[Problem]:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<{self.code} {self.name}>"


def check(
    code: str, severity: Severity, *, yields_to: tuple[str, ...] = ()
) -> Callable[[Callable[P, Iterator[Problem]]], Check[P]]:
    """Make a function of facts a rule.

    Args:
        code: family letters and three digits, such as `DRF005`.
        severity: how bad a problem of this rule is, unless the problem says otherwise.
        yields_to: codes of rules that name the cause when both would fire; this one then stays silent.
    """

    def decorate(function: Callable[P, Iterator[Problem]]) -> Check[P]:
        return Check(code, severity, function, yields_to)

    return decorate


@functools.cache
def needs_of(function: Callable[..., object]) -> tuple[Need, ...]:
    """Facts that a check's or provider's parameters ask for.

    Raises:
        PluginError: a parameter is not annotated, or its type is imported under TYPE_CHECKING only.
    """
    try:
        hints = getattr(function, "__annotations__", {})
        if any(isinstance(hint, str) for hint in hints.values()):
            hints = typing.get_type_hints(function)
    except NameError as error:
        raise PluginError(
            f"{_place(function)}: {error}. The types of a check's parameters are how facts are found: "
            "import them at run time, not under TYPE_CHECKING"
        ) from None
    needs = []
    for name in inspect.signature(function).parameters:
        if name not in hints:
            raise PluginError(f"{_place(function)}: parameter {name!r} has no type, so no fact can be found for it")
        needs.append(_need(hints[name]))
    return tuple(needs)


def _need(annotation: object) -> Need:
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        members = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(members) == 1 and isinstance(members[0], type):
            return Need(members[0], optional=True)
    if isinstance(annotation, type):
        return Need(annotation, optional=False)
    raise PluginError(f"{annotation!r} cannot be asked for: a fact is a class, or `Fact | None`")


def _place(function: Callable[..., object]) -> str:
    module = sys.modules.get(function.__module__)
    file = getattr(module, "__file__", None) or function.__module__
    return f"{file}:{function.__code__.co_firstlineno}" if hasattr(function, "__code__") else str(file)
