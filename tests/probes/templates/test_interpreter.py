# ruff: noqa: E501 - a template that is wrapped is another template
"""Templates as jinja2's sandbox renders them, and templates that jinja2's sandbox does not survive."""

import json
from typing import Any

import pytest
from jinja2 import TemplateError
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from mmdoctor.probes.templates.interpreter import Interpreter
from mmdoctor.probes.templates.syntax import parse
from mmdoctor.probes.templates.values import STEPS, Budget, TemplateFailed, TooMuch, Unsupported
from tests.specimens import templates as published

PARTS = [{"type": "image"}, {"type": "text", "text": " What <b>is</b> this?\n"}]
CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": PARTS},
    {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    {"role": "user", "content": [{"type": "text", "text": "Sure?"}]},
]
VARIABLES: dict[str, Any] = {
    "messages": CHAT,
    "tools": None,
    "add_generation_prompt": True,
    "bos_token": "<s>",
    "numbers": [3, 1, 2],
    "schema": {"b": {"type": "string"}, "A": [1, 2.5, None, True]},
}


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def _raise(message: str) -> None:
    raise TemplateError(message)


def _sandbox() -> ImmutableSandboxedEnvironment:
    """As transformers makes it (utils/chat_template_utils.py)."""
    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
    made.filters["tojson"] = lambda value, ensure_ascii=False, **more: json.dumps(
        value, ensure_ascii=ensure_ascii, **more
    )
    made.globals["raise_exception"] = _raise
    made.globals["strftime_now"] = lambda _: "01 Jan 2025"
    return made


SANDBOX = _sandbox()


def rendered(text: str, **more: Any) -> str:
    """By mmdoctor."""
    return Interpreter(json.loads(json.dumps(VARIABLES | more))).render(parse(text))


