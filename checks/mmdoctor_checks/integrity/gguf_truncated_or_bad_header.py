"""INT024."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint, DamageKind, WeightFile
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_SHOWN = 10


@check("INT024", Severity.ERROR)
def gguf_truncated_or_bad_header(checkpoint: Checkpoint) -> Iterator[Problem]:
    """A GGUF file is cut off, or its header does not describe it.

    ## What it checks
    What llama.cpp checks on loading, without reading the data: version, lengths and types of all key-value pairs,
    shapes against block sizes, that every tensor begins where the one before ends (padded to the alignment), and that
    the last one ends inside the file. A tensor type that is newer than this version of mmdoctor is a note.

    ## Why it matters
    GGUF files are large single files, downloads of them break often, and the engine says only `tensor data is not
    within the file bounds, model is corrupted or incomplete` or `failed to read magic`.

    ## How to fix it
    Download the file again, or quantise the model again with a current llama.cpp.

    ## Sources
    - https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    - https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/gguf.cpp
    """
    for file in checkpoint.files:
        is_gguf = file.kind is FileKind.GGUF or file.path.endswith(".gguf")
        if is_gguf and file.damage:
            yield _problem(file)


def _problem(file: WeightFile) -> Problem:
    grave = [d for d in file.damage if d.kind is not DamageKind.UNKNOWN_DTYPE]
    shown = grave or list(file.damage)
    evidence = [
        Evidence(
            d.kind.value,
            d.observed if d.observed is not None else d.message,
            Location(file=file.path, offset=d.offset, tensor=d.tensors[0] if d.tensors else None),
            expected=d.expected,
        )
        for d in shown
    ]
    if not grave:
        return Problem(f"{file.path}: {shown[0].message}", because=evidence, severity=Severity.NOTE)
    return Problem(
        f"{file.path}: {shown[0].message}; llama.cpp refuses the file",
        because=evidence[:_SHOWN],
        fix=Fix("download the file again; compare its size with the original's first"),
    )
