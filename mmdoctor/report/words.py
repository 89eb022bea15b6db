"""The phrases that terminal and Markdown share: the head, the counts, the places."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeGuard

from mmdoctor.facts.machine import Machine, Target
from mmdoctor.finding import Confidence, Evidence, Finding, Severity
from mmdoctor.location import Location
from mmdoctor.report.model import Artifact, ImageCost, PartSummary, Report, SkippedCheck
from mmdoctor.report.text import bytes_of, count, parameters_of, plain, seconds_of, value_of

# Of the numbers of a part those that the head shows; the JSON report has them all.
_DETAILS = {
    "heads": "{:,} heads",
    "kv_heads": "{:,} KV heads",
    "head_dim": "head size {:,}",
    "patch": "patch {:,}",
    "image": "image {:,}",
    "merge": "merge {:,}",
    "hidden": "width {:,}",
    "vocabulary": "vocabulary {:,}",
    "mel_bins": "{:,} mel bins",
    "experts": "{:,} experts",
    "reads": "reads {:,}",
    "writes": "writes {:,}",
}


def about(artifact: Artifact) -> str:
    """What the thing is, in one phrase."""
    said: list[str] = [plain(artifact.model_type)] if artifact.model_type else []
    if artifact.parameters:
        said.append(f"{parameters_of(artifact.parameters)} parameters")
    if artifact.dtypes:
        said.append(dtypes_of(artifact.dtypes))
    if artifact.nbytes:
        said.append(f"{bytes_of(artifact.nbytes)} in {count(len(artifact.files), 'file')}")
    elif artifact.files:
        said.append(count(len(artifact.files), "weight file"))
    if artifact.saved_by:
        said.append(f"saved by {plain(artifact.saved_by)}")
    return f"{plain(artifact.kind)}{': ' if said else ''}{', '.join(said)}"


def dtypes_of(dtypes: Mapping[str, int]) -> str:
    """Element types, the most frequent first: `bf16`, `q4_k and f32`."""
    names = [plain(n).lower() for n in sorted(dtypes, key=lambda n: (-dtypes[n], n))]
    if len(names) > 3:
        return f"{', '.join(names[:3])} and {len(names) - 3} more types"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def part_of(part: PartSummary) -> str:
    """One part of the model: `vision tower 676 M, 32 layers, 16 heads, patch 14`."""
    said = [f"{part.role.value} {parameters_of(part.parameters)}"]
    if part.layers:
        said.append(count(part.layers, "layer"))
    said += [_DETAILS[k].format(v) for k, v in part.details.items() if k in _DETAILS]
    return ", ".join(said)


def cost_of(cost: ImageCost) -> str:
    """What an image costs: `a 1024x768 image costs 1,001 tokens: 999 for the image (...) and 2 around it`."""
    image = f"a {cost.width}x{cost.height} image"
    if cost.placeholders is None:
        return f"what {image} costs cannot be told: {plain(cost.reason)}"
    tokens, sum_ = f"{cost.placeholders:,} for the image ({plain(cost.arithmetic)})", cost.tokens or 0
    if cost.markers:
        tokens += f" and {cost.markers:,} around it"
    if cost.per_prompt > 1:
        tokens += f"; {cost.per_prompt} of them in a prompt cost {cost.tokens_per_prompt:,}"
    if cost.features != cost.placeholders:
        made = f"{cost.features:,}" if cost.features is not None else "none"
        tokens += f"; the model makes {made} of it, so such a request fails"
    return f"{image} costs {count(sum_, 'token')}: {tokens}"


def origins_of(costs: Iterable[ImageCost]) -> list[str]:
    """Where the costs' numbers stand, a line a file: `config.json: vision_config.patch_size 14 (line 54), ...`."""
    by_file: dict[str, dict[str, None]] = {}
    for used in (u for cost in costs for u in cost.settings if u.value is not None):
        file = f"defaults of {plain(used.default_of)}" if used.default_of else plain(used.at.file)
        line = f" (line {used.at.line})" if used.at.line is not None and not used.default_of else ""
        by_file.setdefault(file, {})[f"{plain(used.what)} {plain(str(used.value))}{line}"] = None
    return [f"{file}: {', '.join(said)}" for file, said in by_file.items()]


def problems(report: Report) -> str:
    """How many findings: `2 errors, 1 warning`."""
    names = [(Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.NOTE, "note")]
    said = [count(n, name) for severity, name in names if (n := report.count(severity))]
    if report.crashed:
        said.append(f"{count(len(report.crashed), 'check')} crashed")
    if not (said or report.passed):
        return "no check could look"
    return ", ".join(said) or "nothing found"


