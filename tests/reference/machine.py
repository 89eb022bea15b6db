"""What the tests of the self-test share: the rules as the engine runs them, and machines with a fault."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdoctor.engine import Engine, Ran
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.facts.source import Source
from mmdoctor.plugins import load_rules
from mmdoctor.reference import WEIGHTS

BUNDLED = Source(root=WEIGHTS, name="reference model", files=(), bundled=True)
RULES = [rule for rule in load_rules(plugins=False).all if [need.fact for need in rule.needs] == [SelfTest]]


def codes(test: SelfTest) -> list[str]:
    """Codes of the rules that fire on what was measured, through the engine."""
    outcomes = Engine({}, {SelfTest: test}).run(RULES)
    assert all(isinstance(outcome, Ran) for outcome in outcomes.values())
    return [code for code, outcome in outcomes.items() if isinstance(outcome, Ran) and outcome.findings]


@contextmanager
def replaced(where: Any, name: str, new: Any) -> Iterator[Any]:
    """The attribute is another one for a while; gives the right one."""
    right = getattr(where, name)
    setattr(where, name, new)
    try:
        yield right
    finally:
        setattr(where, name, right)
