"""A complete numbered set of shards, whatever the index says: what an index can be rebuilt from."""

from collections.abc import Iterable

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, ShardSet, WeightFile
from mmdoctor.facts.source import WEIGHT_KINDS, FileEntry, Source
from mmdoctor.readers.checkpoint import read_header
from mmdoctor.readers.names import SHARD, shards_missing

_SUFFIXES = (".safetensors", ".bin")
"""Formats whose shards need an index, the preferred one first."""


def shard_set(source: Source, checkpoint: Checkpoint | None) -> ShardSet:
    """The complete set of shards at the top level with every tensor of theirs.

    Raises:
        NotApplicable: there is none, or there are several.
        Unavailable: a header cannot be read.
    """
    chosen = _complete(source)
    known = {f.path: f for f in checkpoint.files} if checkpoint is not None else {}
    files: list[WeightFile] = []
    for entry in chosen:
        file, gap = (known[entry.path], None) if entry.path in known else read_header(source, entry)
        if gap or file.damage:
            raise Unavailable(gap or f"{file.path}: {file.damage[0].message}")
        files.append(file)
    match = SHARD.fullmatch(chosen[0].name)
    assert match is not None
    return ShardSet(index=f"{match['stem']}{match['rest']}.index.json", files=tuple(files))


def _complete(source: Source) -> list[FileEntry]:
    if source.single is not None:
        raise NotApplicable("a single file was given")
    sets: dict[tuple[str, str, str], list[FileEntry]] = {}
    for entry in source.top():
        match = SHARD.fullmatch(entry.name)
        if match and entry.kind in WEIGHT_KINDS and match["rest"] in _SUFFIXES:
            sets.setdefault((match["rest"], match["stem"], match["count"]), []).append(entry)
    whole = {
        key: entries
        for key, entries in sets.items()
        if len(entries) >= int(key[2]) and not shards_missing(e.name for e in entries)
    }
    for suffix in _SUFFIXES:
        found = [entries for key, entries in whole.items() if key[0] == suffix]
        if len(found) > 1:
            raise NotApplicable(f"there are several sets of shards: {_names(found)}")
        if found:
            return sorted(found[0], key=lambda e: e.name)
    raise NotApplicable("there is no complete numbered set of shards")


def _names(sets: Iterable[list[FileEntry]]) -> str:
    return ", ".join(f"{entries[0].name} ..." for entries in sets)
