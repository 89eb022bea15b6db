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

    With the packages that matter to a deployment; without user and host names. What --format json writes can be
    handed to `mmdoctor check --env` on another machine.
    """
    from mmdoctor.cli.output import emit
    from mmdoctor.probes.machine import machine

    as_json = choice("--format", format_, Format) is Format.JSON
    found = machine()
    if as_json:
        from mmdoctor.report import env_v1

        emit(env_v1.render(found))
        return
    from mmdoctor import __version__
    from mmdoctor.report.words import machine_of

    rows = [("mmdoctor", __version__), *machine_of(found)]
    width = max(len(name) for name, _ in rows)
    emit("".join(f"{name:<{width}}  {value}\n" for name, value in rows))
