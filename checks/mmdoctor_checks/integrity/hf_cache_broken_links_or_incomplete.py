"""INT020."""

from collections.abc import Iterator, Sequence

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint, ShardIndex
from mmdoctor.facts.hub_cache import HubCache
from mmdoctor.facts.source import WEIGHT_KINDS, FileEntry, FileProblem, Source
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location
from mmdoctor.readers.names import is_model_name, is_twin_name, is_weight_name
from mmdoctor.wording import counted

_BROKEN = (FileProblem.DANGLING, FileProblem.LOOP, FileProblem.SPECIAL)
_SHOWN = 8


@check("INT020", Severity.ERROR)
def hf_cache_broken_links_or_incomplete(
    source: Source, cache: HubCache | None, checkpoint: Checkpoint | None, index: ShardIndex | None
) -> Iterator[Problem]:
    """Files of the model are links to nowhere, or their download was not finished.

    ## What it checks
    Every model file that is a broken link, a link to itself, or no regular file; files that this user may not read;
    links that lead out of the folder to something that is no model file; and `*.incomplete` files of the downloader.
    Links that resolve are fine. Unfinished downloads count only where the model lacks files: one cache serves many
    revisions.

    ## Why it matters
    `snapshots/*` of Hugging Face's cache are links to `../../blobs`. Copied with `cp -a`, put into an image or
    mounted without `blobs`, they lead nowhere, and the loader says that there is no file named model.safetensors, or
    downloads everything again.

    ## How to fix it
    Copy with `cp -aL`, mount the whole cache, or download with `hf download NAME --local-dir FOLDER`.

    ## Sources
    - https://github.com/huggingface/huggingface_hub/issues/1388
    - https://github.com/huggingface/huggingface_hub/issues/2742
    - https://github.com/infiniflow/ragflow/issues/3584
    - https://github.com/huggingface/transformers/issues/22228
    """
    loads = checkpoint is not None and bool(checkpoint.tensors)
    unusable = [f for f in source.files if f.problem is not None]
    needed = [
        f for f in unusable if "/" not in f.path and is_model_name(f.name) and not (loads and is_twin_name(f.name))
    ]
    broken = [f for f in needed if f.problem in _BROKEN]
    if broken:
        yield _broken(broken)
    for problem, severity in ((FileProblem.UNREADABLE, Severity.ERROR), (FileProblem.OUTSIDE, Severity.WARNING)):
        files = [f for f in needed if f.problem is problem]
        if files:
            yield _unopened(files, severity)
    known = {f.path for f in needed}
    rest = [f for f in unusable if f.path not in known]
    if rest:
        yield Problem(
            f"{counted(len(rest), 'file')} that the model does not need and that cannot be opened "
            f"(first: {rest[0].path}: "
            f"{rest[0].problem})",
            because=_evidence(rest),
            severity=Severity.NOTE,
        )
    if cache is not None and cache.partial:
        yield from _partial(cache, _lacking(source, index))


def _broken(files: Sequence[FileEntry]) -> Problem:
    in_cache = any("blobs/" in (f.link or "") for f in files)
    fix = Fix(
        "copy the model with `cp -aL`, mount the whole cache folder, or run `hf download NAME --local-dir FOLDER`"
    )
    if not in_cache:
        fix = Fix("put the files themselves in place of the links")
    first = files[0]
    target = f" to {first.link}" if first.link else ""
    what = "files of the model cannot be opened" if len(files) > 1 else "file of the model cannot be opened"
    return Problem(
        f"{len(files)} {what} (first: {first.path}, a {first.problem}{target}): loading fails or downloads them again"
        if first.problem is not FileProblem.SPECIAL
        else f"{len(files)} {what} (first: {first.path}, {first.problem}): loading fails or hangs",
        because=_evidence(files),
        fix=fix,
    )


def _unopened(files: Sequence[FileEntry], severity: Severity) -> Problem:
    fix = Fix("give the user that serves the model permission to read them")
    if files[0].problem is FileProblem.OUTSIDE:
        fix = Fix("put the files themselves in place of the links")
    return Problem(
        f"{counted(len(files), 'file')} of the model not read (first: {files[0].path}: {files[0].problem})",
        because=_evidence(files),
        fix=fix,
        severity=severity,
    )


def _evidence(files: Sequence[FileEntry]) -> list[Evidence]:
    return [Evidence("file", f.problem, Location(file=f.path), expected=f.link) for f in files[:_SHOWN]]


def _lacking(source: Source, index: ShardIndex | None) -> str | None:
    """What the model lacks that an unfinished download may have been; None where it is complete."""
    if index is not None and index.broken is None:
        listed = {f.path for f in source.files}
        gone = [name for name in index.files() if name not in listed]
        return f"{len(gone)} of {len(index.files())} shards are missing" if gone else None
    if any(f.kind in WEIGHT_KINDS or is_weight_name(f.name) for f in source.top()):
        return None
    return "there are no weights"


def _partial(cache: HubCache, lacking: str | None) -> Iterator[Problem]:
    first = cache.partial[0]
    count = f"{len(cache.partial)} downloads were" if len(cache.partial) > 1 else "a download was"
    because = [Evidence("bytes that arrived", p.size, Location(file=p.name)) for p in cache.partial[:_SHOWN]]
    name = cache.repository or "NAME"
    fix = Fix(f"finish it: `hf download {name}`, after making room on the disk")
    if lacking:
        yield Problem(
            f"{lacking} and {count} not finished ({first.name}, {first.size:,} bytes)", because=because, fix=fix
        )
        return
    recent = any(p.newer for p in cache.partial) and cache.snapshots == 1
    yield Problem(
        f"{count} not finished ({first.name}, {first.size:,} bytes); the weights of this revision are complete",
        because=because,
        fix=fix,
        severity=Severity.WARNING if recent else Severity.NOTE,
    )
