"""What was handed in: a file or a folder, and what each file is by its first bytes."""

import enum
from pathlib import Path

import msgspec


class FileKind(enum.StrEnum):
    """What a file is, told by magic bytes, never by suffix."""

    SAFETENSORS = "safetensors"
    TORCH_ZIP = "torch zip"
    TORCHSCRIPT = "TorchScript"
    TORCH_EXPORT = "torch.export"
    TORCH_PACKAGE = "torch.package"
    TORCH_LEGACY = "torch legacy pickle"
    PICKLE = "pickle"
    GGUF = "GGUF"
    GGML = "GGML"
    ONNX = "ONNX"
    TFLITE = "TFLite"
    NUMPY = "NumPy array"
    NUMPY_ARCHIVE = "NumPy archive"
    HDF5 = "HDF5"
    KERAS = "Keras archive"
    CTRANSLATE2 = "CTranslate2"
    ZIP = "zip"
    TAR = "tar"
    COMPRESSED = "compressed"
    SENTENCEPIECE = "SentencePiece"
    JSON = "JSON"
    LFS_POINTER = "Git LFS pointer"
    HTML = "HTML page"
    TEXT = "text"
    EMPTY = "empty"
    UNKNOWN = "unknown"


WEIGHT_KINDS = frozenset(
    {FileKind.SAFETENSORS, FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT, FileKind.TORCH_EXPORT, FileKind.TORCH_PACKAGE}
    | {FileKind.TORCH_LEGACY, FileKind.PICKLE, FileKind.GGUF, FileKind.GGML, FileKind.ONNX, FileKind.TFLITE}
    | {FileKind.NUMPY, FileKind.NUMPY_ARCHIVE, FileKind.HDF5, FileKind.KERAS, FileKind.CTRANSLATE2}
)
"""Kinds that hold, or can hold, trained weights."""


class FileProblem(enum.StrEnum):
    """Why a directory entry could not be opened as a file."""

    DANGLING = "dangling link"
    LOOP = "link loop"
    OUTSIDE = "link leads out of the artefact"
    UNREADABLE = "not readable"
    SPECIAL = "not a regular file"


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the artefact."""

    path: str
    """Relative to the root, with forward slashes."""
    kind: FileKind
    size: int
    """Bytes; 0 where the file cannot be opened."""
    link: str | None = None
    """Target of a symbolic link as written, not resolved."""
    problem: FileProblem | None = None
    head: bytes = b""
    """The first bytes, at most 512: enough for a pointer or an error page to be quoted."""

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        """The folder within the artefact, empty for the top level."""
        return self.path.rpartition("/")[0]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The artefact as found on disk. Everything else is read from it, lazily."""

    root: Path
    """Absolute folder; of a single file, the folder it lies in (nothing else there is opened)."""
    name: str
    """What the user called it: last component of the path."""
    files: tuple[FileEntry, ...]
    """All files to a bounded depth, sorted by path; of a single file, just that one."""
    single: str | None = None
    """Relative path of the file when one file was handed in, else None."""
    truncated: bool = False
    """Whether the listing stopped at its limit."""
    bundled: bool = False
    """Whether it is the reference model that ships with mmdoctor."""

    def entry(self, path: str) -> FileEntry | None:
        """The file at that relative path, or None."""
        return next((f for f in self.files if f.path == path), None)

    def top(self) -> tuple[FileEntry, ...]:
        """The files of the top level only."""
        return tuple(f for f in self.files if "/" not in f.path)

    def absolute(self, path: str) -> Path:
        """Where a listed file lies. Only paths that the listing contains are ever opened."""
        if self.entry(path) is None:
            raise KeyError(path)
        return self.root / path


class Depth(enum.StrEnum):
    """How deep a check may look; each level includes the ones before."""

    HEADERS = "headers"
    WEIGHTS = "weights"
    RUN = "run"

    def covers(self, other: "Depth") -> bool:
        """Whether this level includes the other."""
        order = list(Depth)
        return order.index(self) >= order.index(other)
