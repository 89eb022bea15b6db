"""INT005."""

import re
from collections.abc import Iterator, Sequence

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint, ShardIndex, ShardSet
from mmdoctor.facts.documents import escape
from mmdoctor.facts.source import WEIGHT_KINDS, FileEntry, FileKind, Source
from mmdoctor.finding import Evidence, Fix, Problem, Rewriting, Severity
from mmdoctor.location import Location
from mmdoctor.readers.names import SHARD, clean_name, is_unsafe_path, shards_missing
from mmdoctor.wording import counted

_BENIGN = re.compile(r"(.*\.)?(position_ids|inv_freq|num_batches_tracked|masked_bias|attn\.bias|relative_position_index"
                     r"|lm_head\.weight|token_type_ids)")  # fmt: skip
"""Buffers that newer versions no longer save, and the head that is tied to the embedding."""
_REBUILD = "rebuild the index from the headers of the shards (save the model again, or copy the original's index)"


@check("INT005", Severity.ERROR)
def index_vs_files(
    source: Source, index: ShardIndex | None, checkpoint: Checkpoint | None, shards: ShardSet | None = None
) -> Iterator[Problem]:
    """The index of the shards and the shards themselves do not belong together.

    ## What it checks
    Every file that `weight_map` names is in the folder, every tensor is in the file that the map names, no shard has
    tensors that the map leaves out, and the numbers of `-of-00005` are complete. Names that lead out of the folder
    are reported and never opened. Where none of the shards is there, only the configuration was downloaded, and that
    is a note.

    ## Why it matters
    A missing shard stops the loader (`FileNotFoundError`); a shard that the map does not name is never read, and its
    layers stay random without an error. Loaders differ in how they use the map: transformers takes the files from it
    and the names from the headers, others look tensors up by name.

    ## How to fix it
    Download the missing shard. Where the files form a complete set of another numbering, the index is stale: rebuild
    it.

    ## Sources
    - https://github.com/Blaizzy/mlx-vlm/issues/1827
    - https://github.com/Blaizzy/mlx-vlm/issues/1464
    - https://github.com/unslothai/unsloth-zoo/issues/346
    - https://github.com/jundot/omlx/issues/2096
    """
    if index is None:
        if checkpoint is not None and source.single is None:
            yield from _without_index(source, [f.path for f in checkpoint.files], shards)
        return
    if index.broken is not None:
        return  # INT025 says why
    unsafe = [n for n in index.files() if is_unsafe_path(n)]
    if unsafe:
        yield _unsafe(index, unsafe)
    if index.problems:
        yield Problem(
            f"{index.file}: {'; '.join(index.problems)}; transformers stops with a KeyError or finds no shards",
            because=[Evidence("index", index.problems[0], Location(file=index.file))],
            fix=_rebuild(index, shards),
        )
    yield from _files(source, index, shards)
    if checkpoint is not None and checkpoint.index is not None and not checkpoint.gaps:
        yield from _tensors(index, checkpoint, shards)
    elif checkpoint is not None and checkpoint.index is None and checkpoint.files:
        yield from _shadowed(source, index, checkpoint)


def _without_index(source: Source, files: Sequence[str], found: ShardSet | None) -> Iterator[Problem]:
    """Numbered shards that no index names: transformers needs one, llama.cpp and vLLM do not."""
    shards = [n for n in files if SHARD.fullmatch(n)]
    if not shards or any(f.name.endswith(".index.json") for f in source.top()):
        return
    misnamed = {clean_name(f.name) for f in source.top()}
    gone = [n for n in shards_missing(shards) if n not in misnamed]
    if gone:
        shown = ", ".join(gone[:3]) + (" ..." if len(gone) > 3 else "")
        yield Problem(
            f"{len(gone)} of {len(gone) + len(shards)} parts of the weights are missing ({shown}): loading fails",
            because=[Evidence("part", n, Location(file=n), expected="present") for n in gone[:5]],
            fix=Fix(f"download {shown}"),
        )
    elif re.fullmatch(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)", shards[0]):
        index = re.sub(r"-\d+-of-\d+", "", shards[0]) + ".index.json"
        yield Problem(
            f"{len(shards)} shards are here and {index} is not: transformers finds no weights, vLLM loads them all",
            because=[
                Evidence("shards", len(shards), Location(file=shards[0])),
                Evidence("index", None, expected=index),
            ],
            fix=_rebuild(None, found, f"download {index}, or {_REBUILD}"),
        )


