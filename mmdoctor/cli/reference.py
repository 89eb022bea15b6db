"""`mmdoctor reference`: the bundled reference model."""

from pathlib import Path
from typing import Annotated

import typer

from mmdoctor.cli.parsing import Command, Group
from mmdoctor.cli.reference_training import evaluate, train

app = typer.Typer(
    cls=Group,
    help="Describe, export, train or examine the reference model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command(cls=Command)
def export(
    target: Annotated[
        str, typer.Argument(help="A name ending in .pt for one file, any other for a folder.", metavar="TARGET")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write the reference model as model.pt or as a folder in the Hugging Face layout."""
    from mmdoctor.cli.output import emit
    from mmdoctor.reference import export as write

    emit("".join(f"{path}\n" for path in write(Path(target).expanduser(), force=force)))


@app.command(cls=Command)
def describe() -> None:
    """Describe the reference model: its parts, sizes and files."""
    import sys

    from mmdoctor.cli.output import color_of, emit, width_of
    from mmdoctor.examine import describe as artifact_of
    from mmdoctor.report.terminal import render_head

    emit(render_head(artifact_of(), width=width_of(sys.stdout), color=color_of("auto", sys.stdout)))


app.command("train", cls=Command)(train)
app.command("evaluate", cls=Command)(evaluate)
