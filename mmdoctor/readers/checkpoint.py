"""The weights that load, whatever their format: headers of all files, joined."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint, Damage, DamageKind, Tensor, WeightFile
from mmdoctor.facts.source import WEIGHT_KINDS, FileEntry, FileKind, Source
from mmdoctor.readers.names import SIDE_FILES, is_weight_name
from mmdoctor.readers.selection import TORCH_KINDS, Selection, select

MAX_TENSORS = 200_000
"""Tensors of all files together, for bounded time and memory; the largest mixtures of experts have about 150,000."""

_READERS: dict[FileKind, str] = {
    FileKind.SAFETENSORS: "mmdoctor.readers.safetensors:read_safetensors",
    FileKind.GGUF: "mmdoctor.readers.gguf:read_gguf",
    **dict.fromkeys(TORCH_KINDS - {FileKind.TAR}, "mmdoctor.readers.torch_file:read_torch"),
}
_RECOGNISED = "mmdoctor.readers.recognised:read_recognised"

_LOSES_TENSORS = frozenset(
    {DamageKind.HEADER_TOO_SMALL, DamageKind.HEADER_TOO_LARGE, DamageKind.HEADER_NOT_JSON, DamageKind.HEADER_INVALID}
    | {DamageKind.NO_CENTRAL_DIRECTORY, DamageKind.PICKLE_BROKEN, DamageKind.PICKLE_TOO_COMPLEX}
    | {DamageKind.UNSUPPORTED_VERSION}
)
"""Damage after which tensors may exist that nobody saw."""


def checkpoint(source: Source) -> Checkpoint:
    """The weights that a loader would take.

    Raises:
        NotApplicable: the artefact has no weights.
        Unavailable: it has, and none of them can be read.
    """
    selection = select(source)
    if not selection.files:
        raise _nothing(source, selection)
    files: list[WeightFile] = []
    gaps = list(selection.gaps)
    tensors: dict[str, Tensor] = {}
    for entry in selection.files:
        file, gap = read_header(source, entry)
        files.append(file)
        if gap:
            gaps.append(gap)
        if len(tensors) + len(file.tensors) > MAX_TENSORS:
            gaps.append(f"more than {MAX_TENSORS:,} tensors: {entry.path} and what follows were left out")
            break
        for tensor in file.tensors:
            tensors.setdefault(tensor.name, tensor)
    if gaps and not any(f.tensors or f.damage or f.note or f.program for f in files):
        raise Unavailable("; ".join(gaps[:3]))
    return Checkpoint(
        files=tuple(files),
        tensors=tensors,
        index=selection.index,
        ignored=_ignored(source, selection.files),
        gaps=tuple(gaps),
    )


def complete_checkpoint(checkpoint: Checkpoint) -> CompleteCheckpoint:
    """The checkpoint, if every header was read.

    Raises:
        Unavailable: tensors may exist that nobody saw; the message says why.
    """
    if checkpoint.gaps:
        more = f" and {len(checkpoint.gaps) - 2} more" if len(checkpoint.gaps) > 2 else ""
        raise Unavailable(f"not all tensors are known: {'; '.join(checkpoint.gaps[:2])}{more}")
    return CompleteCheckpoint(checkpoint=checkpoint)


def _nothing(source: Source, selection: Selection) -> NotApplicable | Unavailable:
    if selection.gaps:
        return Unavailable("; ".join(selection.gaps[:3]))
    if selection.index is not None:
        return Unavailable(f"{selection.index.file} names no shards")
    broken = [f for f in source.top() if f.problem is not None and is_weight_name(f.name)]
    if broken:
        return Unavailable("; ".join(f"{f.path}: {f.problem}" for f in broken[:3]))
    return NotApplicable("the folder holds no weights")


def read_header(source: Source, entry: FileEntry) -> tuple[WeightFile, str | None]:
    """A file and, where tensors of it may be unknown, why."""
    if entry.problem is not None:
        return WeightFile(path=entry.path, kind=entry.kind, size=0), f"{entry.path}: {entry.problem}"
    kind = entry.kind
    if kind is FileKind.UNKNOWN and entry.name.endswith(".safetensors"):
        kind = FileKind.SAFETENSORS
    if kind is FileKind.UNKNOWN and entry.name.endswith(".gguf"):
        return _not_gguf(entry), f"{entry.path} does not begin with GGUF"
    if kind not in WEIGHT_KINDS:
        return WeightFile(
            path=entry.path, kind=entry.kind, size=entry.size
        ), f"{entry.path} is no weights: {_what(kind)}"
    read = _function(_READERS.get(kind, _RECOGNISED))
    try:
        file = read(source.root / entry.path, entry)
    except OSError as error:
        reason = f"{entry.path} cannot be read: {error.strerror or error}"
        return WeightFile(path=entry.path, kind=entry.kind, size=entry.size), reason
    return file, next(_gaps(file), None)


def _gaps(file: WeightFile) -> Iterator[str]:
    for damage in file.damage:
        header_cut = damage.kind is DamageKind.TRUNCATED and not damage.tensors
        if damage.kind in _LOSES_TENSORS or header_cut:
            yield f"{file.path}: {damage.message}"
    if file.program is not None and file.program.incomplete:
        yield f"{file.path}: {file.program.incomplete}"
    if file.note and not file.tensors:
        yield f"{file.path}: {file.note}"


def _not_gguf(entry: FileEntry) -> WeightFile:
    head = entry.head[:8]
    what = "zero bytes" if not any(head) else repr(head)
    damage = Damage(
        kind=DamageKind.HEADER_INVALID,
        message=f"the file begins with {what} instead of GGUF",
        observed=what,
        expected="GGUF",
        offset=0,
    )
    return WeightFile(path=entry.path, kind=entry.kind, size=entry.size, damage=(damage,))


def _what(kind: FileKind) -> str:
    return "unknown bytes" if kind is FileKind.UNKNOWN else f"{kind}"


def _function(where: str) -> Callable[[Path, FileEntry], WeightFile]:
    module, _, name = where.partition(":")
    function: Callable[[Path, FileEntry], WeightFile] = getattr(importlib.import_module(module), name)
    return function


def _ignored(source: Source, chosen: Sequence[FileEntry]) -> tuple[str, ...]:
    taken = {f.path for f in chosen}
    weights = (f for f in source.top() if f.kind in WEIGHT_KINDS and is_weight_name(f.name))
    return tuple(f.path for f in weights if f.path not in taken and not SIDE_FILES.fullmatch(f.name))
