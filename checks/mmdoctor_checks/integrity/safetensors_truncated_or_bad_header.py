"""INT002."""

from collections.abc import Iterator, Sequence

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint, Damage, DamageKind, WeightFile
from mmdoctor.facts.source import WEIGHT_KINDS, FileKind
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_MILDER = {DamageKind.UNKNOWN_DTYPE: Severity.NOTE, DamageKind.DUPLICATE_NAME: Severity.WARNING}
"""A newer library may know the dtype; the reference takes the last of two equal names without a word."""
_SHOWN = 10


@check("INT002", Severity.ERROR)
def safetensors_truncated_or_bad_header(checkpoint: Checkpoint) -> Iterator[Problem]:
    """A safetensors file is cut off, or its header does not describe it.

    ## What it checks
    Everything that the reference parser checks, without reading the data: the header's length against the file and
    against 100,000,000 bytes, the header's JSON, that the byte ranges follow each other without gap or overlap from
    the first byte of data to the last byte of the file, and that each one is as long as shape and dtype ask for. A
    dtype that the format does not have yet is a note.

    ## Why it matters
    An interrupted download, a full disk or a copy that rewrote a file in place leaves exactly this, and the loaders
    say `MetadataIncompleteBuffer`, `InvalidHeaderDeserialization` or `HeaderTooLarge` without a file name or a
    number.

    ## How to fix it
    Download or copy the named file again; the others are not affected.

    ## Sources
    - https://github.com/huggingface/safetensors/issues/466
    - https://github.com/huggingface/safetensors/issues/601
    - https://github.com/huggingface/transformers/issues/28742
    - https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs
    """
    files = [f for f in checkpoint.files if f.kind is FileKind.SAFETENSORS or f.path.endswith(".safetensors")]
    for severity in (Severity.ERROR, Severity.WARNING, Severity.NOTE):
        damaged = [(f, f.damage) for f in files if f.damage and _severity(f.damage) is severity]
        if damaged:
            yield _problem(damaged, len(files), severity)
    renamed = [f for f in files if f.kind in WEIGHT_KINDS - {FileKind.SAFETENSORS}]
    for file in renamed:
        yield Problem(
            f"{file.path} is named safetensors and holds {file.kind}: every loader refuses it",
            because=[Evidence("content", file.kind.value, file.at, expected="safetensors")],
            fix=Fix("convert it to safetensors, or give it the suffix of what it is"),
        )


def _severity(damage: Sequence[Damage]) -> Severity:
    return max((_MILDER.get(d.kind, Severity.ERROR) for d in damage), key=lambda s: s.rank)


def _problem(damaged: Sequence[tuple[WeightFile, Sequence[Damage]]], total: int, severity: Severity) -> Problem:
    file, damage = damaged[0]
    worst = next(d for d in damage if _severity([d]) is severity)
    consequence = {Severity.ERROR: ": loading fails", Severity.WARNING: ": the first of each is lost"}.get(severity, "")
    if len(damaged) == 1:
        message = f"{file.path}: {worst.message}{consequence}"
    else:
        message = (
            f"{len(damaged)} of {total} safetensors files are damaged (first: {file.path}: "
            f"{worst.message}){consequence}"
        )
    evidence = [
        Evidence(
            d.kind.value,
            d.observed if d.observed is not None else d.message,
            Location(file=f.path, offset=d.offset, tensor=d.tensors[0] if d.tensors else None),
            expected=d.expected,
        )
        for f, ds in damaged
        for d in ds
    ]
    names = ", ".join(f.path for f, _ in damaged[:3]) + (" ..." if len(damaged) > 3 else "")
    fix = {
        Severity.ERROR: Fix(f"download or copy {names} again; compare its size with the original's first"),
        Severity.WARNING: Fix("write the file again with every name once"),
    }.get(severity)
    return Problem(message, because=evidence[:_SHOWN], fix=fix, severity=severity)
