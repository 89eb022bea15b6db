"""Options that the commands about rules share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdoctor.cli.parsing import paths

if TYPE_CHECKING:
    from mmdoctor.plugins import Rules

Load = Annotated[list[str] | None, typer.Option(help="A Python file with rules of your own.", metavar="FILE")]
NoPlugins = Annotated[bool, typer.Option("--no-plugins", help="Only mmdoctor's own rules.")]


def loaded(load: list[str] | None, no_plugins: bool) -> "Rules":
    """The rules as `check` would load them from here.

    Raises:
        MMDoctorError: configuration or plugins are broken.
    """
    from mmdoctor.config import find_configuration
    from mmdoctor.plugins import load_rules

    return load_rules(paths(load) or find_configuration(Path.cwd()).load, plugins=not no_plugins)
