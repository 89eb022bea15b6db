"""Walks the syntax tree of a template and writes what it renders, as jinja2 would."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from mmdoctor.probes.templates import operators
from mmdoctor.probes.templates.expressions import Expressions, Macro, Scope
from mmdoctor.probes.templates.values import (
    Budget,
    Loop,
    Namespace,
    TemplateFailed,
    TooMuch,
    Undefined,
    Unsupported,
    shown,
)

DEEPEST = 60
"""Macros that call each other."""


class _Break(Exception):  # noqa: N818 - control flow of the template
    """`{% break %}`."""


class _Continue(Exception):  # noqa: N818 - control flow of the template
    """`{% continue %}`."""


class Interpreter(Expressions):
    """Renders templates within a budget.

    Args:
        variables: what the template sees: `messages`, `add_generation_prompt`, `bos_token` ...
    """

    def __init__(self, variables: Mapping[str, Any], budget: Budget | None = None) -> None:
        super().__init__(budget or Budget())
        self._top = Scope(Scope(variables=variables))
        self._depth = 0
        self._loops = 0

    def render(self, template: nodes.Template) -> str:
        """The text.

        Raises:
            TemplateFailed: the library would raise too.
            TooMuch: it takes more than any real template.
            Unsupported: it uses something that is not rendered here.
        """
        out: list[str] = []
        try:
            self._body(template.body, self._top, out)
        except RecursionError:
            raise TooMuch("macros or expressions nested too deep") from None
        except (_Break, _Continue):
            raise TemplateFailed("break or continue outside of a loop") from None
        return "".join(out)

    def _body(self, body: list[nodes.Node], scope: Scope, out: list[str]) -> None:
        for node in body:
            self.budget.spend()
            try:
                self._statement(node, scope, out)
            except TemplateFailed as failure:
                failure.line = failure.line or node.lineno
                raise

    def _statement(self, node: nodes.Node, scope: Scope, out: list[str]) -> None:
        handler = _STATEMENTS.get(type(node).__name__)
        if handler is None:
            raise Unsupported(f"the tag {type(node).__name__.lower()}")
        handler(self, node, scope, out)

    def _output(self, node: nodes.Output, scope: Scope, out: list[str]) -> None:
        for child in node.nodes:
            out.append(child.data if isinstance(child, nodes.TemplateData) else self.shown(child, scope))
            self.budget.size(len(out[-1]))

    def _set(self, node: nodes.Assign, scope: Scope, _: list[str]) -> None:
        self._assign(node.target, self.value(node.node, scope), scope)

    def _set_block(self, node: nodes.AssignBlock, scope: Scope, _: list[str]) -> None:
        text = self._captured(node.body, Scope(scope))
        self._assign(node.target, self.filtered(node.filter, scope, text) if node.filter else text, scope)

    def _define(self, node: nodes.Macro, scope: Scope, _: list[str]) -> None:
        scope.variables[node.name] = self._macro(node, scope)

    def _call_block(self, node: nodes.CallBlock, scope: Scope, out: list[str]) -> None:
        out.append(shown(self.budget, self.call(node.call, scope, caller=self._macro(node, scope))))

    def _filter_block(self, node: nodes.FilterBlock, scope: Scope, out: list[str]) -> None:
        text = self._captured(node.body, Scope(scope))
        out.append(shown(self.budget, self.filtered(node.filter, scope, text)))

    def _with(self, node: nodes.With, scope: Scope, out: list[str]) -> None:
        inner = Scope(scope)
        for target, value in zip(node.targets, node.values, strict=True):
            self._assign(target, self.value(value, scope), inner)
        self._body(node.body, inner, out)

    def _scope(self, node: nodes.Scope, scope: Scope, out: list[str]) -> None:
        self._body(node.body, Scope(scope), out)

    def _break(self, _: nodes.Break, __: Scope, ___: list[str]) -> None:
        raise _Break

    def _continue(self, _: nodes.Continue, __: Scope, ___: list[str]) -> None:
        raise _Continue

    def _captured(self, body: list[nodes.Node], scope: Scope) -> str:
        out: list[str] = []
        self._body(body, scope, out)
        self.budget.size(sum(map(len, out)))
        return "".join(out)

    def _if(self, node: nodes.If, scope: Scope, out: list[str]) -> None:
        for branch in (node, *node.elif_):
            if self.value(branch.test, scope):
                self._body(branch.body, scope, out)
                return
        self._body(node.else_, scope, out)

    def _for(self, node: nodes.For, scope: Scope, out: list[str]) -> None:
        if node.recursive:
            raise Unsupported("recursive loops")
        items = operators.elements(self.budget, self.value(node.iter, scope))
        if node.test is not None:
            items = [item for item in items if self._passes(node, item, scope)]
        if not items:
            self._body(node.else_, Scope(scope), out)
            return
        self._loops += 1
        for index, item in enumerate(items):
            self.budget.spend()
            inner = Scope(scope, {"loop": Loop(items, index, self._loops)})
            self._assign(node.target, item, inner)
            try:
                self._body(node.body, inner, out)
            except _Continue:
                continue
            except _Break:
                break
        self._loops -= 1

    def _passes(self, node: nodes.For, item: Any, scope: Scope) -> bool:
        inner = Scope(scope)
        self._assign(node.target, item, inner)
        return bool(self.value(node.test, inner))

    def _assign(self, target: nodes.Node, value: Any, scope: Scope) -> None:
        if isinstance(target, nodes.Name):
            scope.variables[target.name] = value
        elif isinstance(target, nodes.NSRef):
            namespace = scope.get(target.name)
            if not isinstance(namespace, Namespace) or target.attr.startswith("_"):
                raise TemplateFailed(f"{target.name} is no namespace, its attribute cannot be set")
            namespace.variables[target.attr] = value
        elif isinstance(target, (nodes.Tuple, nodes.List)):
            items = operators.elements(self.budget, value)
            if len(items) != len(target.items):
                raise TemplateFailed(f"{len(items)} values for {len(target.items)} names")
            for name, item in zip(target.items, items, strict=True):
                self._assign(name, item, scope)
        else:
            raise Unsupported(f"setting a {type(target).__name__.lower()}")

    def _macro(self, node: nodes.Macro | nodes.CallBlock, scope: Scope) -> Macro:
        return Macro(node, scope, [self.value(default, scope) for default in node.defaults])

    def run(self, macro: Macro, args: list[Any], named: Mapping[str, Any], caller: Macro | None) -> str:
        names = [arg.name for arg in macro.node.args]
        if len(args) > len(names) or any(name not in names for name in named):
            raise TemplateFailed("a macro gets arguments that it does not take")
        given = dict(zip(names[len(names) - len(macro.defaults) :], macro.defaults, strict=True))
        given |= dict(zip(names, args, strict=False)) | dict(named)
        inner = Scope(macro.scope, {name: given.get(name, Undefined(f"'{name}'")) for name in names})
        if caller is not None:
            inner.variables["caller"] = caller
        if self._depth >= DEEPEST:
            raise TooMuch("macros that call each other without end")
        self._depth += 1
        text = self._captured(macro.node.body, inner)
        self._depth -= 1
        return text


_STATEMENTS: Mapping[str, Callable[[Interpreter, Any, Scope, list[str]], None]] = {
    "Output": Interpreter._output,
    "If": Interpreter._if,
    "For": Interpreter._for,
    "Assign": Interpreter._set,
    "AssignBlock": Interpreter._set_block,
    "Macro": Interpreter._define,
    "CallBlock": Interpreter._call_block,
    "FilterBlock": Interpreter._filter_block,
    "With": Interpreter._with,
    "Scope": Interpreter._scope,
    "Break": Interpreter._break,
    "Continue": Interpreter._continue,
}
