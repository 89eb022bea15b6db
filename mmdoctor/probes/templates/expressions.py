"""Expressions of templates: names, literals, operators, attributes, calls, filters and tests."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from mmdoctor.probes.templates import filters, operators
from mmdoctor.probes.templates.methods import attribute, call
from mmdoctor.probes.templates.values import (
    Budget,
    Loop,
    Method,
    Namespace,
    TemplateFailed,
    Undefined,
    Unsupported,
    shown,
)

_RANGE = 100_000
"""The sandbox's limit of `range` (jinja2.sandbox.MAX_RANGE)."""


class Scope:
    """Variables that a block of the template sets, over those that it sees."""

    def __init__(self, parent: "Scope | None" = None, variables: Mapping[str, Any] | None = None) -> None:
        self.parent = parent
        self.variables = dict(variables or {})

    def get(self, name: str) -> Any:
        """The value of a name, or Undefined."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name]
            scope = scope.parent
        return Undefined(f"'{name}'")


class Macro:
    """A macro, or what a call block hands to one."""

    def __init__(self, node: nodes.Macro | nodes.CallBlock, scope: Scope, defaults: list[Any]) -> None:
        self.node = node
        self.scope = scope
        self.defaults = defaults


class Expressions:
    """Evaluates expressions within a budget."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def run(self, macro: Macro, args: list[Any], named: Mapping[str, Any], caller: Macro | None) -> str:
        """What a macro writes: left to those who know statements."""
        raise NotImplementedError

    def shown(self, node: nodes.Node, scope: Scope) -> str:
        """What `{{ node }}` writes."""
        return shown(self.budget, self.value(node, scope))

    def value(self, node: nodes.Node | None, scope: Scope) -> Any:
        self.budget.spend()
        handler = _EXPRESSIONS.get(type(node).__name__)
        if handler is None:
            raise Unsupported(f"the expression {type(node).__name__.lower()}")
        return handler(self, node, scope)

    def _name(self, node: nodes.Name, scope: Scope) -> Any:
        value = scope.get(node.name)
        if isinstance(value, Undefined) and node.name in _GLOBALS:
            return Method(None, node.name)
        return value

    def _template_data(self, node: nodes.TemplateData, _: Scope) -> Any:
        return node.data

    def _const(self, node: nodes.Const, _: Scope) -> Any:
        return node.value

    def _list(self, node: nodes.List, scope: Scope) -> Any:
        return [self.value(item, scope) for item in node.items]

    def _tuple(self, node: nodes.Tuple, scope: Scope) -> Any:
        return tuple(self.value(item, scope) for item in node.items)

    def _dict(self, node: nodes.Dict, scope: Scope) -> Any:
        pairs = [(self.value(pair.key, scope), self.value(pair.value, scope)) for pair in node.items]
        return {operators.key(k): v for k, v in pairs}

    def _conditional(self, node: nodes.CondExpr, scope: Scope) -> Any:
        if self.value(node.test, scope):
            return self.value(node.expr1, scope)
        return self.value(node.expr2, scope) if node.expr2 is not None else Undefined("an else")

    def _binary(self, node: nodes.BinExpr, scope: Scope) -> Any:
        left = self.value(node.left, scope)
        return operators.binary(self.budget, type(node).__name__, left, self.value(node.right, scope))

    def _and(self, node: nodes.And, scope: Scope) -> Any:
        return self.value(node.left, scope) and self.value(node.right, scope)

    def _or(self, node: nodes.Or, scope: Scope) -> Any:
        return self.value(node.left, scope) or self.value(node.right, scope)

    def _not(self, node: nodes.Not, scope: Scope) -> Any:
        return not self.value(node.node, scope)

    def _sign(self, node: nodes.Neg | nodes.Pos, scope: Scope) -> Any:
        value = self.value(node.node, scope)
        if not isinstance(value, (int, float)):
            raise TemplateFailed(f"a sign before a {operators.kind(value)}")
        return -value if isinstance(node, nodes.Neg) else +value

    def _concat(self, node: nodes.Concat, scope: Scope) -> Any:
        texts = [self.shown(child, scope) for child in node.nodes]
        self.budget.size(sum(map(len, texts)))
        return "".join(texts)

    def _compare(self, node: nodes.Compare, scope: Scope) -> Any:
        left = self.value(node.expr, scope)
        for operand in node.ops:
            right = self.value(operand.expr, scope)
            if not operators.compare(self.budget, operand.op, left, right):
                return False
            left = right
        return True

    def _getattr(self, node: nodes.Getattr, scope: Scope) -> Any:
        owner = self.value(node.node, scope)
        if isinstance(owner, Undefined):
            raise owner.fail()
        if isinstance(owner, Namespace):
            return owner.variables.get(node.attr, Undefined(f"'{node.attr}' of a namespace"))
        if isinstance(owner, Loop):
            return owner.attribute(node.attr)
        if isinstance(owner, (Method, Macro)):
            raise Unsupported("attributes of functions")
        return attribute(owner, node.attr)

    def _getitem(self, node: nodes.Getitem, scope: Scope) -> Any:
        owner = self.value(node.node, scope)
        if isinstance(node.arg, nodes.Slice):
            parts = (node.arg.start, node.arg.stop, node.arg.step)
            return operators.cut(self.budget, owner, [self.value(p, scope) if p is not None else None for p in parts])
        return operators.item(owner, self.value(node.arg, scope))

    def call(self, node: nodes.Call, scope: Scope, caller: Macro | None = None) -> Any:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unsupported("arguments with stars")
        function = self.value(node.node, scope)
        args = [self.value(arg, scope) for arg in node.args]
        named = {str(pair.key): self.value(pair.value, scope) for pair in node.kwargs}
        if isinstance(function, Macro):
            return self.run(function, args, named, caller)
        if isinstance(function, Undefined):
            raise function.fail()
        if not isinstance(function, Method):
            raise TemplateFailed(f"a {operators.kind(function)} cannot be called")
        return (
            call(self.budget, function, args, named)
            if function.owner is not None
            else _builtin(function.name, args, named)
        )

    def filtered(self, node: nodes.Filter, scope: Scope, body: str = "") -> Any:
        value = self.value(node.node, scope) if node.node is not None else body
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unsupported("arguments with stars")
        args = [self.value(arg, scope) for arg in node.args]
        named = {str(pair.key): self.value(pair.value, scope) for pair in node.kwargs}
        return filters.apply(self.budget, node.name, value, args, named)

    def _test(self, node: nodes.Test, scope: Scope) -> Any:
        args = [self.value(arg, scope) for arg in node.args]
        value = self.value(node.node, scope)
        return filters.holds(self.budget, node.name, value, args, function=isinstance(value, (Method, Macro)))


