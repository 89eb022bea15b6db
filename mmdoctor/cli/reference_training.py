"""`mmdoctor reference train` and `evaluate`: make a reference model, and examine one."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmdoctor.cli.parsing import choice, number

if TYPE_CHECKING:
    from mmdoctor.reference.config import FusionKind


class Fusion(enum.StrEnum):
    """Where image and text meet."""

    HYBRID = "hybrid"
    EARLY = "early"
    LATE = "late"


class Format(enum.StrEnum):
    """How scores can be written."""

    TEXT = "text"
    JSON = "json"


def fusion_kind(text: str | None) -> "FusionKind | None":
    """The fusion that was named with `--fusion`."""
    from mmdoctor.reference import KINDS

    chosen = choice("--fusion", text, Fusion)
    return next((kind for kind in KINDS if kind == chosen), None)


def train(
    fusion: Annotated[
        str,
        typer.Option("--fusion", help="hybrid (the default), early or late.", metavar="KIND", show_default=False),
    ] = "hybrid",
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="Folder for the model; mmdoctor-reference-KIND unless given.", metavar="DIR"
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Another one than the bundled model's gives another model.", metavar="N")
    ] = None,
    steps: Annotated[str | None, typer.Option(help="Another length than the bundled model's.", metavar="N")] = None,
) -> None:
    """Train a reference model; a run that was stopped goes on where it was.

    Without options this makes the bundled model: the same bits on a machine like the one it was made on, the same
    quality on any other.
    """
    from mmdoctor.cli.output import say
    from mmdoctor.cli.training_display import watch
    from mmdoctor.errors import UsageError
    from mmdoctor.reference.training import SEED, STEPS, Plan
    from mmdoctor.reference.training import train as run

    kind = fusion_kind(fusion) or "hybrid"
    given_seed, given_steps = number("--seed", seed, int), number("--steps", steps, int)
    if given_steps is not None and given_steps < 1:
        raise UsageError(f"--steps {given_steps}: a run has at least one step")
    plan = Plan(
        kind=kind,
        seed=SEED if given_seed is None else given_seed,
        steps=STEPS[kind] if given_steps is None else given_steps,
    )
    folder = Path(output or f"mmdoctor-reference-{kind}").expanduser()
    if (folder / "model.safetensors").exists():
        raise UsageError(f"{folder} holds a trained model; name another folder with --output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--output {folder}: {error.strerror}") from None
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        say(f"going on from {checkpoint}")
    try:
        with watch() as progress:
            run(plan, folder, checkpoint, progress=progress)
    except KeyboardInterrupt:
        say("stopped; the same command goes on from the last checkpoint, at most a minute back")
        raise
    say(f"trained; to examine it: mmdoctor reference evaluate {folder}")


def evaluate(
    path: Annotated[
        str | None,
        typer.Argument(help="A trained folder. Left out: a bundled model.", metavar="PATH", show_default=False),
    ] = None,
    fusion: Annotated[
        str | None,
        typer.Option("--fusion", help="The bundled hybrid (the default), early or late.", metavar="KIND"),
    ] = None,
    scenes: Annotated[
        str, typer.Option(help="Held-out scenes; 1000 unless given.", metavar="N", show_default=False)
    ] = "1000",
    seed: Annotated[str | None, typer.Option(help="Another one gives other scenes.", metavar="N")] = None,
    format_: Annotated[
        str,
        typer.Option("--format", "-f", help="text (the default) or json.", metavar="FORMAT", show_default=False),
    ] = "text",
) -> None:
    """Examine a reference model on scenes that no training shows.

    Exit codes: 0 examined, 1 a hybrid model is below one of its floors.
    """
    from mmdoctor.cli.output import emit
    from mmdoctor.errors import UsageError
    from mmdoctor.report import scores_v1

    kind, as_json = fusion_kind(fusion), choice("--format", format_, Format) is Format.JSON
    count, given_seed = number("--scenes", scenes, int), number("--seed", seed, int)
    if path is not None and kind is not None:
        raise UsageError("--fusion is for the bundled models; PATH has a fusion of its own")
    if count < 1:
        raise UsageError(f"--scenes {count}: at least one is needed")

    from mmdoctor.reference import weights_of
    from mmdoctor.reference.bundle import load_model
    from mmdoctor.reference.evaluation import SEED
    from mmdoctor.reference.evaluation import evaluate as run
    from mmdoctor.reference.floors import missed
    from mmdoctor.reference.processor import Processor

    folder = weights_of(kind or "hybrid") if path is None else Path(path).expanduser()
    model = load_model(folder)
    found = model.config.fusion_config.kind
    scores = run(model, Processor.from_folder(folder), scenes=count, seed=SEED if given_seed is None else given_seed)
    emit((scores_v1.render if as_json else scores_v1.table)(scores, found))
    if found == "hybrid" and missed(scores):
        raise typer.Exit(1)
