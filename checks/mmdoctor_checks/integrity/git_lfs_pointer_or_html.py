"""INT001."""

import re
from collections.abc import Collection, Iterator, Sequence

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location
from mmdoctor.readers.names import SIDE_FILES, is_twin_name, is_weight_name
from mmdoctor.readers.placeholder import POINTER, placeholder

_SIZE = re.compile(rb"^size (\d{1,18})$", re.MULTILINE)
_SHOWN = 12


@check("INT001", Severity.ERROR)
def git_lfs_pointer_or_html(source: Source, checkpoint: Checkpoint | None) -> Iterator[Problem]:
    """A file holds a placeholder or an error page instead of its content.

    ## What it checks
    The first bytes of every weight, tokenizer and JSON file: a Git LFS pointer, HTML or XML, a JSON or plain text
    error message of a server, no bytes at all, or nothing but zeros.

    ## Why it matters
    A clone without git-lfs leaves pointers of about 130 bytes, a gated or moved download leaves the page that says
    so. The loaders' messages hide it: `HeaderTooLarge`, `invalid load key, 'v'`, `Unsupported operand 118`, `expected
    value at line 1 column 1`. The size alone says nothing: healthy weights may be tiny, so only content counts.

    ## How to fix it
    `git lfs install && git lfs pull` in the clone, or download with `hf download OWNER/NAME`; for a gated repository
    log in first (`hf auth login`) and accept its terms.

    ## Sources
    - https://github.com/microsoft/OmniParser/issues/34
    - https://github.com/deepseek-ai/DeepSeek-V3/issues/557
    - https://github.com/huggingface/transformers/issues/27923
    - https://github.com/pytorch/pytorch/issues/150998
    """
    wrong = [(f, what) for f in source.files if f.problem is None and (what := placeholder(f))]
    loads = {f.path for f in checkpoint.files} if checkpoint is not None and checkpoint.tensors else set()
    needed = [(f, what) for f, what in wrong if _needed(f, loads)]
    pointers = [f for f, what in needed if what == POINTER]
    others = [(f, what) for f, what in needed if what != POINTER]
    if pointers:
        yield _pointers(pointers)
    if others:
        yield _others(others)
    if len(needed) < len(wrong):
        spare = [(f, what) for f, what in wrong if not _needed(f, loads)]
        message = f"{_files([f for f, _ in spare])} no content, and nothing here needs it: {spare[0][1]}"
        yield Problem(message, because=_evidence(spare), severity=Severity.NOTE)


def _needed(entry: FileEntry, loads: Collection[str]) -> bool:
    """Whether the model lacks it; a copy in another format beside weights that load is not missed."""
    if entry.folder or SIDE_FILES.fullmatch(entry.name):
        return False
    return not (loads and entry.path not in loads and is_weight_name(entry.name) and is_twin_name(entry.name))


def _pointers(files: Sequence[FileEntry]) -> Problem:
    sizes = [int(m[1]) for f in files if (m := _SIZE.search(f.head))]
    total = f", {sum(sizes):,} bytes were never downloaded" if sizes else ""
    evidence = []
    for entry in files[:_SHOWN]:
        match = _SIZE.search(entry.head)
        real = f"{int(match[1]):,} bytes" if match else None
        evidence.append(Evidence("size (bytes)", f"{entry.size:,}, a Git LFS pointer", _at(entry), expected=real))
    return Problem(
        f"{_files(files)} a Git LFS pointer instead of the content{total}: loading fails",
        because=evidence,
        fix=Fix("run `git lfs install && git lfs pull` in the clone, or download the files with `hf download`"),
    )


def _others(found: Sequence[tuple[FileEntry, str]]) -> Problem:
    entry, what = found[0]
    more = f" (first: {entry.path}: {what})" if len(found) > 1 else f": {what}"
    return Problem(
        f"{_files([f for f, _ in found])} no usable content{more}; loading fails",
        because=_evidence(found),
        fix=Fix("download these files again; if the repository is gated, log in first with `hf auth login`"),
    )


def _evidence(found: Sequence[tuple[FileEntry, str]]) -> list[Evidence]:
    return [Evidence("content", _quote(f, what), _at(f)) for f, what in found[:_SHOWN]]


def _quote(entry: FileEntry, what: str) -> str:
    if entry.kind not in (FileKind.HTML, FileKind.JSON, FileKind.TEXT):
        return what
    text = " ".join(entry.head[:80].decode("utf-8", "replace").split())
    return f"{what}: {text}"


def _files(files: Sequence[FileEntry]) -> str:
    return f"{files[0].path} holds" if len(files) == 1 else f"{len(files)} files hold"


def _at(entry: FileEntry) -> Location:
    return Location(file=entry.path)
