"""Paths that hold nothing to check, and what to give instead."""

from pathlib import Path

from mmdoctor.errors import NothingToCheckError
from mmdoctor.facts.source import WEIGHT_KINDS, FileEntry, FileKind, Source
from mmdoctor.readers.names import SIDE_FILES, clean_name, is_model_name, is_weight_name

_SHOWN = 6
"""Folders named in a message."""


def refuse_file(entry: FileEntry, given: Path) -> None:
    """Stop where a single file is not something to check by itself.

    Raises:
        NothingToCheckError: it is not a weight file, nor named like one.
    """
    if entry.kind in WEIGHT_KINDS or is_weight_name(entry.name) or _named_for_weights(entry.name):
        return
    if is_model_name(entry.name):
        folder = given.parent
        raise NothingToCheckError(f"{given} is one file of a model: give its folder, `mmdoctor check {folder}`")
    if entry.kind is FileKind.EMPTY:
        raise NothingToCheckError(f"{given} is empty (0 bytes)")
    if entry.kind is FileKind.COMPRESSED:
        raise NothingToCheckError(f"{given} is compressed: unpack it first")
    if entry.kind in (FileKind.ZIP, FileKind.TAR):
        raise NothingToCheckError(f"{given} is a {entry.kind} archive that holds no PyTorch model: unpack it first")
    raise NothingToCheckError(
        f"{given} ({entry.kind}, {entry.size:,} bytes) is no weight file that mmdoctor knows: "
        "give safetensors, PyTorch, GGUF, or a model's folder"
    )


def refuse_folder(source: Source) -> None:
    """Stop where a folder holds no model at its top level.

    Raises:
        NothingToCheckError: the message names the folders below that do, if any.
    """
    top = source.top()
    names = {f.name for f in top}
    if "model_index.json" in names:
        parts = _model_folders(source)
        raise NothingToCheckError(
            f"{source.name} is a Diffusers pipeline: check its components one by one{_commands(source, parts)}"
        )
    if any(_belongs_to_model(f) for f in top):
        return
    inside = _model_folders(source)
    if inside:
        raise NothingToCheckError(
            f"{source.name} holds no model itself: give one of its folders{_commands(source, inside)}"
        )
    if not source.files:
        raise NothingToCheckError(f"{source.root} is empty: give a weight file or a model's folder")
    raise NothingToCheckError(
        f"{source.root} holds no model ({len(source.files):,} files, none of them weights or a model's configuration): "
        "give a weight file or a model's folder"
    )


def _belongs_to_model(entry: FileEntry) -> bool:
    if SIDE_FILES.fullmatch(entry.name):
        return False
    return entry.kind in WEIGHT_KINDS or is_model_name(entry.name) or _named_for_weights(entry.name)


def _named_for_weights(name: str) -> bool:
    clean = clean_name(name)
    return clean is not None and is_weight_name(clean)


def _model_folders(source: Source) -> tuple[str, ...]:
    """Folders with a model, shallowest first."""
    found = [f for f in source.files if f.folder not in ("", "blobs") and not f.folder.startswith(".")]
    folders = {f.folder for f in found if _belongs_to_model(f)}
    weighty = {f.folder for f in source.files if f.kind in WEIGHT_KINDS or is_weight_name(f.name)}
    return tuple(sorted(folders, key=lambda f: (f not in weighty, f.count("/"), f)))


def _commands(source: Source, folders: tuple[str, ...]) -> str:
    if not folders:
        return ""
    shown = ", ".join(str(source.root / f) for f in folders[:_SHOWN])
    more = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
    return f": {shown}{more}"
