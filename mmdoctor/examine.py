"""One run from a path to a report."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from mmdoctor import __version__
from mmdoctor.config import Wishes
from mmdoctor.describe import Known, artifact
from mmdoctor.engine import CouldNotCheck, Crashed, Engine, Outcome, Ran, Skipped
from mmdoctor.errors import UsageError
from mmdoctor.facts.image_tokens import ImageRequest
from mmdoctor.facts.machine import Machine, Target
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.facts.source import Depth, Source
from mmdoctor.finding import Finding
from mmdoctor.lines import Lines
from mmdoctor.location import Location
from mmdoctor.plugins import Rules, load_rules
from mmdoctor.progress import Progress
from mmdoctor.providers import Providers
from mmdoctor.report.model import Artifact, CrashedCheck, Report, SkippedCheck
from mmdoctor.select import select as select_rules


def check_path(
    path: str | Path | None = None,
    *,
    depth: Depth | str | None = None,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    target: Wishes | None = None,
    images: ImageRequest | None = None,
    load: Sequence[str | Path] = (),
    plugins: bool = True,
    progress: Progress | None = None,
    rules: Rules | None = None,
) -> Report:
    """Check a file or a folder, or, without a path, the bundled reference model on this machine.

    Args:
        path: a weight file or a model's folder.
        depth: how deep to look; None for every weight byte of a path, and a run of the reference model.
        select: codes, families or names of the rules to run; empty for all.
        ignore: rules to leave out.
        target: what the model is to be served on; what it leaves open is this machine's.
        images: the images whose price in tokens is asked for.
        load: files with more rules.
        plugins: whether rules of other distributions take part.
        progress: told how far slow steps have come.
        rules: rules that are loaded already, instead of `load` and `plugins`.

    Raises:
        MMDoctorError: there is nothing to check, or something the user has to put right first.
    """
    began = time.perf_counter()
    looked = _depth(path, depth)
    registry = rules or load_rules(load, plugins=plugins)
    chosen = select_rules(registry.all, select, ignore)
    source = _source(path)
    engine = _engine(source, looked, target or Wishes(), registry, progress or Progress(), images or ImageRequest())
    outcomes = engine.run(chosen)
    known = Known(engine)
    lines = Lines(source)
    head = _costs_placed(artifact(known, source, "reference model" if path is None else str(path)), lines)
    return Report(
        version=__version__,
        artifact=head,
        target=known.get(Target) or Target(),
        depth=looked.value,
        findings=_placed(lines, _findings(outcomes.values())),
        passed=tuple(code for code, o in outcomes.items() if isinstance(o, Ran) and not o.findings),
        skipped=tuple(_skips(outcomes.items())),
        machine=known.get(Machine),
        self_test=engine.known(SelfTest),
        crashed=tuple(_crashes(outcomes, known.crashes)),
        seconds=time.perf_counter() - began,
    )


def describe(path: str | Path | None = None) -> Artifact:
    """What a file, a folder or, without a path, the bundled reference model is, from its headers alone."""
    source = _source(path)
    engine = Engine(Providers(), {Source: source, Depth: Depth.HEADERS})
    return artifact(Known(engine), source, "reference model" if path is None else str(path))


def _depth(path: str | Path | None, depth: Depth | str | None) -> Depth:
    if depth is None:
        return Depth.RUN if path is None else Depth.WEIGHTS
    try:
        looked = Depth(depth)
    except ValueError:
        raise UsageError(f"depth {depth!r}: not one of {', '.join(Depth)}") from None
    if looked is Depth.RUN and path is not None:
        raise UsageError(
            "depth run: only the bundled reference model is run (`mmdoctor check` without a path); "
            "for a model of your own the deepest look is weights"
        )
    return looked


def _source(path: str | Path | None) -> Source:
    from mmdoctor.readers.source import open_source

    if path is not None:
        return open_source(path)
    from mmdoctor.reference import WEIGHTS

    return msgspec.structs.replace(open_source(WEIGHTS), name="reference model", bundled=True)


def _engine(
    source: Source, depth: Depth, wishes: Wishes, rules: Rules, progress: Progress, images: ImageRequest
) -> Engine:
    from mmdoctor.target import resolve_target

    flags = msgspec.structs.asdict(wishes)
    saved = flags.pop("env")
    named = resolve_target(**flags)

    def at_hand(machine: Machine) -> Target:
        return resolve_target(**flags, machine=lambda: machine)

    given: dict[type, object] = {Source: source, Depth: depth, Progress: progress, ImageRequest: images}
    if saved is not None:
        from mmdoctor.report import env_v1

        given[Machine] = env_v1.read(saved)
    if named.from_flags:
        given[Target] = named
        return Engine(Providers(rules.providers), given)
    return Engine(Providers({**rules.providers, Target: at_hand}), given)


def _skips(outcomes: Iterable[tuple[str, Outcome]]) -> Iterator[SkippedCheck]:
    for code, outcome in outcomes:
        if isinstance(outcome, Skipped):
            yield SkippedCheck(code=code, reason=outcome.reason, kind="not_applicable")
        elif isinstance(outcome, CouldNotCheck):
            yield SkippedCheck(code=code, reason=outcome.reason, kind="could_not_check")


def _crashes(outcomes: Mapping[str, Outcome], elsewhere: Iterable[Crashed]) -> Iterator[CrashedCheck]:
    """The checks with a bug, and the providers with one that no check asked for."""
    seen = set()
    for code, outcome in outcomes.items():
        if isinstance(outcome, Crashed):
            seen.add(outcome)
            yield CrashedCheck(code=code, error=outcome.error, traceback=outcome.traceback)
    for crash in elsewhere:
        if crash not in seen:
            yield CrashedCheck(code="REPORT", error=crash.error, traceback=crash.traceback)


def _findings(outcomes: Iterable[Outcome]) -> list[Finding]:
    found = [finding for outcome in outcomes if isinstance(outcome, Ran) for finding in outcome.findings]
    return sorted(found, key=lambda f: (-f.severity.rank, f.code, _order(f.location)))


def _order(place: Location) -> tuple[str, str, str]:
    return place.file, place.pointer or "", place.tensor or ""


def _costs_placed(head: Artifact, lines: Lines) -> Artifact:
    """The head with line and column of the settings that an image's price comes from."""
    costs = [
        msgspec.structs.replace(
            cost, settings=tuple(msgspec.structs.replace(u, at=lines.resolve(u.at)) for u in cost.settings)
        )
        for cost in head.images
    ]
    return msgspec.structs.replace(head, images=tuple(costs))


def _placed(lines: Lines, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The findings with line and column of every JSON value that they name."""
    return tuple(
        msgspec.structs.replace(
            finding,
            evidence=tuple(msgspec.structs.replace(e, at=lines.resolve(e.at)) for e in finding.evidence),
        )
        for finding in findings
    )
