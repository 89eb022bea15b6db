"""Which rules run: by family, code or name, the more specific selector winning."""

from collections.abc import Iterable, Sequence

from mmdoctor.check import Check
from mmdoctor.errors import UsageError

ALL = "ALL"


def select(
    rules: Iterable[Check[...]], chosen: Sequence[str] = (), ignored: Sequence[str] = ()
) -> tuple[Check[...], ...]:
    """The rules that `chosen` names and `ignored` does not.

    A selector is a family's letters (`MEM`), a family (`gpu_memory`), a code (`DRF005`), a rule's name
    (`merge-size-mismatch`) or `ALL`. A code or name beats a family, a family beats `ALL`; of two alike, `ignored` wins.

    Args:
        rules: all rules there are.
        chosen: selectors; empty for all.
        ignored: selectors of rules that are left out.

    Raises:
        UsageError: a selector fits no rule.
    """
    known = tuple(rules)
    wanted = _split(chosen) or (ALL,)
    unwanted = _split(ignored)
    for option, selectors in (("select", wanted), ("ignore", unwanted)):
        for selector in selectors:
            if selector.upper() != ALL and not any(_rank(selector, rule) for rule in known):
                raise UsageError(f"{option}: no rule or family is called {selector!r}{_nearest(selector, known)}")
    return tuple(rule for rule in known if _best(wanted, rule) > _best(unwanted, rule))


def find(rules: Iterable[Check[...]], name: str) -> Check[...]:
    """The rule with that code or name.

    Raises:
        UsageError: there is none.
    """
    known = tuple(rules)
    for rule in known:
        if _rank(name, rule) == _RULE:
            return rule
    raise UsageError(f"no rule has the code or name {name!r}{_nearest(name, known)}")


_RULE, _FAMILY, _EVERYTHING, _NOTHING = 3, 2, 1, 0


def _rank(selector: str, rule: Check[...]) -> int:
    """How specifically a selector names a rule; 0 when it does not."""
    folded = selector.strip().casefold().replace("_", "-")
    if folded in {rule.code.casefold(), rule.name}:
        return _RULE
    if folded in {_letters(rule).casefold(), rule.family.replace("_", "-")}:
        return _FAMILY
    return _EVERYTHING if folded == ALL.casefold() else _NOTHING


def _best(selectors: Sequence[str], rule: Check[...]) -> int:
    return max((_rank(s, rule) for s in selectors), default=_NOTHING)


def _letters(rule: Check[...]) -> str:
    return rule.code.rstrip("0123456789")


def _split(selectors: Sequence[str]) -> tuple[str, ...]:
    return tuple(s.strip() for text in selectors for s in text.split(",") if s.strip())


def _nearest(selector: str, rules: Sequence[Check[...]]) -> str:
    from difflib import get_close_matches

    names = {n for rule in rules for n in (rule.code, rule.name, _letters(rule), rule.family)}
    folded = {name.casefold(): name for name in sorted(names)}
    close = get_close_matches(selector.casefold().replace("_", "-"), list(folded), n=1, cutoff=0.5)
    hint = f"; did you mean {folded[close[0]]}?" if close else ""
    return f"{hint} (`mmdoctor rules` lists them)" if hint else "; `mmdoctor rules` lists them"
