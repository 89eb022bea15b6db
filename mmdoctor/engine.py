"""Resolves facts lazily and runs checks: what each one came to, never more than once per fact."""

import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from mmdoctor.check import Check, Need, needs_of
from mmdoctor.errors import MMDoctorError
from mmdoctor.finding import Finding, Problem, Severity

T = TypeVar("T")


class NotApplicable(Exception):  # noqa: N818 - an answer, not an error
    """Raised by a provider: this artefact has no such thing, and need not have it."""


class Unavailable(Exception):  # noqa: N818 - an answer, not an error
    """Raised by a provider: the fact would matter, but it cannot be known here. The message says why."""


class Ran(msgspec.Struct, frozen=True):
    """The check looked; no findings means passed."""

    findings: tuple[Finding, ...] = ()


class Skipped(msgspec.Struct, frozen=True):
    """The check does not apply to this artefact."""

    reason: str


class CouldNotCheck(msgspec.Struct, frozen=True):
    """The check applies, but a fact it needs cannot be had."""

    reason: str


class Crashed(msgspec.Struct, frozen=True):
    """The check or a provider has a bug. Never a pass."""

    error: str
    """Exception type and text."""
    traceback: str


Outcome = Ran | Skipped | CouldNotCheck | Crashed
Provider = Callable[..., Any]


class ProviderFailed(Exception):  # noqa: N818 - carries the outcome of a provider with a bug
    """A provider raised something it should not."""

    def __init__(self, crash: Crashed) -> None:
        super().__init__(crash.error)
        self.crash = crash


class Engine:
    """Facts of one run, made on demand by providers, and the checks that look at them.

    Args:
        providers: fact type -> function that makes it from other facts.
        given: facts that the run starts from, by their type.
    """

    def __init__(self, providers: Mapping[type, Provider], given: Mapping[type, object]) -> None:
        self._providers = providers
        self._known: dict[type, object] = dict(given)
        self._resolving: list[type] = []

    def fact(self, kind: type[T]) -> T:
        """The fact of that type.

        Raises:
            NotApplicable: the artefact has no such thing.
            Unavailable: it cannot be known here.
            MMDoctorError: the user has to put something right first.
            ProviderFailed: a provider has a bug.
        """
        if kind not in self._known:
            self._known[kind] = self._make(kind)
        known = self._known[kind]
        if isinstance(known, Exception):
            raise known
        return known  # type: ignore[return-value]  # the mapping is keyed by the value's own type

    def fact_or_none(self, kind: type[T]) -> T | None:
        """The fact of that type, or None where it does not apply or cannot be known."""
        try:
            return self.fact(kind)
        except (NotApplicable, Unavailable):
            return None

    def known(self, kind: type[T]) -> T | None:
        """The fact of that type if some check asked for it and it could be had; nothing is made for it."""
        known = self._known.get(kind)
        return None if isinstance(known, Exception) else known  # type: ignore[return-value]  # keyed by its own type

    def _make(self, kind: type) -> object:
        if kind in self._resolving:
            chain = " -> ".join(t.__name__ for t in [*self._resolving, kind])
            return ProviderFailed(Crashed(f"providers go round in a circle: {chain}", ""))
        self._resolving.append(kind)
        try:
            provider = self._providers.get(kind)
            if provider is None:
                return Unavailable(f"nothing provides {kind.__name__}")
            return provider(*self._arguments(needs_of(provider)))
        except (NotApplicable, Unavailable, ProviderFailed, MMDoctorError) as answer:
            return answer
        except Exception as error:  # noqa: BLE001 - a provider's bug must not take the other checks with it
            return ProviderFailed(_crash(error))
        finally:
            self._resolving.pop()

    def _arguments(self, needs: Iterable[Need]) -> list[object]:
        return [self.fact_or_none(n.fact) if n.optional else self.fact(n.fact) for n in needs]

    def run(
        self, checks: Iterable[Check[...]], done: Callable[[Check[...]], None] = lambda _: None
    ) -> dict[str, Outcome]:
        """What each check came to, by code, causes before the rules that yield to them.

        Args:
            checks: the selected rules.
            done: called after each check, for a progress display.
        """
        selected = {c.code: c for c in checks}
        outcomes: dict[str, Outcome] = {}
        for code in _causes_first(selected):
            outcomes[code] = self._run_one(selected[code], outcomes)
            done(selected[code])
        return {code: outcomes[code] for code in sorted(outcomes)}

    def _run_one(self, rule: Check[...], outcomes: Mapping[str, Outcome]) -> Outcome:
        for cause in rule.yields_to:
            outcome = outcomes.get(cause)
            if isinstance(outcome, Ran) and any(f.severity is Severity.ERROR for f in outcome.findings):
                return Skipped(f"explained by {cause}")
        try:
            arguments = self._arguments(rule.needs)
            return Ran(tuple(_finding(rule, problem) for problem in rule.function(*arguments)))
        except NotApplicable as answer:
            return Skipped(str(answer))
        except Unavailable as answer:
            return CouldNotCheck(str(answer))
        except ProviderFailed as failure:
            return failure.crash
        except MMDoctorError:
            raise
        except Exception as error:  # noqa: BLE001 - a rule's bug is an outcome of its own
            return _crash(error)


def _crash(error: Exception) -> Crashed:
    return Crashed(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _finding(rule: Check[...], problem: Problem) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=problem.severity or rule.severity,
        confidence=problem.confidence,
        message=problem.message,
        summary=rule.summary,
        evidence=tuple(problem.because),
        fix=problem.fix,
    )


def _causes_first(checks: Mapping[str, Check[...]]) -> list[str]:
    order: dict[str, None] = {}

    def visit(code: str, waiting: tuple[str, ...]) -> None:
        if code in order or code not in checks or code in waiting:
            return
        for cause in checks[code].yields_to:
            visit(cause, (*waiting, code))
        order[code] = None

    for code in sorted(checks):
        visit(code, ())
    return list(order)
