"""`mmdoctor fix`: the changes that findings propose, as a diff, and made with `--apply`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdoctor.cli.parsing import choice

if TYPE_CHECKING:
    from mmdoctor.report.model import Report


def fix(
    path: Annotated[str, typer.Argument(help="A model's folder.", metavar="PATH")],
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes, with a backup, and check again.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Bring back the files of the last --apply.")] = False,
    unsure: Annotated[
        bool, typer.Option("--unsure", help="Also changes that are likely right, not only certain ones.")
    ] = False,
    select: Annotated[
        list[str] | None, typer.Option(help="Rules to settle: families, codes or names.", metavar="RULES")
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out.", metavar="RULES")] = None,
    color: Annotated[
        str, typer.Option(help="auto (the default), always or never.", show_default=False, metavar="WHEN")
    ] = "auto",
) -> None:
    """Show or make the changes that settle findings.

    Weights are never changed: only configuration files, indexes and file names are. The files as they were are kept in
    .mmdoctor-backup. Exit codes: 0 nothing is left to settle; 1 changes are shown and not made, or errors and warnings
    remain; 2 wrong usage.
    """
    from mmdoctor.cli.check import Color
    from mmdoctor.cli.output import color_of, emit, width_of
    from mmdoctor.errors import UsageError
    from mmdoctor.examine import check_path
    from mmdoctor.fixing.plan import plan
    from mmdoctor.fixing.transaction import apply as make
    from mmdoctor.fixing.transaction import recover
    from mmdoctor.fixing.transaction import undo as bring_back
    from mmdoctor.readers.source import open_source
    from mmdoctor.report import changes as shown
    from mmdoctor.report import terminal

    if apply and undo:
        raise UsageError("--apply and --undo: one or the other")
    colored = color_of((choice("--color", color, Color) or Color.AUTO).value, sys.stdout)
    width = width_of(sys.stdout)
    root = open_source(path).root
    if undo:
        emit(f"the files are as they were before {bring_back(root).name}\n")
        return
    if apply and recover(root):
        emit("finished what an earlier run had begun\n")

    def look() -> "Report":
        return check_path(path, depth="headers", select=select or (), ignore=ignore or ())

    report = look()
    proposed = plan(open_source(path), report.findings, unsure=unsure)
    emit(shown.render(proposed, width=width, color=colored, made=apply))
    if not apply:
        _say_unfinished(root)
        raise typer.Exit(1 if proposed.changes or proposed.left else 0)
    if proposed.changes:
        make(root, proposed.changes)
        report = look()
        emit("\n" + terminal.render(report, width=width, color=colored, verbose=False, quiet=False))
    raise typer.Exit(1 if any(f.severity.rank for f in report.findings) else 0)


def _say_unfinished(root: Path) -> None:
    from mmdoctor.cli.output import say
    from mmdoctor.fixing.transaction import unfinished

    if unfinished(root) is not None:
        say("an earlier --apply was interrupted; run `mmdoctor fix --apply` again to finish it")
