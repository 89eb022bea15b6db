"""The syntax tree of a template, by jinja2's parser with the settings of transformers' environment.

transformers 5.23, utils/chat_template_utils.py, `_cached_compile_jinja_template`: `trim_blocks`, `lstrip_blocks`, loop
controls and the tag `generation`, whose body is rendered as it stands.
"""

from functools import cache

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension, LoopControlExtension
from jinja2.parser import Parser

from mmdoctor.probes.templates.values import TemplateFailed, TooMuch

LONGEST_TEMPLATE = 1 << 18
"""Characters; the longest published templates have 30,000."""


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


@cache
def _environment() -> Environment:
    # Nothing is rendered with it, so there is nothing to escape.
    return Environment(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, LoopControlExtension])  # noqa: S701


def parse(text: str) -> nodes.Template:
    """The tree.

    Raises:
        TemplateFailed: the text is no template; the line is where jinja2 says.
        TooMuch: it is longer, or nested deeper, than any real one.
    """
    if len(text) > LONGEST_TEMPLATE:
        raise TooMuch(f"{len(text)} characters")
    try:
        return _environment().parse(text)
    except TemplateSyntaxError as error:
        raise TemplateFailed(str(error.message)[:200], error.lineno) from None
    except RecursionError:
        raise TooMuch("expressions nested too deep") from None
    except (ValueError, OverflowError) as error:  # a number of 5000 digits, say
        raise TemplateFailed(str(error)[:200]) from None