def _builtin(name: str, args: list[Any], named: Mapping[str, Any]) -> Any:
    if name == "raise_exception":
        raise TemplateFailed(f"it raises {str(args[0])[:160]!r}" if args else "it raises an exception")
    if name == "namespace":
        return Namespace({**(args[0] if args and isinstance(args[0], dict) else {}), **named})
    if name == "dict" and not args:
        return dict(named)
    if name == "strftime_now":
        return "01 Jan 2025"
    if name == "range" and 1 <= len(args) <= 3 and all(isinstance(a, int) for a in args) and (len(args) < 3 or args[2]):
        numbers = range(*args)
        if len(numbers) > _RANGE:
            raise TemplateFailed(f"a range of {len(numbers)} numbers, and the sandbox allows {_RANGE}")
        return list(numbers)
    raise Unsupported(f"{name}()")


_GLOBALS = frozenset({"raise_exception", "namespace", "dict", "range", "strftime_now", "lipsum", "cycler", "joiner"})
"""Functions that transformers' environment and jinja2's own defaults offer; the last three are not rendered here."""

_EXPRESSIONS: Mapping[str, Callable[[Expressions, Any, Scope], Any]] = {
    "Name": Expressions._name,
    "TemplateData": Expressions._template_data,
    "Const": Expressions._const,
    "List": Expressions._list,
    "Tuple": Expressions._tuple,
    "Dict": Expressions._dict,
    "CondExpr": Expressions._conditional,
    "And": Expressions._and,
    "Or": Expressions._or,
    "Not": Expressions._not,
    "Neg": Expressions._sign,
    "Pos": Expressions._sign,
    "Concat": Expressions._concat,
    "Compare": Expressions._compare,
    "Getattr": Expressions._getattr,
    "Getitem": Expressions._getitem,
    "Call": Expressions.call,
    "Filter": Expressions.filtered,
    "Test": Expressions._test,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"), Expressions._binary),
}
