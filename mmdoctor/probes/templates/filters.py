"""Filters and tests that templates use."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from mmdoctor.probes.templates import operators
from mmdoctor.probes.templates.methods import join, replace
from mmdoctor.probes.templates.values import (
    Budget,
    Namespace,
    TemplateFailed,
    Undefined,
    Unsupported,
    checked,
    same,
    shown,
)

_Named = Mapping[str, Any]


def apply(budget: Budget, name: str, value: Any, args: list[Any], named: _Named) -> Any:
    """`value | name(...)`.

    Raises:
        TemplateFailed: the filter would raise.
        Unsupported: it is not one of those known here.
    """
    if name in ("default", "d"):
        replacement = (args or [named.get("default_value", "")])[0]
        lenient = args[1] if len(args) > 1 else named.get("boolean", False)
        return replacement if isinstance(value, Undefined) or (lenient and not value) else value
    if name in _CHOICES:
        return _chosen(budget, name, value, args, named)
    function = _FILTERS.get(name)
    if function is None:
        raise Unsupported(f"the filter {name}")
    budget.size(len(value) if isinstance(value, (str, list, dict)) else 0)
    try:
        return function(budget, value, args, named)
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        raise TemplateFailed(f"the filter {name}: {str(error)[:100]}") from None


def _text(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    return shown(budget, value)


def _by_method(name: str) -> Callable[[Budget, Any, list[Any], _Named], Any]:
    def method(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
        if args or named:
            raise Unsupported(f"the filter {name} with arguments")
        return getattr(shown(budget, value), name)()

    return method


def _trim(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    characters = args[0] if args else named.get("chars")
    if not isinstance(characters, (str, type(None))):
        raise TypeError("trim takes a text")
    return shown(budget, value).strip(characters)


def _length(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    if not isinstance(value, (str, list, tuple, Mapping, Undefined)):
        raise TypeError(f"a {operators.kind(value)} has no length")
    budget.spend()
    return len(value)


def _to_json(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    # transformers 5.23, chat_template_utils.py: ensure_ascii, indent, separators and sort_keys, ensure_ascii=False
    settings = {
        "ensure_ascii": False,
        **dict(zip(("ensure_ascii", "indent", "separators", "sort_keys"), args, strict=False)),
        **named,
    }
    indent = settings.get("indent")
    if isinstance(indent, (int, str)) and (len(indent) if isinstance(indent, str) else indent) > 16:
        raise Unsupported("wide indents")
    budget.visit(value)
    return budget.text(json.dumps(value, **settings))


def _first(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    return next(iter(operators.elements(budget, value)), Undefined("the first element of nothing"))


def _last(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    items = operators.elements(budget, value)
    return items[-1] if items else Undefined("the last element of nothing")


def _list(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    return operators.elements(budget, value)


def _items(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    if isinstance(value, Undefined):
        return []
    if not isinstance(value, Mapping):
        raise TypeError("items takes a dictionary")
    budget.size(len(value))
    return list(value.items())


def _joined(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    path = args[1] if len(args) > 1 else named.get("attribute")
    items = [look(budget, item, path) if path is not None else item for item in operators.elements(budget, value)]
    return join(budget, shown(budget, (args or [named.get("d", "")])[0]), [shown(budget, item) for item in items])


def _replaced(budget: Budget, value: Any, args: list[Any], _: _Named) -> Any:
    return replace(budget, shown(budget, value), *args)


def _reversed(budget: Budget, value: Any, _: list[Any], __: _Named) -> Any:
    items = operators.elements(budget, value)[::-1]
    return "".join(items) if isinstance(value, str) else items


def _number(kind: type) -> Callable[[Budget, Any, list[Any], _Named], Any]:
    def convert(budget: Budget, value: Any, args: list[Any], _: _Named) -> Any:
        budget.visit(value)
        try:
            return checked(kind(float(value)) if isinstance(value, str) and "." in value else kind(value))
        except (TypeError, ValueError, OverflowError):
            return args[0] if args else kind(0)

    return convert


def _indent(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    width = args[0] if args else named.get("width", 4)
    first = args[1] if len(args) > 1 else named.get("first", False)
    if len(args) > 2 or "blank" in named or not isinstance(width, int) or not 0 <= width <= 64:
        raise Unsupported("the filter indent with these arguments")
    text = shown(budget, value)
    budget.size(len(text) + width * (text.count("\n") + 1))
    lines = text.split("\n")
    indented = [line if not index or not line else " " * width + line for index, line in enumerate(lines)]
    return (" " * width if first else "") + "\n".join(indented)


def _round(_: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    if named or len(args) > 1:
        raise Unsupported("the filter round with a method")
    return round(float(value), args[0] if args else 0)


def _unique(budget: Budget, value: Any, _: list[Any], named: _Named) -> Any:
    if named:
        raise Unsupported("the filter unique with arguments")
    found: list[Any] = []
    for item in operators.elements(budget, value):
        if not any(same(budget, _folded(item), _folded(other)) for other in found):
            found.append(item)
    return found


def _sorted(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    if args or set(named) - {"reverse"}:
        raise Unsupported("the filter sort with arguments")
    items = operators.elements(budget, value)
    budget.visit(items)
    if not all(isinstance(item, str) for item in items) and not all(isinstance(item, (int, float)) for item in items):
        raise Unsupported("the filter sort of mixed values")
    return sorted(items, key=_folded, reverse=bool(named.get("reverse")))


def _dictsort(budget: Budget, value: Any, args: list[Any], named: _Named) -> Any:
    if args or named or not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise Unsupported("the filter dictsort with arguments")
    budget.visit(list(value))
    return sorted(value.items(), key=lambda pair: pair[0].lower())


def _folded(item: Any) -> Any:
    return item.lower() if isinstance(item, str) else item


_FILTERS: Mapping[str, Callable[[Budget, Any, list[Any], _Named], Any]] = {
    "string": _text,
    "safe": _text,
    **{name: _by_method(name) for name in ("upper", "lower", "capitalize")},
    "trim": _trim,
    "length": _length,
    "count": _length,
    "tojson": _to_json,
    "first": _first,
    "last": _last,
    "list": _list,
    "items": _items,
    "join": _joined,
    "replace": _replaced,
    "reverse": _reversed,
    "int": _number(int),
    "float": _number(float),
    "indent": _indent,
    "round": _round,
    "abs": lambda _, value, *__: abs(value),
    "unique": _unique,
    "sort": _sorted,
    "dictsort": _dictsort,
}

_CHOICES = ("selectattr", "rejectattr", "select", "reject", "map")


def _chosen(budget: Budget, name: str, value: Any, args: list[Any], named: _Named) -> Any:
    items = operators.elements(budget, value)
    if name == "map":
        if "attribute" in named:
            default = named.get("default")
            found = [look(budget, item, named["attribute"]) for item in items]
            return [default if isinstance(f, Undefined) and "default" in named else f for f in found]
        if not args or not isinstance(args[0], str):
            raise TemplateFailed("map needs a filter")
        return [apply(budget, args[0], item, args[1:], named) for item in items]
    rest = list(args)
    path = rest.pop(0) if name.endswith("attr") and rest else None
    condition = rest.pop(0) if rest else "truthy"
    wanted = name.startswith("select")
    kept = []
    for item in items:
        seen = look(budget, item, path) if path is not None else item
        passes = bool(seen) if condition == "truthy" else holds(budget, condition, seen, rest)
        if bool(passes) is wanted:
            kept.append(item)
    return kept


def look(budget: Budget, item: Any, path: Any) -> Any:
    """The attribute of an item by a path such as `type` or `function.name`."""
    for part in str(path).split(".") if isinstance(path, str) else [path]:
        budget.spend()
        if isinstance(item, Undefined):
            raise item.fail()
        item = operators.item(item, int(part) if isinstance(part, str) and part.isdigit() else part)
    return item


def holds(budget: Budget, name: Any, value: Any, args: list[Any], *, function: bool = False) -> bool:
    """`value is name(...)`."""
    if name in ("defined", "undefined"):
        return isinstance(value, Undefined) is (name == "undefined")
    if name == "callable":
        return function
    simple = _TESTS.get(name) if isinstance(name, str) else None
    if simple is not None and not args:
        return simple(value)
    operator = _OPERATORS.get(name) if isinstance(name, str) else None
    if operator is not None and len(args) == 1:
        return operators.compare(budget, operator, value, args[0])
    if name == "sameas" and len(args) == 1 and (args[0] is None or isinstance(args[0], bool)):
        return value is args[0]
    if name == "divisibleby" and len(args) == 1 and isinstance(value, int) and isinstance(args[0], int) and args[0]:
        return value % args[0] == 0
    raise Unsupported(f"the test {str(name)[:40]}")


_OPERATORS = {
    **dict.fromkeys(("equalto", "eq", "=="), "eq"),
    **dict.fromkeys(("ne", "!="), "ne"),
    **dict.fromkeys(("lt", "lessthan", "<"), "lt"),
    **dict.fromkeys(("gt", "greaterthan", ">"), "gt"),
    **dict.fromkeys(("le", "<="), "lteq"),
    **dict.fromkeys(("ge", ">="), "gteq"),
    "in": "in",
}

_TESTS: Mapping[str, Callable[[Any], bool]] = {
    "none": lambda value: value is None,
    "string": lambda value: isinstance(value, str),
    "mapping": lambda value: isinstance(value, Mapping),
    "iterable": lambda value: isinstance(value, (str, list, tuple, Mapping, Undefined)),
    "sequence": lambda value: isinstance(value, (str, list, tuple, Mapping, Undefined)),
    "number": lambda value: isinstance(value, (int, float)),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "boolean": lambda value: isinstance(value, bool),
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "odd": lambda value: isinstance(value, int) and value % 2 == 1,
    "even": lambda value: isinstance(value, int) and value % 2 == 0,
    "lower": lambda value: isinstance(value, str) and value.islower(),
    "upper": lambda value: isinstance(value, str) and value.isupper(),
    "namespace": lambda value: isinstance(value, Namespace),
}
