"""Methods of texts, lists and dictionaries that templates call."""

from collections.abc import Callable, Mapping
from typing import Any

from mmdoctor.probes.templates.values import Budget, Loop, Method, TemplateFailed, Undefined, Unsupported, same

_TEXT = frozenset(
    {"strip", "lstrip", "rstrip", "startswith", "endswith", "upper", "lower", "title", "capitalize", "split", "rsplit"}
    | {"splitlines", "find", "rfind", "index", "count", "partition", "rpartition", "removeprefix", "removesuffix"}
    | {"isdigit", "isalpha", "isalnum", "isspace", "isupper", "islower", "isnumeric", "isdecimal", "swapcase"}
)
"""Methods of texts whose result is no longer than the text."""
_PADDED = frozenset({"center", "ljust", "rjust", "zfill"})
_CHANGES = frozenset(
    {"append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse", "update", "setdefault", "popitem"}
)
"""What transformers' ImmutableSandboxedEnvironment refuses."""


def attribute(owner: Any, name: str) -> Any:
    """`owner.name` of a text, list, dictionary or number: a method, else a dictionary's element."""
    if name.startswith("_"):
        return Undefined(f"the attribute {name}, which the sandbox refuses,")
    if hasattr(type(owner), name):
        return Method(owner, name)
    if isinstance(owner, Mapping) and name in owner:
        return owner[name]
    return Undefined(f"'{type(owner).__name__} object' has no attribute '{name}', so it")


def call(budget: Budget, method: Method, args: list[Any], named: Mapping[str, Any]) -> Any:
    """The result of a method.

    Raises:
        TemplateFailed: the method would raise, or the sandbox would.
        Unsupported: it is not one of those known here.
    """
    owner, name = method.owner, method.name
    if name in _CHANGES and isinstance(owner, (list, dict)):
        raise TemplateFailed(f"{type(owner).__name__}.{name} changes a value, which the sandbox refuses")
    budget.visit(args)
    try:
        if isinstance(owner, str):
            return _of_text(budget, owner, name, args, named)
        if isinstance(owner, Mapping):
            return _of_mapping(budget, owner, name, args, named)
        if isinstance(owner, Loop):
            return _of_loop(owner, name, args)
        if isinstance(owner, (list, tuple)) and name in ("index", "count") and len(args) == 1:
            equal = [index for index, item in enumerate(owner) if same(budget, item, args[0])]
            if name == "index" and not equal:
                raise TemplateFailed("list.index: the value is not in the list")
            return equal[0] if name == "index" else len(equal)
    except (TypeError, ValueError, AttributeError) as error:
        raise TemplateFailed(f"{type(owner).__name__}.{name}: {str(error)[:100]}") from None
    raise Unsupported(f"{type(owner).__name__}.{name}()")


def _of_text(budget: Budget, owner: str, name: str, args: list[Any], named: Mapping[str, Any]) -> Any:
    budget.size(len(owner))
    if name == "replace" and len(args) in (2, 3) and not named:
        return replace(budget, owner, *args)
    if name == "join" and len(args) == 1:
        return join(budget, owner, args[0])
    if name in _PADDED and args and type(args[0]) is int:
        budget.size(max(args[0], 0))
    elif name not in _TEXT or len(args) > 3:
        raise Unsupported(f"str.{name}()")
    function: Callable[..., Any] = getattr(owner, name)
    result = function(*args, **named)
    budget.visit(result)
    return result


def replace(budget: Budget, text: str, old: Any, new: Any, count: Any = -1) -> str:
    """`text.replace`, paid for before it is made."""
    if not isinstance(old, str) or not isinstance(new, str) or type(count) is not int:
        raise TemplateFailed("replace takes texts")
    found = text.count(old) if count < 0 else min(text.count(old), count)
    budget.size(len(text) + found * max(len(new) - len(old), 0))
    return text.replace(old, new, count)


def join(budget: Budget, glue: str, items: Any) -> str:
    """`glue.join(items)` of texts."""
    if isinstance(items, Mapping):
        items = list(items)
    if not isinstance(items, (list, tuple, str)) or not all(isinstance(item, str) for item in items):
        raise TemplateFailed("join takes a list of texts")
    budget.size(sum(map(len, items)) + len(glue) * len(items))
    return glue.join(items)


def _of_mapping(budget: Budget, owner: Mapping[Any, Any], name: str, args: list[Any], named: Mapping[str, Any]) -> Any:
    budget.size(len(owner))
    if name in ("items", "keys", "values") and not args:
        return list(getattr(owner, name)())
    if name == "get" and len(args) in (1, 2):
        return owner.get(args[0], args[1] if len(args) == 2 else named.get("default"))
    if name == "copy" and not args:
        return dict(owner)
    raise Unsupported(f"dict.{name}()")


def _of_loop(owner: Loop, name: str, args: list[Any]) -> Any:
    if name == "cycle" and args:
        return args[owner.index % len(args)]
    raise Unsupported(f"loop.{name}()")
