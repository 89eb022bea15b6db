"""Tensors and the files that hold them, as their headers tell."""

import enum
import math
from collections.abc import Mapping

import msgspec

from mmdoctor.facts.documents import BrokenDocument
from mmdoctor.facts.dtypes import dtype
from mmdoctor.facts.gguf import GgufMetadata
from mmdoctor.facts.pickles import PickleProgram
from mmdoctor.facts.source import FileKind
from mmdoctor.location import Location, Reading


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """One stored tensor."""

    name: str
    dtype: str
    """Canonical name, see `mmdoctor.facts.dtypes`."""
    shape: tuple[int, ...]
    """Row-major, outermost first; GGUF's reversed order is already turned round."""
    file: str
    """Weight file, relative to the artefact."""
    nbytes: int
    """Bytes that the elements take in the file (of the view, not of a larger shared storage)."""
    start: int | None = None
    """Absolute offset of the first byte in the file; None where the data is compressed or not contiguous."""
    storage: str | None = None
    """Key of the storage that tensors of a pickle share; None elsewhere."""
    contiguous: bool = True
    """Whether the elements lie row-major without gaps."""
    device: str | None = None
    """Device that the tensor was saved from, such as `cuda:3`; pickles only."""

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def at(self) -> Location:
        """Where it is."""
        return Location(file=self.file, tensor=self.name)

    @property
    def is_float(self) -> bool:
        """Whether it holds plain floating point numbers."""
        return dtype(self.dtype).kind == "float"


class DamageKind(enum.StrEnum):
    """The closed set of what can be wrong with a weight file, whatever its format."""

    HEADER_TOO_SMALL = "header too small"
    HEADER_TOO_LARGE = "header too large"
    HEADER_NOT_JSON = "header is not JSON"
    HEADER_INVALID = "header is invalid"
    TRUNCATED = "truncated"
    TRAILING_BYTES = "trailing bytes"
    OVERLAP = "tensors overlap"
    GAP = "gap between tensors"
    SIZE_MISMATCH = "byte range does not fit shape and dtype"
    UNKNOWN_DTYPE = "unknown dtype"
    DUPLICATE_NAME = "duplicate tensor name"
    NO_CENTRAL_DIRECTORY = "no central directory"
    MEMBER_MISSING = "archive member missing"
    MEMBER_SIZE = "archive member has another size"
    MEMBER_NAME = "unsafe archive member name"
    MEMBER_HEADER = "archive member's two headers disagree"
    MEMBER_HIDDEN = "archive member that the directory does not list"
    MEMBER_UNREADABLE = "archive member cannot be unpacked"
    PICKLE_BROKEN = "pickle is broken"
    PICKLE_TOO_COMPLEX = "pickle exceeds the limits"
    UNSUPPORTED_VERSION = "unsupported version"


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a weight file, with the numbers of both sides."""

    kind: DamageKind
    message: str
    """One clause with numbers: `the file has 288,571,596 of 577,143,192 bytes`."""
    observed: int | str | None = None
    expected: int | str | None = None
    offset: int | None = None
    """Byte offset in the file."""
    tensors: tuple[str, ...] = ()
    """Names of the tensors concerned, in file order."""


class TensorGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A dictionary of tensors inside a training checkpoint: the model, an average of it, the optimizer."""

    path: str
    """Keys down to the dictionary, such as `state_dict` or `optimizer.state`; empty for the top level."""
    role: str
    """`model`, `ema`, `optimizer` or `other`."""
    count: int
    """Tensors."""
    parameters: int
    """Elements."""
    nbytes: int
    """Bytes, shared storages once."""


class WeightFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file with weights: what its header says, and what is wrong with it."""

    path: str
    kind: FileKind
    size: int
    """Bytes."""
    tensors: tuple[Tensor, ...] = ()
    """The tensors of the model in file order; of a training checkpoint, those of `group`."""
    metadata: Mapping[str, str] = {}
    """The header's own key-value pairs, shortened."""
    damage: tuple[Damage, ...] = ()
    group: str = ""
    """Path of the dictionary that `tensors` come from; empty for a plain state dict."""
    groups: tuple[TensorGroup, ...] = ()
    """All dictionaries of tensors found, largest first; empty for formats without nesting."""
    program: PickleProgram | None = None
    """What the pickle inside would do, if there is one."""
    gguf: GgufMetadata | None = None
    """What the key-value pairs of a GGUF file say; None for other formats."""
    note: str | None = None
    """What this format means for the user, where mmdoctor only recognises it."""

    @property
    def at(self) -> Location:
        """The file as a place."""
        return Location(file=self.path)


class ShardIndex(msgspec.Struct, frozen=True, kw_only=True):
    """`*.index.json`: which tensor is in which shard."""

    file: str
    weight_map: Mapping[str, str]
    """Tensor name to file name."""
    total_size: Reading[int] | None = None
    """`metadata.total_size` in bytes, often stale."""
    problems: tuple[str, ...] = ()
    """What keeps loaders from using the index at all: no `metadata`, no `weight_map`, values that are not names."""
    broken: BrokenDocument | None = None
    """Why the file is no JSON that loaders read; then nothing else of it is known."""

    def files(self) -> tuple[str, ...]:
        """The files that the index names, in order of first mention."""
        return tuple(dict.fromkeys(self.weight_map.values()))


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The weights that a loader would take: the single file, or the shards of the index."""

    files: tuple[WeightFile, ...]
    """The files that load, in order."""
    tensors: Mapping[str, Tensor]
    """By name, over all files; where a name stands twice the first file wins."""
    index: ShardIndex | None = None
    ignored: tuple[str, ...] = ()
    """Other weight files at the top level that a loader leaves alone, such as `consolidated.safetensors`."""
    gaps: tuple[str, ...] = ()
    """Why tensors may be unknown: a missing shard, an unreadable header. Empty when all headers were read."""

    @property
    def parameters(self) -> int:
        """Elements of all tensors; packed quantised ones count as stored."""
        return sum(t.numel for t in self.tensors.values())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors."""
        return sum(t.nbytes for t in self.tensors.values())


class CompleteCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint of which every header was read, so that absence means something."""

    checkpoint: Checkpoint


class ShardSet(msgspec.Struct, frozen=True, kw_only=True):
    """A complete numbered set of shards of which every header was read."""

    index: str
    """Name that the index of such a set has."""
    files: tuple[WeightFile, ...]
    """In order of their numbers."""

    def index_text(self) -> str:
        """The content of the index, as transformers writes it."""
        where = {tensor.name: file.path for file in self.files for tensor in file.tensors}
        total = sum(tensor.nbytes for file in self.files for tensor in file.tensors)
        content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
        return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


class ChecksumMismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A member of a zip archive whose bytes do not give the CRC-32 that the archive records."""

    file: str
    member: str
    stored: int
    """CRC-32 in the central directory."""
    computed: int
    """CRC-32 of the bytes."""
    tensors: tuple[str, ...] = ()
    """Names of the tensors in that member."""


class Checksums(msgspec.Struct, frozen=True, kw_only=True):
    """CRC-32 of every zip member, computed by reading every byte once. Depth: weights."""

    members: int
    """Members read."""
    nbytes: int
    """Bytes read."""
    mismatches: tuple[ChecksumMismatch, ...] = ()
    unrecorded: int = 0
    """Members without a recorded checksum."""


class ContentHash(msgspec.Struct, frozen=True, kw_only=True):
    """SHA-256 of a file, in hexadecimal digits."""

    file: str
    recorded: str
    """By the download."""
    computed: str
    """Of the bytes that are there."""


class ContentHashes(msgspec.Struct, frozen=True, kw_only=True):
    """Every weight file of which a download recorded the hash, hashed. Depth: weights."""

    files: tuple[ContentHash, ...]
