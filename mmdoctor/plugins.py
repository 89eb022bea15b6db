"""Where rules come from: entry points of installed distributions, and files that the user names."""

import importlib
import sys
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from mmdoctor.check import Check, needs_of
from mmdoctor.errors import PluginError, UsageError
from mmdoctor.installed import distributions

GROUP = "mmdoctor.checks"
"""Entry point group: each entry names a module or a package that is walked for rules and providers."""

OWN = "mmdoctor"
"""The distribution whose entry points load even without plugins."""

F = TypeVar("F", bound=Callable[..., Any])
_IS_PROVIDER = "__mmdoctor_provides__"


def provider(function: F) -> F:
    """Mark a plugin's function as the maker of the fact that its return annotation names.

    Raises:
        PluginError: the function has no return annotation, or one that is not a class.
    """
    fact = typing.get_type_hints(function).get("return")
    if not isinstance(fact, type) or fact is type(None):
        raise PluginError(
            f"provider {function.__module__}.{function.__qualname__} returns {fact!r}: its return annotation "
            "must be the class of the fact it makes"
        )
    needs_of(function)
    setattr(function, _IS_PROVIDER, fact)
    return function


class EntryPoint(NamedTuple):
    """One line of a distribution's entry_points.txt."""

    distribution: str
    name: str
    value: str


class Rules:
    """The rules of one run and the providers that came with them."""

    def __init__(self) -> None:
        self._rules: dict[str, Check[...]] = {}
        self._owners: dict[str, str] = {}
        self.providers: dict[type, Callable[..., Any]] = {}

    @property
    def all(self) -> tuple[Check[...], ...]:
        """Every rule, by code."""
        return tuple(self._rules[code] for code in sorted(self._rules))

    def owner(self, code: str) -> str:
        """The distribution or file that a rule comes from."""
        return self._owners[code]

    def collect(self, module: ModuleType, owner: str) -> None:
        """Take the rules and providers of a module; those that it merely imports again are taken once.

        Raises:
            PluginError: another rule has the same code, another provider makes the same fact, or a rule asks
                for something that is not a fact.
        """
        for value in vars(module).values():
            if isinstance(value, Check):
                self._add_rule(value, owner)
            elif isinstance(fact := getattr(value, _IS_PROVIDER, None), type) and callable(value):
                self._add_provider(fact, value)

    def _add_rule(self, rule: Check[...], owner: str) -> None:
        known = self._rules.get(rule.code)
        if known is rule:
            return
        if known is not None:
            raise PluginError(
                f"two rules have the code {rule.code}: {known.name} of {self._owners[rule.code]} ({known.place}) and "
                f"{rule.name} of {owner} ({rule.place}); give one of them another code"
            )
        _ = rule.needs  # a parameter without a usable type is the plugin's fault, and is said before anything runs
        self._rules[rule.code] = rule
        self._owners[rule.code] = owner

    def _add_provider(self, fact: type, function: Callable[..., Any]) -> None:
        known = self.providers.setdefault(fact, function)
        if known is not function:
            raise PluginError(
                f"two providers make the fact {fact.__name__}: {known.__module__}.{known.__qualname__} and "
                f"{function.__module__}.{function.__qualname__}"
            )


def load_rules(load: Sequence[str | Path] = (), *, plugins: bool = True) -> Rules:
    """mmdoctor's own rules, those of installed plugins, and those of files.

    Args:
        load: Python files with rules.
        plugins: whether other distributions' rules are loaded; mmdoctor's own always are.

    Raises:
        PluginError: a plugin cannot be imported or does not fit in with the others.
        UsageError: a file is not there.
    """
    rules = Rules()
    for point in entry_points(GROUP):
        if plugins or point.distribution == OWN:
            for module in _walk(point.value, point.distribution):
                rules.collect(module, point.distribution)
    for file in load:
        rules.collect(_import_file(Path(file)), str(file))
    if not rules.all:
        raise PluginError(f"no rules found: no installed distribution has the entry point group {GROUP!r}")
    return rules


def entry_points(group: str, path: Sequence[str] | None = None) -> list[EntryPoint]:
    """Entry points of one group, of the distributions on `sys.path`, or in the folders of `path`."""
    found: list[EntryPoint] = []
    marker = group.encode()
    for distribution in distributions(path):
        if marker in (data := distribution.read("entry_points.txt")):
            found += [
                EntryPoint(distribution.name, *line) for line in _lines_of(group, data.decode("utf-8", "replace"))
            ]
    return sorted(found)


def _lines_of(group: str, text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield name.strip(), value.strip()


def _walk(name: str, distribution: str) -> Iterator[ModuleType]:
    """A module and, of a package, everything below it."""
    module = _import(name, distribution)
    yield module
    if hasattr(module, "__path__"):
        import pkgutil

        for info in pkgutil.iter_modules(module.__path__, f"{name}."):
            yield from _walk(info.name, distribution)


def _import(name: str, distribution: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(
            f"{distribution}: cannot import its rules from {name}: {type(error).__name__}: {error}; "
            f"repair or uninstall {distribution}, or run with --no-plugins"
        ) from error


def _import_file(path: Path) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    if not path.is_file():
        raise UsageError(f"--load {path}: there is no such file")
    spec = spec_from_file_location(f"mmdoctor_loaded_{abs(hash(path.resolve()))}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"--load {path}: not a Python file")
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # the types of a rule's parameters are looked up there
    try:
        spec.loader.exec_module(module)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"--load {path}: {type(error).__name__}: {error}") from error
    return module