def _unsafe(index: ShardIndex, unsafe: Sequence[str]) -> Problem:
    evidence = [
        Evidence("file name", name[:120], _entry(index, name), expected="a file of this folder") for name in unsafe[:5]
    ]
    return Problem(
        f"{index.file} names {counted(len(unsafe), 'file')} outside of the folder (first: "
        f"{unsafe[0][:80]!r}): a loader "
        "would open them",
        because=evidence,
        fix=Fix("do not load this model before you know who wrote that; names have to be plain file names"),
    )


def _entry(index: ShardIndex, file: str) -> Location:
    tensor = next((t for t, f in index.weight_map.items() if f == file), "")
    return Location(file=index.file, pointer=f"/weight_map/{escape(tensor)}")


def _files(source: Source, index: ShardIndex, shards: ShardSet | None) -> Iterator[Problem]:
    listed = {f.path: f for f in source.files}
    misnamed = {clean_name(f.name) for f in source.top()}  # INT006 names these
    wanted = [n for n in index.files() if not is_unsafe_path(n)]
    gone = [n for n in wanted if n not in listed and n not in misnamed]
    # Pointers and broken links are INT001's and INT020's.
    real = [n for n in wanted if n in listed and (listed[n].kind in WEIGHT_KINDS or listed[n].size > 1024)]
    if gone and not real:
        others = _complete_set(source, index)
        if others:
            yield _stale(index, gone, others, shards)
        elif len(gone) + len([n for n in wanted if n in listed]) == len(wanted):
            yield Problem(
                f"none of the {len(wanted)} shards that {index.file} names is here: only the configuration "
                "can be checked",
                because=[
                    Evidence(
                        "shards present", 0, Location(file=index.file, pointer="/weight_map"), expected=len(wanted)
                    )
                ],
                fix=Fix("download the weights too, if this folder is to be served"),
                severity=Severity.NOTE,
            )
    elif gone:
        yield _missing(index, gone, len(wanted))
    unnumbered = [n for n in shards_missing(wanted) if SHARD.fullmatch(n) and not _is_empty(listed.get(n))]
    if unnumbered and not gone:
        yield _hole(source, index, unnumbered, shards)


def _is_empty(entry: FileEntry | None) -> bool:
    """Whether the shard is a safetensors file that ends with its header, so that nothing in it could stay random."""
    header = 8 + int.from_bytes(entry.head[:8], "little") if entry is not None else 0
    return entry is not None and entry.kind is FileKind.SAFETENSORS and entry.size == header


def _complete_set(source: Source, index: ShardIndex) -> list[str]:
    """Shards at the top level that the index does not name and that form a complete set."""
    named = set(index.files())
    names = [f.name for f in source.top() if f.kind in WEIGHT_KINDS and f.name not in named and SHARD.fullmatch(f.name)]
    return names if names and not shards_missing(names) else []


def _stale(index: ShardIndex, gone: Sequence[str], others: Sequence[str], shards: ShardSet | None) -> Problem:
    return Problem(
        f"{index.file} names {len(gone)} shards that are not here ({gone[0]} ...), while {len(others)} other "
        "shards form a "
        f"complete set ({others[0]} ...): the index is stale, loading fails",
        because=[
            Evidence("shard named", gone[0], _entry(index, gone[0]), expected=others[0]),
            Evidence("shards present", len(others), Location(file=others[0])),
        ],
        fix=_rebuild(index, shards),
    )


def _missing(index: ShardIndex, gone: Sequence[str], total: int) -> Problem:
    missing = set(gone)
    lost = [t for t, f in index.weight_map.items() if f in missing]
    shown = ", ".join(gone[:3]) + (" ..." if len(gone) > 3 else "")
    return Problem(
        f"{len(gone)} of {total} shards are missing ({shown}): {len(lost):,} of {len(index.weight_map):,} "
        "tensors are not "
        f"here (first: {lost[0]}), loading fails",
        because=[Evidence("shard", n, _entry(index, n), expected="present") for n in gone[:5]],
        fix=Fix(f"download {shown}"),
    )


