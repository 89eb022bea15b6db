"""INT003."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, Damage, DamageKind, WeightFile
from mmdoctor.facts.source import FileKind

_TORCH = {FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT, FileKind.TORCH_EXPORT, FileKind.TORCH_PACKAGE} | {
    *(FileKind.TORCH_LEGACY, FileKind.PICKLE)
}
_CUT = {DamageKind.TRUNCATED, DamageKind.NO_CENTRAL_DIRECTORY}
_BROKEN = {DamageKind.MEMBER_MISSING, DamageKind.MEMBER_SIZE, DamageKind.SIZE_MISMATCH, DamageKind.PICKLE_BROKEN} | {
    *(DamageKind.HEADER_INVALID, DamageKind.MEMBER_UNREADABLE)
}
_SHOWN = 8


@check("INT003", Severity.ERROR, yields_to=("INT001",))
def zip_pt_truncated(checkpoint: Checkpoint) -> Iterator[Problem]:
    """A PyTorch file is cut off or damaged.

    ## What it checks
    Zip files (since torch 1.6, TorchScript, torch.export): the directory at the end, zip64 included, and the size of
    every storage against `numel x itemsize` of the pickle, which is walked without executing it. Older files have no
    directory: their pickles are walked and the storages behind them counted. Of a file that is cut off it says how
    many storages are whole and which tensors are lost. Padding between members, trailing bytes behind legacy storages,
    any name of the folder in the archive and `code/` of TorchScript are normal. A pickle beyond all limits (millions of
    steps, a tuple of tuples that stands for 2^60 tensors) is a warning.

    ## Why it matters
    `PytorchStreamReader failed reading zip archive: failed finding central directory`, `unexpected EOF, expected N
    more bytes. The file might be corrupted`, `storage has wrong byte size`: after minutes of loading, or in production.

    ## How to fix it
    Download or copy the file again and compare its size; if it was being saved, take the checkpoint before it.

    ## Sources
    - https://github.com/THU-MIG/yolov10/issues/154
    - https://github.com/CompVis/stable-diffusion/issues/93
    - https://github.com/OpenTalker/SadTalker/issues/217
    """
    for file in checkpoint.files:
        if file.kind not in _TORCH:
            continue
        cut = [d for d in file.damage if d.kind in _CUT]
        broken = [d for d in file.damage if d.kind in _BROKEN]
        if cut:
            yield _problem(file, cut, "is cut off", "download or copy it again; the rest of it is not in this file")
        elif broken:
            yield _problem(file, broken, "is damaged", "download or copy it again, or save it again")
        else:
            yield from _too_complex(file)


def _problem(file: WeightFile, damage: list[Damage], what: str, fix: str) -> Problem:
    message = f"{file.path} {what} and will not load: {damage[0].message}"
    return Problem(message, because=[_evidence(file, d) for d in damage[:_SHOWN]], fix=Fix(fix))


def _too_complex(file: WeightFile) -> Iterator[Problem]:
    beyond = [d for d in file.damage if d.kind is DamageKind.PICKLE_TOO_COMPLEX]
    if beyond:
        message = f"{file.path} was not read to its end, loading it may take all memory: {beyond[0].message}"
        fix = Fix("load it with a memory limit, and save the tensors alone")
        yield Problem(message, because=[_evidence(file, d) for d in beyond], fix=fix, severity=Severity.WARNING)


def _evidence(file: WeightFile, damage: Damage) -> Evidence:
    tensor = damage.tensors[0] if damage.tensors else None
    at = Location(file=file.path, tensor=tensor, offset=damage.offset)
    if damage.observed is None:
        return Evidence(damage.kind.value, damage.message, at)
    unit = " (bytes)" if isinstance(damage.observed, int) else ""
    return Evidence(f"{damage.kind.value}{unit}", damage.observed, at, expected=damage.expected)
