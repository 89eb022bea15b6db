"""Which of a folder's weight files a loader takes, told from the listing and the index alone."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from mmdoctor.engine import Unavailable
from mmdoctor.facts.checkpoint import ShardIndex
from mmdoctor.facts.source import FileEntry, FileKind, FileProblem, Source
from mmdoctor.readers.index import read_index
from mmdoctor.readers.names import SHARD, SIDE_FILES, is_unsafe_path, is_weight_name, shards_missing

TORCH_KINDS = frozenset(
    {FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT, FileKind.TORCH_LEGACY, FileKind.PICKLE, FileKind.TAR}
)
_SAFE, _BIN = "model.safetensors", "pytorch_model.bin"
_ABSENT = (FileProblem.DANGLING, FileProblem.LOOP, FileProblem.SPECIAL)
_TORCH_NAME = re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model|model)[^/]*\.bin|.*\.(pt|pth|ckpt)")
_NUMBERED = re.compile(r"(?P<stem>.+)\.\d{2}\.pth")
"""Llama's own `consolidated.00.pth`, one file a GPU."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """The files that load."""

    files: tuple[FileEntry, ...]
    """In the order in which they load; links and pointers that cannot be read included."""
    index: ShardIndex | None = None
    gaps: tuple[str, ...] = ()
    """Which files are missing or not to be known."""


def select(source: Source) -> Selection:
    """What transformers would load, then what other loaders would.

    transformers/modeling_utils.py, _get_resolved_checkpoint_files (5.23): model.safetensors, its index,
    pytorch_model.bin, its index; what is not a file is passed over.
    """
    top = [f for f in source.top() if f.problem not in _ABSENT and not SIDE_FILES.fullmatch(f.name)]
    names = {f.name: f for f in top}
    if source.single is not None:
        return _single(names[source.single]) if source.single in names else Selection(files=())
    for base in (_SAFE, _BIN, *_other_bases(names)):
        if base in names:
            return Selection(files=(names[base],))
        if f"{base}.index.json" in names:
            return _sharded(source, names[f"{base}.index.json"], top)
    return _by_kind(top)


def _single(entry: FileEntry) -> Selection:
    match = SHARD.fullmatch(entry.name)
    if match and int(match["count"]) > 1:
        gap = f"{entry.name} is part {int(match['number'])} of {int(match['count'])}; the others were not given"
        return Selection(files=(entry,), gaps=(gap,))
    return Selection(files=(entry,))


def _other_bases(names: Iterable[str]) -> list[str]:
    bases = [n.removesuffix(".index.json") for n in names if n.endswith(".index.json")]
    return sorted(
        (b for b in bases if b.endswith((".safetensors", ".bin"))), key=lambda b: (not b.endswith("s"), len(b), b)
    )


def _sharded(source: Source, entry: FileEntry, top: Sequence[FileEntry]) -> Selection:
    try:
        index = read_index(source, entry)
    except Unavailable as reason:
        found = _by_kind(top)
        return Selection(files=found.files, gaps=(str(reason), *found.gaps))
    listed = {f.path: f for f in source.files if f.problem not in _ABSENT}
    wanted = sorted(index.files())
    files = tuple(listed[name] for name in wanted if name in listed)
    gone = [name for name in wanted if name not in listed]
    gaps = []
    if gone:
        shown = ", ".join("(a path out of the folder)" if is_unsafe_path(n) else n for n in gone[:3])
        more = " ..." if len(gone) > 3 else ""
        gaps.append(f"{len(gone)} of {len(wanted)} shards that {entry.name} names are not here: {shown}{more}")
    gaps += [f"{entry.name}: {problem}" for problem in index.problems if "metadata" not in problem]
    return Selection(files=files, index=index, gaps=tuple(gaps))


def _by_kind(top: Sequence[FileEntry]) -> Selection:
    """Without a standard name: the largest set of the most preferred format."""
    safe = [f for f in top if f.kind is FileKind.SAFETENSORS or f.name.endswith(".safetensors")]
    taken = {f.name for f in safe}
    torch = [f for f in top if f.name not in taken and _is_torch(f)]
    ggufs = [f for f in top if f.name not in taken and (f.kind is FileKind.GGUF or f.name.endswith(".gguf"))]
    if ggufs and not safe and not torch:
        return _ggufs(ggufs)
    for candidates in (safe, torch):
        if candidates:
            return _largest_set(candidates)
    others = [f for f in top if f.kind in _NAMED_ONLY]
    if others:
        main = max(others, key=lambda f: (is_weight_name(f.name), f.size, f.name))
        return Selection(files=tuple(f for f in others if f.kind is main.kind))
    return Selection(files=())


_NAMED_ONLY = frozenset(
    {FileKind.ONNX, FileKind.TFLITE, FileKind.HDF5, FileKind.KERAS, FileKind.NUMPY_ARCHIVE, FileKind.CTRANSLATE2}
    | {FileKind.GGML, FileKind.TORCH_EXPORT, FileKind.TORCH_PACKAGE, FileKind.NUMPY}
)
"""Kinds that are recognised and not read, a stray array last."""


def _is_torch(entry: FileEntry) -> bool:
    if entry.kind in TORCH_KINDS:
        return is_weight_name(entry.name) or entry.kind not in (FileKind.PICKLE, FileKind.TAR)
    unread = (FileKind.UNKNOWN, FileKind.LFS_POINTER, FileKind.HTML, FileKind.JSON, FileKind.TEXT, FileKind.EMPTY)
    return entry.kind in unread and _TORCH_NAME.fullmatch(entry.name) is not None


def _ggufs(files: Sequence[FileEntry]) -> Selection:
    """One language model with its projector: several quantisations of it may lie side by side."""
    towers = [f for f in files if "mmproj" in f.name.lower()]
    models = [f for f in files if "mmproj" not in f.name.lower()]
    chosen = _largest_set(models or towers)
    if towers and models:
        tower = max(towers, key=lambda f: (f.size, f.name))
        return Selection(files=(*chosen.files, tower), gaps=chosen.gaps)
    return chosen


def _largest_set(files: Sequence[FileEntry]) -> Selection:
    sets: dict[tuple[str, str], list[FileEntry]] = {}
    for entry in files:
        shard, numbered = SHARD.fullmatch(entry.name), _NUMBERED.fullmatch(entry.name)
        if shard:
            key = shard["stem"], shard["count"] + (shard["rest"] or "")
        elif numbered:
            key = numbered["stem"], ".pth"
        else:
            key = entry.name, ""
        sets.setdefault(key, []).append(entry)
    # A Mistral repository carries its weights twice; an adapter or a projector lies beside what it belongs to.
    chosen = max(
        sets.values(),
        key=lambda s: (not s[0].name.startswith(("consolidated", "adapter_")), sum(f.size for f in s), s[0].name),
    )
    missing = shards_missing(f.name for f in chosen)
    gaps = (f"{len(missing)} parts of the set are not here (first: {missing[0]})",) if missing else ()
    return Selection(files=tuple(sorted(chosen, key=lambda f: f.name)), gaps=gaps)