SNIPPETS = [
    "{% for m in messages %}{{ loop.index }}{{ loop.last }}{{ m.role }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(n=0, seen=[]) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}",
    "{% for m in messages if m.role == 'user' %}{{ m.role }}{% else %}none{% endfor %}",
    "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m.role }}{% if loop.index == 3 %}{% break %}{% endif %}{% endfor %}",
    "{%- macro part(p, end='!') -%}{{ p.type }}{{ end }}{%- endmacro -%}{{ part(messages[1].content[0]) }}{{ part(p=messages[1].content[1], end='?') }}",
    "{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}{{ messages[0].role }}{% endcall %}",
    "{% set block %}a {{ bos_token }} b{% endset %}{{ block|trim|upper }}",
    "{% filter upper %}{{ messages[0].content }}{% endfilter %}{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a is defined }}",
    "{{ messages[0]['content'] }}{{ messages[-1].content[0]['text'] }}{{ messages[9] is defined }}{{ messages[0].nothing }}",
    "{{ messages|length }}{{ messages|map(attribute='role')|join(', ') }}{{ (messages|first).role }}{{ (messages|last).role }}",
    "{{ messages|selectattr('role', 'equalto', 'user')|list|length }}{{ messages|rejectattr('role', 'eq', 'user')|list|length }}",
    "{{ messages[1].content|selectattr('text', 'defined')|map(attribute='text')|map('trim')|join }}",
    "{{ schema|tojson }}|{{ schema|tojson(indent=2) }}|{{ schema.b|tojson(separators=(',', ':')) }}|{{ 'é'|tojson(ensure_ascii=True) }}",
    "{% for k, v in schema.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in schema|dictsort %}{{ k }}{% endfor %}{{ schema|items|list }}",
    "{{ numbers|sort|join }}{{ numbers|reverse|list }}{{ numbers[1:] }}{{ numbers[::-1] }}{{ 'abc'[:2] }}{{ numbers|unique|list }}",
    "{{ 7 // 2 }} {{ 7 % 2 }} {{ 7 / 2 }} {{ 2 ** 3 }} {{ -3 }} {{ +3 }} {{ 1 - 2 }} {{ 2 * 'ab' }} {{ [1] * 2 }} {{ 1.5 + 1 }}",
    "{{ 1 < 2 < 3 }}{{ 'a' in 'abc' }}{{ 4 not in numbers }}{{ 'b' in schema }}{{ 1 == 1.0 }}{{ none == none }}{{ 'a' ~ 1 ~ none }}",
    "{{ 'x' if missing else 'y' }}{{ missing|default('d') }}{{ ''|default('d', true) }}{{ not missing }}{{ (missing or 'z') }}[{{ missing }}]",
    "{{ 'a,b,,c'.split(',') }}{{ ' x '.strip() }}{{ 'xyx'.replace('x', 'z', 1) }}{{ 'Ab'.lower() }}{{ 'a-b'.partition('-')|list }}{{ ','.join(['p', 'q']) }}",
    "{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('c', 'd')) }}{{ 'abcabc'.find('c') }}{{ 'abcabc'.count('b') }}{{ 'a\nb'.splitlines() }}{{ 'x'.center(5) }}|",
    "{{ messages is iterable }}{{ messages is mapping }}{{ messages[0] is mapping }}{{ 'a' is string }}{{ 1 is number }}{{ none is none }}{{ true is true }}{{ 3 is odd }}",
    "{{ schema.get('nope') }}{{ schema.get('nope', 5) }}{{ schema.keys()|list }}{{ schema['b']['type'] }}{{ schema.b.type }}{{ numbers.index(2) }}",
    "{% generation %}{{ messages[0].role }}{% endgeneration %}{{ strftime_now('%Y') }}{{ range(2, 8, 3)|list }}{{ dict(a=1) }}",
    "{{ '5'|int + 1 }}{{ 'x'|int(7) }}{{ '2.5'|float }}{{ 2.567|round(1) }}{{ -2|abs }}{{ 5|string ~ '' }}{{ 'hello world'|capitalize }}",
    "{{ 'a\nb'|indent(2) }}{{ 'a\nb'|indent(2, true) }}{{ {'a': [1, {'b': 'c'}]} }}{{ (1, 'a')|list }}{{ [1] + [2] }}",
    "  {% if true %}\n  x\n  {% endif %}\n{#- gone -#}\n{%- set a = 'b' -%}\n {{- a }} ",
    "{% for a in numbers %}{% for b in numbers %}{{ loop.index0 }}{{ a * b }} {% endfor %}{{ loop.revindex }}{{ loop.previtem }}{{ loop.cycle('o', 'e') }}{% endfor %}",
    "{% macro f() %}{{ x }}{% endmacro %}{% set x = 'later' %}{{ f() }}",
    "{% set a, b = [1, 2] %}{{ a }}{{ b }}{% if a == 2 %}2{% elif a == 1 %}1{% else %}0{% endif %}",
]

FAILING = [
    "{{ messages[0].content + messages[1].content }}",
    "{{ missing.attribute }}",
    "{{ missing['x'] }}",
    "{{ missing + 1 }}",
    "{{ raise_exception('roles must alternate') }}",
    "{{ messages.append(1) }}",
    "{{ schema.pop('b') }}",
    "{% for x in 5 %}{% endfor %}",
    "{{ 1 < 'a' }}",
    "{{ 5|length }}",
    "{{ nothing() }}",
    "{{ 1 / 0 }}",
    "{{ 'a'.index('z') }}",
    "{{ 5 in 'abc' }}",
    "{{ range(1000000000) }}",
    "{{ ''.__class__.__mro__ }}",
    "{% set x.y = 1 %}",
    "{% if %}",
    "{% include %}",
    "{% unknown %}",
    "{{ 'a }}",
    "{% endfor %}",
]


@pytest.mark.parametrize("text", SNIPPETS)
def test_renders_what_the_sandbox_renders(text: str) -> None:
    assert rendered(text) == SANDBOX.from_string(text).render(**json.loads(json.dumps(VARIABLES)))


