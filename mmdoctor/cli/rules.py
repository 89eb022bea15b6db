"""`mmdoctor rules`: every rule there is."""

import enum
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mmdoctor.cli.listing import Load, NoPlugins, loaded
from mmdoctor.cli.parsing import choice

if TYPE_CHECKING:
    from mmdoctor.plugins import Rules


class Format(enum.StrEnum):
    """How the list can be written."""

    TERMINAL = "terminal"
    JSON = "json"


def rules(
    format_: Annotated[
        str,
        typer.Option("--format", "-f", help="terminal (the default) or json.", metavar="FORMAT", show_default=False),
    ] = "terminal",
    load: Load = None,
    no_plugins: NoPlugins = False,
) -> None:
    """List every rule."""
    from mmdoctor.cli.output import emit, width_of

    as_json = choice("--format", format_, Format) is Format.JSON
    known = loaded(load, no_plugins)
    emit(_json(known) if as_json else _table(known, width_of(sys.stdout)))


def _json(known: "Rules") -> str:
    import json

    from mmdoctor.explain import explain

    listed = []
    for rule in known.all:
        page = explain(rule)
        listed.append(
            {
                "code": rule.code,
                "name": rule.name,
                "family": rule.family,
                "severity": rule.severity.value,
                "summary": page.summary,
                "needs": [need.fact.__name__ for need in rule.needs if not need.optional],
                "yields_to": list(rule.yields_to),
                "sources": list(page.sources),
                "from": known.owner(rule.code),
            }
        )
    return json.dumps(listed, indent=2) + "\n"


def _table(known: "Rules", width: int) -> str:
    import textwrap

    from mmdoctor.plugins import OWN
    from mmdoctor.report.text import plain

    name_width = max(len(rule.name) for rule in known.all)
    left = 9 + 9 + name_width + 2
    lines = []
    for rule in known.all:
        foreign = f" [{known.owner(rule.code)}]" if known.owner(rule.code) != OWN else ""
        head = f"{rule.code:<9}{rule.severity.value:<9}{plain(rule.name):<{name_width}}  "
        summary = plain(rule.summary + foreign)
        if width - left >= 40:
            wrapped = textwrap.wrap(summary, width - left) or [""]
            lines += [head + wrapped[0], *(" " * left + line for line in wrapped[1:])]
        else:
            lines += [
                head.rstrip(),
                *textwrap.wrap(summary, width, initial_indent=" " * 18, subsequent_indent=" " * 18),
            ]
    return "\n".join([*lines, "", f"{len(known.all)} rules; more: mmdoctor explain {known.all[0].code}"]) + "\n"
