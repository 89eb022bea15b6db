"""INT006."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import ShardIndex
from mmdoctor.facts.source import FileEntry, Source
from mmdoctor.finding import Evidence, Fix, Problem, Renaming, Severity
from mmdoctor.location import Location
from mmdoctor.readers.names import SHARD, clean_name, is_model_name, is_weight_name, unfinished


@check("INT006", Severity.ERROR)
def shard_misnamed(source: Source, index: ShardIndex | None) -> Iterator[Problem]:
    """A downloaded file has a name that no loader looks for.

    ## What it checks
    Names that browsers, wget, curl and aria2 leave: `model-00004-of-00005.safetensors?download=true`, `model
    (1).safetensors`, `model.safetensors.1`, `.part`, `.crdownload`. It is an error where the proper name is missing
    (the index names it, its numbered set lacks it, or it would be the model's only weights), and a note where the
    proper file is there too.

    ## Why it matters
    Engines take `*.safetensors` by pattern and do not verify that every parameter was loaded. vLLM starts without the
    shard and answers `!!!!`; transformers stops with a missing file.

    ## How to fix it
    Rename the file to its proper name. If it is an unfinished download, download it again instead.

    ## Sources
    - https://github.com/QwenLM/Qwen3-VL/issues/71
    - https://github.com/vllm-project/vllm/issues/53537
    - https://github.com/huggingface/huggingface_hub/issues/2197
    """
    names = {f.name for f in source.top()}
    wanted = {name.rpartition("/")[2] for name in index.files()} if index else set()
    any_weights = any(is_weight_name(name) and clean_name(name) is None for name in names)
    lost: list[tuple[FileEntry, str]] = []
    spare: list[tuple[FileEntry, str]] = []
    for entry in source.top():
        clean = clean_name(entry.name)
        if clean is None or not (is_model_name(clean) or clean in wanted):
            continue
        if clean in names:
            spare.append((entry, clean))
        elif clean in wanted or SHARD.fullmatch(clean) or not any_weights or not is_weight_name(clean):
            lost.append((entry, clean))
        else:
            yield _lost([(entry, clean)], Severity.WARNING)
    if lost:
        yield _lost(lost, Severity.ERROR)
    if spare:
        entry, clean = spare[0]
        more = f" and {len(spare) - 1} more" if len(spare) > 1 else ""
        yield Problem(
            f"{entry.path}{more} looks like a second download of {clean}: no loader takes it, {entry.size:,} "
            "bytes lie idle",
            because=[Evidence("file name", e.path, Location(file=e.path)) for e, _ in spare],
            severity=Severity.NOTE,
        )


def _lost(found: list[tuple[FileEntry, str]], severity: Severity) -> Problem:
    entry, clean = found[0]
    what = f"{len(found)} files are" if len(found) > 1 else "a file is"
    broken = [e for e, _ in found if unfinished(e.name)]
    if broken:
        fix = Fix(f"download {found[0][1]} again: {broken[0].path} was not finished")
    else:
        places = [c for _, c in found]
        renamings = tuple(Renaming(file=e.path, to=c) for e, c in found) if len({*places}) == len(places) else ()
        fix = Fix("; ".join(f"mv '{e.path}' '{c}'" for e, c in found[:5]), renamings)
    return Problem(
        f"{what} there under a name that no loader looks for: {entry.path} instead of {clean}; its content is "
        "not loaded",
        because=[Evidence("file name", e.path, Location(file=e.path), expected=c) for e, c in found],
        fix=fix,
        severity=severity,
    )
