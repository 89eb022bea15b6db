"""`mmdoctor env`: this machine as the checks see it."""

from typing import Annotated

import typer

from mmdoctor.cli.parsing import choice
from mmdoctor.cli.rules import Format


def env(
    format_: Annotated[
        str,
        typer.Option("--format", "-f", help="terminal (the default) or json.", metavar="FORMAT", show_default=False),
    ] = "terminal",
) -> None:
    """Describe this machine as the checks see it.

    With the packages that matter to a deployment; without user and host names.
    """
    from mmdoctor import __version__
    from mmdoctor.cli.output import emit
    from mmdoctor.probes.machine import machine

    as_json = choice("--format", format_, Format) is Format.JSON
    found = machine()
    if as_json:
        import json

        import msgspec

        from mmdoctor.report import json_v1

        facts = msgspec.to_builtins(json_v1.machine(found))
        emit(json.dumps({"schema": "mmdoctor/env/v1", "mmdoctor": __version__, **facts}, indent=2) + "\n")
        return
    from mmdoctor.report.words import machine_of

    rows = [("mmdoctor", __version__), *machine_of(found)]
    width = max(len(name) for name, _ in rows)
    emit("".join(f"{name:<{width}}  {value}\n" for name, value in rows))
