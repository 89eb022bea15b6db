"""Unfinished downloads around an artefact: in the cache of a snapshot, or in a folder's `.cache/huggingface`."""

import os
from pathlib import Path

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.hub_cache import HubCache, PartialDownload
from mmdoctor.facts.source import Source

MAX_BLOBS = 20_000
"""Entries of `blobs` looked at."""


def hub_cache(source: Source) -> HubCache:
    """What the downloader left behind.

    Raises:
        NotApplicable: the artefact does not lie in Hugging Face's cache, and was not downloaded by it into a folder.
    """
    if source.single is not None:
        raise NotApplicable("a single file was given")
    newest = _newest(source)
    root = source.root
    if root.parent.name == "snapshots" and (root.parent.parent / "blobs").is_dir():
        cache = root.parent.parent
        name = cache.name.removeprefix("models--").replace("--", "/") if cache.name.startswith("models--") else None
        return HubCache(
            partial=_partial(cache / "blobs", newest), snapshots=max(1, _folders(root.parent)), repository=name
        )
    download = root / ".cache" / "huggingface" / "download"
    if download.is_dir() and not download.is_symlink():
        return HubCache(partial=_partial(download, newest))
    raise NotApplicable("the folder was not made by Hugging Face's downloader")


def _newest(source: Source) -> float:
    """Time of the latest file, its link's own where it is one."""
    times = [0.0]
    for entry in source.files:
        if not entry.path.startswith("."):
            try:
                times.append(os.lstat(source.root / entry.path).st_mtime)
            except OSError:
                continue
    return max(times)


def _partial(folder: Path, newest: float) -> tuple[PartialDownload, ...]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for count, entry in enumerate(entries):
                if count >= MAX_BLOBS:
                    break
                if entry.name.endswith(".incomplete"):
                    status = entry.stat(follow_symlinks=False)
                    found.append(PartialDownload(name=entry.name, size=status.st_size, newer=status.st_mtime >= newest))
    except OSError:
        return ()
    return tuple(sorted(found, key=lambda p: p.name))


def _folders(folder: Path) -> int:
    try:
        return sum(p.is_dir() for p in folder.iterdir())
    except OSError:
        return 1
