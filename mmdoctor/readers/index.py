"""`*.index.json`: which tensor is in which shard. Its file names are compared with the listing, never opened."""

import msgspec

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import ShardIndex
from mmdoctor.facts.documents import BrokenDocument
from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.location import Location, Reading
from mmdoctor.readers.json_text import BrokenTextError, refuse_unreadable, where_text_breaks
from mmdoctor.readers.regular import open_regular
from mmdoctor.wording import counted

MAX_INDEX_BYTES = 64 * 2**20
"""Bytes of an index; the largest known (DeepSeek-V3, 91,000 tensors) has 9 MB."""
MAX_INDEX_COLONS = 300_000
"""Colons of an index, one a tensor: they bound the number of keys before anything is decoded."""

PREFERRED = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""transformers/utils/__init__.py, SAFE_WEIGHTS_INDEX_NAME and WEIGHTS_INDEX_NAME, in the order of trying."""


class _Index(msgspec.Struct):
    weight_map: msgspec.Raw = msgspec.Raw()  # empty where the key is absent
    metadata: msgspec.Raw = msgspec.Raw()


_OUTER = msgspec.json.Decoder(_Index)
_MAP = msgspec.json.Decoder(dict[str, str])
_LOOSE_MAP = msgspec.json.Decoder(dict[str, msgspec.Raw])
_METADATA = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WHOLE = msgspec.json.Decoder(int | float)


class BrokenIndexError(Unavailable):
    """The text is not an index that loaders read; `broken` says why and where."""

    def __init__(self, broken: BrokenDocument) -> None:
        super().__init__(f"{broken.file} cannot be parsed: {broken.reason}")
        self.broken = broken


def shard_index(source: Source) -> ShardIndex:
    """The index that a loader would take.

    Raises:
        NotApplicable: there is none.
        Unavailable: it cannot be opened.
    """
    found = index_entry(source)
    if found is None:
        raise NotApplicable("there is no index of shards")
    try:
        return read_index(source, found)
    except BrokenIndexError as answer:
        return ShardIndex(file=found.path, weight_map={}, broken=answer.broken)


def index_entry(source: Source) -> FileEntry | None:
    """The index at the top level that a loader would take, or None."""
    if source.single is not None:
        return None
    candidates = {f.name: f for f in source.top() if f.name.endswith(".index.json")}
    for name in PREFERRED:
        if name in candidates:
            return candidates[name]
    weighty = (name for name in sorted(candidates) if ".safetensors" in name or ".bin" in name)
    return next((candidates[name] for name in weighty), None)


def read_index(source: Source, entry: FileEntry) -> ShardIndex:
    """Names and files as the index has them, with what is wrong with it.

    Raises:
        BrokenIndexError: it is no JSON object.
        Unavailable: it cannot be opened.
    """
    if entry.problem is not None:
        raise Unavailable(f"{entry.path} cannot be opened: {entry.problem}")
    if entry.kind not in (FileKind.JSON, FileKind.TEXT, FileKind.UNKNOWN):
        raise Unavailable(f"{entry.path} is not JSON but {_article(entry.kind)}")
    try:
        with open_regular(source.root / entry.path) as content:
            if content.size > MAX_INDEX_BYTES:
                raise _too_large(entry, f"{content.size:,} bytes", MAX_INDEX_BYTES)
            data = content.pread(0, content.size)
    except OSError as error:
        raise Unavailable(f"{entry.path} cannot be read: {error.strerror or error}") from None
    if data.count(b":") > MAX_INDEX_COLONS:
        raise _too_large(entry, f"{data.count(b':'):,} entries", MAX_INDEX_COLONS)
    try:
        refuse_unreadable(data, entry.path, MAX_INDEX_BYTES)
        return _parse(data, entry.path)
    except BrokenTextError as error:
        raise BrokenIndexError(error.broken) from None
    except RecursionError:
        raise BrokenIndexError(BrokenDocument(file=entry.path, reason="it is nested too deeply")) from None
    except msgspec.ValidationError:
        reason = "it holds no object, and loaders expect one"
        raise BrokenIndexError(BrokenDocument(file=entry.path, reason=reason, line=1, column=1)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenIndexError(where_text_breaks(data, entry.path, str(error))) from None


def _too_large(entry: FileEntry, size: str, limit: int) -> BrokenIndexError:
    reason = f"it has {size}, more than the {limit:,} that any real index needs"
    return BrokenIndexError(BrokenDocument(file=entry.path, reason=reason))


def _parse(data: bytes, file: str) -> ShardIndex:
    outer = _OUTER.decode(data)
    problems = []
    weights: dict[str, str] = {}
    if not bytes(outer.weight_map):
        problems.append("it has no weight_map")
    else:
        weights, wrong = _weight_map(outer.weight_map)
        problems += wrong
    if not bytes(outer.metadata):
        # transformers reads index["metadata"] without asking, 4.57 and 5.23: utils/hub.py, get_checkpoint_shard_files.
        problems.append("it has no metadata")
    return ShardIndex(
        file=file, weight_map=weights, total_size=_total_size(outer.metadata, file), problems=tuple(problems)
    )


def _weight_map(raw: msgspec.Raw) -> tuple[dict[str, str], list[str]]:
    try:
        return _MAP.decode(raw), []
    except msgspec.ValidationError:
        pass
    try:
        entries = _LOOSE_MAP.decode(raw)
    except msgspec.ValidationError:
        return {}, ["its weight_map is not an object"]
    weights = {}
    for name, value in entries.items():
        if bytes(value).startswith(b'"'):
            weights[name] = msgspec.json.decode(value, type=str)
    return weights, [f"{counted(len(entries) - len(weights), 'value')} of its weight_map instead of a file name"]


def _total_size(raw: msgspec.Raw, file: str) -> Reading[int] | None:
    try:
        value = _WHOLE.decode(_METADATA.decode(raw).get("total_size", msgspec.Raw(b"null")))
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    at = Location(file=file, pointer="/metadata/total_size")
    # transformers 4.5x wrote a float here for a while (`total_size: 16582000000.0`).
    return Reading(int(value), at) if value == value and abs(value) < 2**63 else None


def _article(kind: FileKind) -> str:
    return f"an {kind}" if kind[0] in "aeiouAEIOUH" and kind is not FileKind.HDF5 else f"a {kind}"
