"""Facts made by hand for the tests of the integrity rules."""

from pathlib import Path

from mmdoctor.facts.checkpoint import Checkpoint, Damage, ShardIndex, Tensor, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind, FileProblem, Source

INDEX = "model.safetensors.index.json"


def source(*files: FileEntry, single: str | None = None) -> Source:
    return Source(root=Path("/nowhere"), name="model", files=files, single=single)


def file(
    path: str,
    kind: FileKind | None = None,
    size: int = 9999,
    problem: FileProblem | None = None,
    link: str | None = None,
) -> FileEntry:
    guess = (
        FileKind.SAFETENSORS
        if path.endswith(".safetensors")
        else FileKind.JSON
        if path.endswith(".json")
        else FileKind.TORCH_ZIP
    )
    return FileEntry(path=path, kind=kind or guess, size=size, problem=problem, link=link)


def tensor(name: str, path: str = "model.safetensors", shape: tuple[int, ...] = (4,), dtype: str = "F32") -> Tensor:
    count = 1
    for size in shape:
        count *= size
    return Tensor(name=name, dtype=dtype, shape=shape, file=path, nbytes=4 * count)


def weights(
    path: str, *tensors: Tensor, damage: tuple[Damage, ...] = (), kind: FileKind = FileKind.SAFETENSORS
) -> WeightFile:
    return WeightFile(path=path, kind=kind, size=9999, tensors=tensors, damage=damage)


def loaded(*files: WeightFile, index: ShardIndex | None = None, gaps: tuple[str, ...] = ()) -> Checkpoint:
    return Checkpoint(files=files, tensors={t.name: t for f in files for t in f.tensors}, index=index, gaps=gaps)


def index(weight_map: dict[str, str], **more: object) -> ShardIndex:
    return ShardIndex(file=INDEX, weight_map=weight_map, **more)  # type: ignore[arg-type]  # the test names real fields
