"""`mmdoctor check`: the report on a model, and an exit code for the gate."""

import enum
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdoctor.cli.parsing import choice, image_size, number, paths

if TYPE_CHECKING:
    from mmdoctor.facts.image_tokens import ImageRequest
    from mmdoctor.report.model import Report


class Format(enum.StrEnum):
    """How a report can be written."""

    TERMINAL = "terminal"
    JSON = "json"
    MARKDOWN = "markdown"


class Looking(enum.StrEnum):
    """How deep to look."""

    HEADERS = "headers"
    WEIGHTS = "weights"
    RUN = "run"


class FailOn(enum.StrEnum):
    """From which severity on the exit code is 1."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    NEVER = "never"


class Color(enum.StrEnum):
    """When to use colours."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


def check(
    path: Annotated[
        str | None,
        typer.Argument(
            help="A weight file or a model's folder. Left out: the bundled reference model on this machine.",
            metavar="PATH",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", "-f", help="terminal (the default), json or markdown; several are possible.", metavar="FORMAT"
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", help="File for the report; the n-th is for the n-th --format.", metavar="FILE"),
    ] = None,
    depth: Annotated[
        str | None,
        typer.Option(
            help="headers, weights (the default) or run (the reference model's default, and only for it).",
            metavar="DEPTH",
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Rules to run: families, codes or names, such as MEM,DRF005.", metavar="RULES"),
    ] = None,
    ignore: Annotated[list[str] | None, typer.Option(help="Rules to leave out.", metavar="RULES")] = None,
    load: Annotated[
        list[str] | None, typer.Option(help="A Python file with rules of your own.", metavar="FILE")
    ] = None,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help="Only mmdoctor's own rules.")] = False,
    fail_on: Annotated[
        str | None,
        typer.Option(help="Exit 1 from here on: error (the default), warning, note or never.", metavar="SEVERITY"),
    ] = None,
    fail_on_coverage: Annotated[
        bool | None, typer.Option("--fail-on-coverage", help="Exit 1 if a check that applies could not look.")
    ] = None,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit 0 whatever is found.")] = False,
    gpu: Annotated[
        str | None, typer.Option(help="GPU to serve on, such as L4-24GB or 2xH100-80GB.", metavar="NAME")
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="vllm, sglang, transformers or llama.cpp, with ==VERSION where it matters.", metavar="NAME"),
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(help="Load dtype: auto, bfloat16, float16 or float32.", metavar="DTYPE")
    ] = None,
    tensor_parallel_size: Annotated[str | None, typer.Option(help="GPUs that share the model.", metavar="N")] = None,
    gpu_memory_utilization: Annotated[
        str | None, typer.Option(help="Share of the GPU's memory that the engine takes, 0 to 1.", metavar="SHARE")
    ] = None,
    max_model_len: Annotated[
        str | None, typer.Option(help="Most tokens of prompt and answer together.", metavar="TOKENS")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option(help="Tell what an image of this size costs in tokens; several are possible.", metavar="WxH"),
    ] = None,
    images_per_prompt: Annotated[str | None, typer.Option(help="Images of one prompt.", metavar="N")] = None,
    env: Annotated[
        str | None,
        typer.Option(help="The machine to serve on, as `mmdoctor env --format json` wrote it there.", metavar="FILE"),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="A set of target settings in the configuration.", metavar="NAME")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also list passed and inapplicable checks, and tracebacks.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only the verdict and a line a finding; no progress.")
    ] = False,
    color: Annotated[
        str, typer.Option(help="auto (the default), always or never.", show_default=False, metavar="WHEN")
    ] = "auto",
) -> None:
    """Check a model before it is served.

    Exit codes: 0 nothing at or above --fail-on; 1 findings; 2 wrong usage, nothing to check, or a check crashed.
    """
    from mmdoctor.cli.gate import exit_code
    from mmdoctor.cli.watch import watch
    from mmdoctor.config import Wishes, find_configuration
    from mmdoctor.examine import check_path

    pairs = _pairs([choice("--format", f, Format) or Format.TERMINAL for f in formats or ()], paths(outputs))
    looking, failing = choice("--depth", depth, Looking), choice("--fail-on", fail_on, FailOn)
    when = choice("--color", color, Color) or Color.AUTO
    configuration = find_configuration(Path.cwd(), None if path is None else Path(path))
    wishes = Wishes(
        gpu=gpu,
        engine=engine,
        dtype=dtype,
        tensor_parallel_size=number("--tensor-parallel-size", tensor_parallel_size, int),
        gpu_memory_utilization=number("--gpu-memory-utilization", gpu_memory_utilization, float),
        max_model_len=number("--max-model-len", max_model_len, int),
        env=None if env is None else Path(env).expanduser(),
    )
    if target is not None:
        wishes = wishes.over(configuration.target(target))
    with watch(quiet=quiet) as progress:
        report = check_path(
            path,
            depth=looking.value if looking else configuration.depth if path is not None else None,
            select=select or configuration.select,
            ignore=ignore or configuration.ignore,
            target=wishes,
            images=_images(image or (), number("--images-per-prompt", images_per_prompt, int)),
            load=paths(load) or configuration.load,
            plugins=not no_plugins,
            progress=progress,
        )
    for format_, output in pairs:
        _write(report, format_, output, color=when, verbose=verbose, quiet=quiet)
    raise typer.Exit(
        exit_code(
            report,
            fail_on=failing.value if failing else configuration.fail_on or "error",
            on_coverage=bool(configuration.fail_on_coverage) if fail_on_coverage is None else fail_on_coverage,
            exit_zero=exit_zero,
        )
    )


def _images(sizes: Iterable[str], per_prompt: int | None) -> "ImageRequest":
    from mmdoctor.errors import UsageError
    from mmdoctor.facts.image_tokens import ImageRequest

    if per_prompt is not None and not 1 <= per_prompt <= 100_000:
        raise UsageError(f"--images-per-prompt {per_prompt}: it is a number of images, from 1 on")
    return ImageRequest(sizes=tuple(image_size("--image", text) for text in sizes), per_prompt=per_prompt or 1)


def _pairs(formats: list[Format], outputs: list[Path]) -> list[tuple[Format, Path | None]]:
    """Formats with their files; one format at most is left for stdout."""
    from mmdoctor.errors import UsageError

    formats = formats or [Format.TERMINAL]
    if len(outputs) > len(formats):
        raise UsageError(
            f"{len(outputs)} times --output, but {len(formats)} times --format: each file needs its format"
        )
    if len(formats) - len(outputs) > 1:
        raise UsageError(
            f"{len(formats)} times --format, but {len(outputs)} times --output: only one report can go to stdout"
        )
    return list(zip(formats, [*outputs, *[None] * (len(formats) - len(outputs))], strict=True))


def _write(report: "Report", format_: Format, output: Path | None, *, color: Color, verbose: bool, quiet: bool) -> None:
    from mmdoctor.cli.output import color_of, emit, width_of, write_atomically

    if format_ is Format.JSON:
        from mmdoctor.report import json_v1

        text = json_v1.render(report)
    elif format_ is Format.MARKDOWN:
        from mmdoctor.report import markdown

        text = markdown.render(report)
    else:
        from mmdoctor.report import terminal

        colored = color_of(color.value, sys.stdout) if output is None else color is Color.ALWAYS
        width = width_of(sys.stdout)
        text = terminal.render(report, width=width, color=colored, verbose=verbose, quiet=quiet)
    if output is None:
        emit(text)
    else:
        write_atomically(output, text)