def _hole(source: Source, index: ShardIndex, unnumbered: Sequence[str], shards: ShardSet | None) -> Problem:
    first = unnumbered[0]
    here = source.entry(first) is not None
    rest = "it is here and never read" if here else "it is not here either"
    return Problem(
        f"{index.file} names no tensor of {counted(len(unnumbered), 'shard')} of its own numbering "
        f"(first: {first}, {rest}): "
        "their layers would stay random",
        because=[Evidence("shard without an entry", first, Location(file=index.file, pointer="/weight_map"))],
        fix=_rebuild(index, shards)
        if here
        else Fix(f"find out whether {first} belongs to the model; then rebuild the index"),
        severity=Severity.ERROR if here else Severity.WARNING,
    )


def _tensors(index: ShardIndex, checkpoint: Checkpoint, shards: ShardSet | None) -> Iterator[Problem]:
    where: dict[str, set[str]] = {}
    for file in checkpoint.files:
        for tensor in file.tensors:
            where.setdefault(tensor.name, set()).add(file.path)
    lost = [n for n in index.weight_map if n not in where]
    grave = [n for n in lost if not _BENIGN.fullmatch(n)]
    if lost:
        name = (grave or lost)[0]
        yield Problem(
            f"{counted(len(lost), 'tensor')} that {index.file} names in no shard (first: {name}, "
            f"{index.weight_map[name]})" + ("" if grave else ": loaders do without them"),
            because=[_mapped(index, n, "nowhere") for n in (grave or lost)[:5]],
            fix=Fix("save the model again, or download the shards that belong to this index"),
            severity=Severity.ERROR if grave else Severity.NOTE,
        )
    moved = [n for n, f in index.weight_map.items() if n in where and f not in where[n]]
    if moved:
        yield Problem(
            f"{counted(len(moved), 'tensor')} in another shard than {index.file} says (first: {moved[0]}): "
            "transformers finds them, "
            "loaders that look them up by name do not",
            because=[_mapped(index, n, min(where[n])) for n in moved[:5]],
            fix=_rebuild(index, shards),
            severity=Severity.WARNING,
        )
    extra = [n for n in where if n not in index.weight_map]
    if extra:
        yield Problem(
            f"{counted(len(extra), 'tensor')} of the shards not in {index.file} (first: {extra[0]}): transformers 4 "
            "reports them "
            "missing, loaders that go by the index never read them",
            because=[Evidence("tensor without an entry", n, Location(file=min(where[n]), tensor=n)) for n in extra[:5]],
            fix=_rebuild(index, shards),
            severity=Severity.WARNING,
        )
    stored = sum(t.nbytes for f in checkpoint.files for t in f.tensors)
    if index.total_size is not None and not lost and index.total_size.value != stored:
        yield Problem(
            f"{index.file} gives the weights {index.total_size.value:,} bytes, the shards hold {stored:,}: "
            "stale, and harmless",
            because=[Evidence("total_size (bytes)", index.total_size.value, index.total_size.at, expected=stored)],
            severity=Severity.NOTE,
        )


def _rebuild(index: ShardIndex | None, shards: ShardSet | None, text: str = _REBUILD) -> Fix:
    """The index as the headers of a complete set of shards give it; only words where there is no such set."""
    if shards is None or (index is not None and index.file != shards.index):
        return Fix(text)
    return Fix(text, (Rewriting(file=shards.index, content=shards.index_text()),))


def _mapped(index: ShardIndex, name: str, found: str) -> Evidence:
    at = Location(file=index.file, pointer=f"/weight_map/{escape(name)}")
    return Evidence("shard of the tensor", index.weight_map[name], at, expected=found)


def _shadowed(source: Source, index: ShardIndex, checkpoint: Checkpoint) -> Iterator[Problem]:
    """A single file and an index of other files: transformers takes the file, vLLM the index."""
    single = checkpoint.files[0].path
    named = set(index.files())
    if single in named or index.file != f"{single}.index.json":
        return
    here = named & {f.path for f in source.files}
    yield Problem(
        f"{single} is here and {index.file} names {len(named)} other files, {len(here)} of them present: "
        "transformers loads the "
        "former, vLLM the latter",
        because=[
            Evidence("files named", len(named), Location(file=index.file, pointer="/weight_map")),
            Evidence("single file (bytes)", checkpoint.files[0].size, checkpoint.files[0].at),
        ],
        fix=Fix(f"remove {index.file}, and the shards if they are the older copy"),
        severity=Severity.WARNING,
    )
