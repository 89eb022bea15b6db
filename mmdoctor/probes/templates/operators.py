"""Operators of templates on JSON's values, each paid for before its result is made."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.probes.templates.methods import attribute
from mmdoctor.probes.templates.values import (
    LONGEST,
    Budget,
    TemplateFailed,
    TooMuch,
    Undefined,
    Unsupported,
    checked,
    same,
)

_BASE, _EXPONENT = 1 << 20, 16


def kind(value: object) -> str:
    """The type of a value, for messages."""
    return "value that is undefined" if isinstance(value, Undefined) else type(value).__name__.strip("_").lower()


def elements(budget: Budget, value: Any) -> list[Any]:
    """What a loop over the value goes through."""
    if isinstance(value, (str, list, tuple, Mapping)):
        budget.size(len(value))
        return list(value)
    if isinstance(value, Undefined):
        return []
    raise TemplateFailed(f"a loop over a {kind(value)}")


def key(value: Any) -> Any:
    """A value that can be the key of a dictionary."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TemplateFailed(f"a {kind(value)} as the key of a dictionary")


def item(owner: Any, index: Any) -> Any:
    """`owner[index]`: an element, else the attribute of that name, else undefined."""
    if isinstance(owner, Undefined):
        raise owner.fail()
    if isinstance(owner, Mapping) and (index is None or isinstance(index, (str, int, float))) and index in owner:
        return owner[index]
    if isinstance(owner, (str, list, tuple)) and isinstance(index, int):
        return owner[index] if -len(owner) <= index < len(owner) else Undefined(f"element {index} of a {kind(owner)}")
    if isinstance(index, str) and not isinstance(owner, Mapping) and not isinstance(owner, (str, list, tuple)):
        raise Unsupported(f"elements of a {kind(owner)}")
    if isinstance(index, str):
        return attribute(owner, index)
    return Undefined(f"element {str(index)[:40]} of a {kind(owner)}")


def cut(budget: Budget, owner: Any, parts: list[Any]) -> Any:
    """`owner[start:stop:step]`."""
    if isinstance(owner, Undefined):
        raise owner.fail()
    if not isinstance(owner, (str, list, tuple)) or any(type(p) not in (int, type(None)) for p in parts):
        raise TemplateFailed(f"a {kind(owner)} cannot be sliced so")
    if parts[2] == 0:
        raise TemplateFailed("a slice with steps of zero")
    budget.size(len(owner))
    return owner[slice(*parts)]


def binary(budget: Budget, operator: str, left: Any, right: Any) -> Any:
    """`left + right` and the like."""
    for side in (left, right):
        if isinstance(side, Undefined):
            raise side.fail()
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if operator == "Add" and isinstance(left, str) and isinstance(right, str):
        budget.size(len(left) + len(right))
        return left + right
    if operator == "Add" and isinstance(left, list) and isinstance(right, list):
        budget.size(len(left) + len(right))
        return left + right
    if operator == "Mul" and not numbers:
        return _repeated(budget, left, right)
    if operator == "Mod" and isinstance(left, str):
        raise Unsupported("formatting with %")
    if not numbers:
        raise TemplateFailed(f"a {kind(left)} and a {kind(right)} cannot be joined by {_SIGNS[operator]}")
    return checked(_calculated(operator, left, right))


_SIGNS = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**"}


def _repeated(budget: Budget, left: Any, right: Any) -> Any:
    many, times = (right, left) if isinstance(left, int) else (left, right)
    if not isinstance(many, (str, list)) or not isinstance(times, int):
        raise TemplateFailed(f"a {kind(left)} and a {kind(right)} cannot be multiplied")
    if times > LONGEST:
        raise TooMuch(f"a text or list repeated {times} times")
    budget.size(len(many) * max(times, 0))
    return many * times


def _calculated(operator: str, left: Any, right: Any) -> Any:
    if operator == "Pow" and not (abs(left) <= _BASE and 0 <= right <= _EXPONENT):
        raise Unsupported("large powers")
    if operator in ("Div", "FloorDiv", "Mod") and not right:
        raise TemplateFailed("a division by zero")
    try:
        if operator == "Add":
            return left + right
        if operator == "Sub":
            return left - right
        if operator == "Mul":
            return left * right
        if operator == "Div":
            return left / right
        if operator == "FloorDiv":
            return left // right
        return left % right if operator == "Mod" else left**right
    except OverflowError:
        raise Unsupported("numbers without end") from None


def compare(budget: Budget, operator: str, left: Any, right: Any) -> bool:
    """`left == right`, `left in right` and the like."""
    if operator in ("eq", "ne"):
        return same(budget, left, right) is (operator == "eq")
    if operator in ("in", "notin"):
        return contains(budget, right, left) is (operator == "in")
    for side in (left, right):
        if isinstance(side, Undefined):
            raise side.fail()
    numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        raise TemplateFailed(f"a {kind(left)} and a {kind(right)} cannot be ordered")
    first, second = (left, right) if operator in ("lt", "lteq") else (right, left)
    return bool(first < second or (operator in ("lteq", "gteq") and first == second))


def contains(budget: Budget, many: Any, one: Any) -> bool:
    """`one in many`."""
    if isinstance(many, Undefined):
        return False
    if isinstance(many, str):
        if not isinstance(one, str):
            raise TemplateFailed(f"a {kind(one)} in a text")
        budget.size(len(many))
        return one in many
    if isinstance(many, Mapping):
        if isinstance(one, (list, dict)):
            raise TemplateFailed(f"a {kind(one)} as the key of a dictionary")
        return one in many
    if isinstance(many, (list, tuple)):
        return any(same(budget, element, one) for element in elements(budget, many))
    raise TemplateFailed(f"nothing is in a {kind(many)}")
