"""`mmdoctor explain`: a rule's page."""

import sys
from typing import Annotated

import typer

from mmdoctor.cli.listing import Load, NoPlugins, loaded


def explain(
    rule: Annotated[str, typer.Argument(help="Code or name of a rule, such as DRF005.", metavar="CODE")],
    load: Load = None,
    no_plugins: NoPlugins = False,
) -> None:
    """Show a rule's page.

    What it checks, why it matters, how to fix it, and where that is known from.
    """
    from mmdoctor.cli.output import color_of, emit, width_of
    from mmdoctor.explain import explain as page_of
    from mmdoctor.select import find

    text = page_of(find(loaded(load, no_plugins).all, rule)).markdown()
    if color_of("auto", sys.stdout):
        text = _rendered(text, width_of(sys.stdout))
    emit(text)


def _rendered(text: str, width: int) -> str:
    import io

    from rich.console import Console
    from rich.markdown import Markdown

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=min(width, 100))
    console.print(Markdown(text, hyperlinks=False, justify="left"))
    return out.getvalue()
