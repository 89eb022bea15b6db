"""The commands put together, and what becomes of exceptions: exit codes are a promise to scripts."""

import sys
from typing import Annotated, Any

import typer

from mmdoctor.cli import check, env, explain, fix, reference, rules
from mmdoctor.cli.parsing import Command, Group

OK, FINDINGS, UNUSABLE, INTERRUPTED = 0, 1, 2, 130


class _Doctor(Group):
    """Turns exceptions into exit codes before Typer does, whose choices are made for other programs."""

    def invoke(self, ctx: Any) -> Any:
        from mmdoctor.errors import MMDoctorError

        try:
            return super().invoke(ctx)
        except MMDoctorError as error:
            from mmdoctor.report.text import plain

            print(f"mmdoctor: {plain(str(error))}", file=sys.stderr)
            raise SystemExit(UNUSABLE) from None
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if _is_usage(error):
                raise
            _bug(error)
            raise SystemExit(UNUSABLE) from None


def _is_usage(error: Exception) -> bool:
    """Whether it is Typer's own, which prints the usage and exits 2 (the class moved between versions)."""
    return hasattr(error, "exit_code") and hasattr(error, "show")


def _bug(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)
    print("mmdoctor: this is a bug of mmdoctor; please report it with the lines above", file=sys.stderr)


app = typer.Typer(
    name="mmdoctor",
    cls=_Doctor,
    help="The doctor for deployments of multimodal models: finds what will fail or silently answer wrongly.",
    epilog="Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage, nothing to check or a crashed check.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from mmdoctor import __version__

        print(f"mmdoctor {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of the program itself."""


app.command("check", cls=Command)(check.check)
app.command("fix", cls=Command)(fix.fix)
app.command("rules", cls=Command)(rules.rules)
app.command("explain", cls=Command)(explain.explain)
app.command("env", cls=Command)(env.env)
app.add_typer(reference.app, name="reference")


def run() -> None:
    """Run the program with the arguments of this process."""
    try:
        app()
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
