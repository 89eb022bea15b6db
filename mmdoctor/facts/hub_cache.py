"""Traces that Hugging Face's downloader leaves around a model's files."""

import msgspec


class PartialDownload(msgspec.Struct, frozen=True, kw_only=True):
    """A download that was not finished."""

    name: str
    """File name, such as `2d7a...e1.incomplete`."""
    size: int
    """Bytes that arrived."""
    newer: bool
    """Whether it was written to after every file of the artefact."""


class HubCache(msgspec.Struct, frozen=True, kw_only=True):
    """The cache that a snapshot lies in, or the `.cache/huggingface` folder of a download into a plain folder."""

    partial: tuple[PartialDownload, ...] = ()
    """Unfinished downloads, by name."""
    snapshots: int = 1
    """Revisions that share the cache; an unfinished download may belong to any of them."""
    repository: str | None = None
    """Name on the hub, such as `Qwen/Qwen2.5-VL-7B-Instruct`, where the cache tells."""
