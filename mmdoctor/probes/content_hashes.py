"""SHA-256 of downloaded weights against the one that Hugging Face's cache keeps beside or in their names."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, ContentHash, ContentHashes
from mmdoctor.facts.source import Depth, Source
from mmdoctor.progress import Progress
from mmdoctor.readers.regular import open_regular

BUFFER = 1 << 22
"""Bytes read at once."""
WORKERS = 4
"""Files read at a time; OpenSSL's SHA-256 works at 1 to 2 GB/s a thread and releases the interpreter."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_METADATA = ".cache/huggingface/download/{}.metadata"
"""Of a download into a plain folder: commit, etag and time, a line each (huggingface_hub/_local_folder.py)."""


def content_hashes(
    checkpoint: Checkpoint, source: Source, depth: Depth, progress: Progress | None = None
) -> ContentHashes:
    """Hash every weight file of which the download recorded the hash.

    In the cache a large file's blob is named by its SHA-256 (huggingface_hub/file_download.py, `etag`); blobs of small
    files have 40 digits, git's own hash, and are left out.

    Raises:
        NotApplicable: no hash was recorded, or the depth is `headers`.
        Unavailable: a file cannot be read.
    """
    expected = dict(_expected(checkpoint, source))
    if not expected:
        raise NotApplicable("no SHA-256 of the weights was recorded by the download")
    if not depth.covers(Depth.WEIGHTS):
        raise NotApplicable("needs --depth weights: every byte of the weights is read")
    from concurrent.futures import ThreadPoolExecutor

    watched = progress or Progress()
    watched.start(f"hashing {len(expected)} files", sum(f.size for f in checkpoint.files if f.path in expected))
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        computed = list(pool.map(lambda path: _sha256(source.absolute(path), watched), expected))
    return ContentHashes(
        files=tuple(
            ContentHash(file=path, recorded=recorded, computed=found)
            for (path, recorded), found in zip(expected.items(), computed, strict=True)
        )
    )


def _expected(checkpoint: Checkpoint, source: Source) -> Iterator[tuple[str, str]]:
    for file in checkpoint.files:
        entry = source.entry(file.path)
        if entry is None or entry.problem is not None:
            continue
        blob = (entry.link or "").rpartition("/")[2]
        if _SHA256.fullmatch(blob):
            yield file.path, blob
        elif (noted := _noted(source, file.path)) is not None:
            yield file.path, noted


def _noted(source: Source, path: str) -> str | None:
    entry = source.entry(_METADATA.format(path))
    if entry is None or entry.problem is not None or entry.size > 4096:
        return None
    lines = entry.head.decode("ascii", "replace").splitlines()
    return lines[1] if len(lines) > 1 and _SHA256.fullmatch(lines[1]) else None


def _sha256(path: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    try:
        with open_regular(path) as content:
            at = 0
            while chunk := content.pread(at, BUFFER):
                digest.update(chunk)
                at += len(chunk)
                progress.advance(len(chunk))
    except OSError as error:
        raise Unavailable(f"{path.name} cannot be read to its end: {error.strerror}") from None
    return digest.hexdigest()
