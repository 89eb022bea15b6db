"""`mmdoctor reference`: the bundled reference model."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from mmdoctor.cli.parsing import Command, Group, choice
from mmdoctor.cli.reference_training import evaluate, fusion_kind, train

app = typer.Typer(
    cls=Group,
    help="Describe, export, train or examine the reference model.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


class Drawing(enum.StrEnum):
    """How the model can be described."""

    TEXT = "text"
    JSON = "json"
    SVG = "svg"


Kind = Annotated[
    str,
    typer.Option("--fusion", help="hybrid (the default), early or late.", metavar="KIND", show_default=False),
]


@app.command(cls=Command)
def export(
    target: Annotated[
        str, typer.Argument(help="A name ending in .pt for one file, any other for a folder.", metavar="TARGET")
    ],
    fusion: Kind = "hybrid",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Write the reference model as model.pt or as a folder in the Hugging Face layout."""
    from mmdoctor.cli.output import emit
    from mmdoctor.reference import export as write

    kind = fusion_kind(fusion) or "hybrid"
    emit("".join(f"{path}\n" for path in write(Path(target).expanduser(), kind, force=force)))


@app.command(cls=Command)
def describe(
    fusion: Kind = "hybrid",
    format_: Annotated[
        str,
        typer.Option("--format", "-f", help="text (the default), json or svg.", metavar="FORMAT", show_default=False),
    ] = "text",
) -> None:
    """Describe the reference model: its parts, what goes in and out of each, parameters, papers; or draw it."""
    import sys

    from mmdoctor.cli.output import color_of, emit, width_of
    from mmdoctor.report import anatomy_svg, anatomy_v1

    kind, drawing = fusion_kind(fusion) or "hybrid", choice("--format", format_, Drawing)
    from mmdoctor.reference.describing import describe as measure

    anatomy = measure(kind)
    if drawing is Drawing.JSON:
        emit(anatomy_v1.render(anatomy))
    elif drawing is Drawing.SVG:
        emit(anatomy_svg.render(anatomy))
    else:
        emit(anatomy_v1.text(anatomy, width=width_of(sys.stdout), color=color_of("auto", sys.stdout)))


app.command("train", cls=Command)(train)
app.command("evaluate", cls=Command)(evaluate)