def coverage(report: Report) -> str:
    """What became of the other checks: `38 passed, 21 not applicable, 2 could not check`."""
    numbers = [
        (len(report.passed), "passed"),
        (len(report.not_applicable), "not applicable"),
        (len(report.could_not_check), "could not check"),
        (report.suppressed, "suppressed"),
    ]
    return ", ".join(f"{n} {what}" for n, what in numbers if n or what == "passed")


def effort(report: Report) -> str:
    """How deep it looked and how long that took: `headers and weights, 6.2 s`."""
    depths = {"headers": "headers", "weights": "headers and weights", "run": "headers, weights and a run"}
    return f"{depths.get(report.depth, report.depth)}, {seconds_of(report.seconds)}"


def target_of(target: Target) -> str:
    """The target in one phrase, empty where it says nothing."""
    engine = target.engine and f"{target.engine} {target.engine_version or ''}".strip()
    said = [
        f"{target.gpu_count} x {target.gpu}" if target.gpu and target.gpu_count > 1 else target.gpu,
        engine,
        target.dtype,
        f"tensor parallel size {target.tensor_parallel_size}" if target.tensor_parallel_size > 1 else None,
        f"GPU memory utilization {target.gpu_memory_utilization:g}" if target.gpu_memory_utilization else None,
        f"{count(target.max_model_len, 'token')} at most" if target.max_model_len else None,
    ]
    return plain(", ".join(s for s in said if s))


def place_of(at: Location) -> str:
    """A place as editors understand it: `config.json:41:5`, or file and pointer, file and tensor, file and byte."""
    file = plain(at.file)
    if at.line is not None:
        return f"{file}:{at.line}" + (f":{at.column}" if at.column is not None else "")
    rest = plain(at.tensor or at.pointer or "")
    if not rest and at.offset is not None:
        rest = f"byte {at.offset:,}"
    return f"{file} {rest}".strip()


def values_of(evidence: Evidence) -> tuple[str, str | None]:
    """(Observed, expected) of a piece of evidence; None where nothing particular was expected."""
    observed, expected = evidence.observed, evidence.expected
    large = "byte" in evidence.what or any(_is_count(v) and abs(v) >= 10**6 for v in (observed, expected))
    said = [f"{v:,}" if large and _is_count(v) and abs(v) < 10**18 else value_of(v) for v in (observed, expected)]
    return said[0], None if expected is None else said[1]


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def reasons(skipped: Iterable[SkippedCheck]) -> Iterator[tuple[str, list[str]]]:
    """(reason, codes), the reason of most checks first."""
    grouped: dict[str, list[str]] = {}
    for skip in skipped:
        grouped.setdefault(skip.reason, []).append(skip.code)
    yield from sorted(((plain(r), c) for r, c in grouped.items()), key=lambda item: (-len(item[1]), item[1]))


def machine_of(machine: Machine) -> list[tuple[str, str]]:
    """(what, value) of a machine, without names of hosts and users."""
    gpus = [f"{g.name}, {bytes_of(g.total_bytes)} ({bytes_of(g.free_bytes)} free)" for g in machine.gpus]
    if machine.gpus and machine.gpus[0].capability:
        gpus[0] += ", compute capability " + ".".join(map(str, machine.gpus[0].capability))
    rows = [
        ("platform", machine.platform),
        ("Python", machine.python),
        ("CPUs", str(machine.cpus)),
        ("memory", f"{bytes_of(machine.ram_bytes)} ({bytes_of(machine.ram_available_bytes)} available)"),
        *(("GPU", gpu) for gpu in gpus or [machine.gpu_note or "none"]),
        ("driver", machine.driver or ""),
        ("CUDA", machine.cuda or ""),
        *machine.packages.items(),
    ]
    return [(plain(k), plain(v)) for k, v in rows if v]


def settled_by_program(findings: Iterable[Finding]) -> list[str]:
    """Codes of the findings that `mmdoctor fix` settles."""
    certain = (
        f.code
        for f in findings
        if f.severity is not Severity.NOTE and f.confidence is Confidence.CERTAIN and f.fix is not None and f.fix.edits
    )
    return list(dict.fromkeys(certain))


def quoted(path: str) -> str:
    """A path to paste into a shell."""
    import shlex

    return shlex.quote(plain(path))