@pytest.mark.parametrize(
    "text",
    [
        published.chatml("<image>", "<video>", "<audio>"),
        published.VICUNA,
        published.idefics("<s>"),
        published.gemma("<start_of_image>"),
        published.GLM,
        published.llama("<|h|>", "<|t|>", "<|e|>"),
    ],
)
@pytest.mark.parametrize("messages", [CHAT, CHAT[1:2], CHAT[:1]])
def test_renders_published_templates(text: str, messages: list[Any]) -> None:
    try:
        expected: str | None = SANDBOX.from_string(text).render(**VARIABLES | {"messages": messages})
    except (TypeError, TemplateError):
        expected = None
    if expected is None:
        with pytest.raises(TemplateFailed):
            rendered(text, messages=messages)
    else:
        assert rendered(text, messages=messages) == expected


@pytest.mark.parametrize("text", FAILING)
def test_fails_where_the_sandbox_fails(text: str) -> None:
    with pytest.raises((TemplateError, TypeError, ValueError, ZeroDivisionError, OverflowError)):
        SANDBOX.from_string(text).render(**json.loads(json.dumps(VARIABLES)))
    with pytest.raises(TemplateFailed):
        rendered(text)


_GROWS = "{% set ns = namespace(a=[1], b=[1], s='ab') %}{% for i in range(60) %}@{% endfor %}"

ENDLESS = {
    "loops": "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "a text": "{{ 'a' * 10**9 }}",
    "padding": "{{ 'a'.center(1000000000) }}",
    "doubling": _GROWS.replace("@", "{% set ns.s = ns.s ~ ns.s %}"),
    "replacing": "{% set s = 'a' * 100000 %}{{ s.replace('', s) }}",
    "joining": "{% set s = 'a' * 1000000 %}{{ range(100000)|map('string')|join(s) }}",
    "shared lists as JSON": _GROWS.replace("@", "{% set ns.a = [ns.a, ns.a] %}") + "{{ ns.a|tojson }}",
    "shared lists as text": _GROWS.replace("@", "{% set ns.a = [ns.a, ns.a] %}") + "{{ ns.a }}",
    "shared lists compared": _GROWS.replace("@", "{% set ns.a = [ns.a, ns.a] %}{% set ns.b = [ns.b, ns.b] %}")
    + "{{ ns.a == ns.b }}",
    "recursion": "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "unique": "{{ range(100000)|unique|list }}",
    "searching": "{% set s = 'a' * 1000000 %}{% for i in range(100000) %}{% set x = 'b' in s %}{% endfor %}",
    "trimming": "{% set s = ' ' * 1000000 %}{% for i in range(100000) %}{% set x = s|trim %}{% endfor %}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "branches": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "a long sum": "{{ " + " + ".join("1" * 20000) + " }}",
    "megabytes": "x" * (1 << 19),
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS)
def test_what_has_no_end_is_left_in_bounded_steps(text: str) -> None:
    budget = Budget()

    with pytest.raises(TooMuch):
        Interpreter(VARIABLES, budget).render(parse(text))

    assert budget.left >= -STEPS  # the last step may cost more than was left, but is not taken


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a'|center(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ lipsum(n=100000000) }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ ''|attr('__class__') }}",
        "{% include '/etc/passwd' %}",
        "{% import '/etc/passwd' as x %}",
        "{{ [1]|tojson(indent=1000000000) }}",
        "{{ 'ab'|indent(1000000000) }}",
        "{{ [1]|batch(1000000000, 0)|list }}",
    ],
)
def test_what_is_not_listed_is_not_done(text: str) -> None:
    with pytest.raises(Unsupported):
        rendered(text)


def test_the_line_of_a_failure_is_told() -> None:
    with pytest.raises(TemplateFailed) as failure:
        rendered("one\ntwo\n{% if true %}\n{{ missing.x }}\n{% endif %}\n")

    assert failure.value.line == 4
