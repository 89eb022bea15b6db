"""The engine: facts made lazily and once, and the four outcomes of a check."""

from collections.abc import Iterator

import pytest

from mmdoctor.check import check
from mmdoctor.engine import CouldNotCheck, Crashed, Engine, NotApplicable, ProviderFailed, Ran, Skipped, Unavailable
from mmdoctor.errors import PluginError, UsageError
from mmdoctor.finding import Evidence, Problem, Severity


class Given:
    """A fact that the run starts from."""


class Made:
    """A fact that a provider makes."""


class Other:
    """Another one."""


@check("TST001", Severity.ERROR)
def always_wrong(given: Given) -> Iterator[Problem]:
    """It is always wrong."""
    yield Problem("wrong", [Evidence("number", 1, expected=2)])


@check("TST002", Severity.WARNING)
def never_wrong(made: Made) -> Iterator[Problem]:
    """It is never wrong."""
    yield from ()


def test_a_problem_becomes_a_finding_with_the_identity_of_its_rule():
    outcome = Engine({}, {Given: Given()}).run([always_wrong])["TST001"]

    assert isinstance(outcome, Ran)
    (finding,) = outcome.findings
    assert (finding.code, finding.name, finding.severity) == ("TST001", "always-wrong", Severity.ERROR)
    assert finding.summary == "It is always wrong."


def test_facts_are_made_lazily_and_once():
    calls = []

    def made() -> Made:
        calls.append("made")
        return Made()

    def other() -> Other:
        calls.append("other")
        return Other()

    @check("TST003", Severity.NOTE)
    def also_wants_it(made: Made, given: Given) -> Iterator[Problem]:
        """It also wants it."""
        yield from ()

    outcomes = Engine({Made: made, Other: other}, {Given: Given()}).run([never_wrong, also_wants_it])

    assert outcomes == {"TST002": Ran(), "TST003": Ran()}
    assert calls == ["made"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (NotApplicable("there is none"), Skipped("there is none")),
        (Unavailable("torch is not installed"), CouldNotCheck("torch is not installed")),
    ],
)
def test_a_provider_that_cannot_answer_skips_the_check_with_its_reason(answer: Exception, outcome: object):
    def made() -> Made:
        raise answer

    assert Engine({Made: made}, {}).run([never_wrong])["TST002"] == outcome


def test_a_fact_that_nothing_provides_could_not_be_checked():
    assert Engine({}, {}).run([never_wrong])["TST002"] == CouldNotCheck("nothing provides Made")


def test_an_optional_fact_that_is_absent_is_none():
    seen = []

    @check("TST004", Severity.NOTE)
    def does_not_mind(made: Made | None) -> Iterator[Problem]:
        """It does not mind."""
        seen.append(made)
        yield from ()

    assert Engine({}, {}).run([does_not_mind])["TST004"] == Ran()
    assert seen == [None]


def test_a_bug_in_a_rule_is_a_crash_and_leaves_the_others_alone():
    @check("TST005", Severity.NOTE)
    def divides_by_zero(given: Given) -> Iterator[Problem]:
        """It divides by zero."""
        yield Problem(str(1 // 0), [Evidence("never", 0)])

    outcomes = Engine({}, {Given: Given()}).run([divides_by_zero, always_wrong])

    crash = outcomes["TST005"]
    assert isinstance(crash, Crashed)
    assert crash.error.startswith("ZeroDivisionError")
    assert "divides_by_zero" in crash.traceback
    assert isinstance(outcomes["TST001"], Ran)


def test_a_bug_in_a_provider_crashes_every_check_that_wants_it_even_optionally():
    def made() -> Made:
        raise KeyError("oops")

    @check("TST006", Severity.NOTE)
    def does_not_mind(made: Made | None) -> Iterator[Problem]:
        """It does not mind."""
        yield from ()

    outcomes = Engine({Made: made}, {}).run([never_wrong, does_not_mind])

    assert all(isinstance(o, Crashed) for o in outcomes.values())


def test_a_provider_whose_module_cannot_be_imported_crashes_only_its_checks():
    class Lazy(dict[type, object]):
        def get(self, key: type, default: object = None) -> object:
            raise ImportError("no module named elsewhere")

    outcome = Engine(Lazy(), {}).run([never_wrong])["TST002"]  # type: ignore[arg-type]  # raises before it is called

    assert isinstance(outcome, Crashed)
    assert "elsewhere" in outcome.error


def test_what_the_user_must_put_right_stops_the_run():
    def made() -> Made:
        raise UsageError("--gpu: there is no such card")

    with pytest.raises(UsageError, match="no such card"):
        Engine({Made: made}, {}).run([never_wrong])


def test_providers_that_go_round_in_a_circle_are_a_bug_with_the_circle_named():
    def made(other: Other) -> Made:
        return Made()

    def other(made: Made) -> Other:
        return Other()

    with pytest.raises(ProviderFailed, match="Made -> Other -> Made"):
        Engine({Made: made, Other: other}, {}).fact(Made)


def test_a_rule_is_silent_when_the_cause_was_found():
    @check("TST000", Severity.ERROR, yields_to=("TST001",))
    def consequence(given: Given) -> Iterator[Problem]:
        """It is a consequence."""
        yield Problem("also wrong", [Evidence("number", 1)])

    engine = Engine({}, {Given: Given()})

    assert engine.run([consequence, always_wrong])["TST000"] == Skipped("explained by TST001")
    assert isinstance(engine.run([consequence])["TST000"], Ran)


def test_a_milder_finding_of_the_cause_silences_nothing():
    @check("TST007", Severity.NOTE)
    def mild(given: Given) -> Iterator[Problem]:
        """It is mild."""
        yield Problem("mild", [Evidence("number", 1)])

    @check("TST008", Severity.ERROR, yields_to=("TST007",))
    def grave(given: Given) -> Iterator[Problem]:
        """It is grave."""
        yield Problem("grave", [Evidence("number", 1)])

    outcome = Engine({}, {Given: Given()}).run([mild, grave])["TST008"]

    assert isinstance(outcome, Ran)
    assert len(outcome.findings) == 1


def test_a_problem_without_evidence_is_refused():
    with pytest.raises(ValueError, match="evidence"):
        Problem("it is wrong, trust me", [])


def test_a_parameter_without_a_type_is_the_plugins_fault():
    @check("TST009", Severity.NOTE)
    def untyped(given) -> Iterator[Problem]:  # type: ignore[no-untyped-def]  # the point of the test
        """It has no type."""
        yield from ()

    with pytest.raises(PluginError, match="'given' has no type"):
        _ = untyped.needs


def test_a_rule_needs_a_page_and_a_well_formed_code():
    with pytest.raises(PluginError, match="no docstring"):

        @check("TST010", Severity.NOTE)
        def silent(given: Given) -> Iterator[Problem]:
            yield from ()

    with pytest.raises(PluginError, match="'tst1'"):

        @check("tst1", Severity.NOTE)
        def badly_numbered(given: Given) -> Iterator[Problem]:
            """It is badly numbered."""
            yield from ()
