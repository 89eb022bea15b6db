"""DRF010."""

from collections.abc import Iterator, Mapping

import msgspec

from mmdoctor.check import check
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.patches import Areas, PackedInput, PatchGeometry
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Reading

EDGES = {"min_pixels": "shortest_edge", "max_pixels": "longest_edge"}
"""Two names of one number of pixels."""
FEWEST, ALMOST_NONE = 16, 4
"""Visual tokens an image: nobody means fewer than 16 at most; 4 and less tell the model nothing."""
NEAR = 1.1
"""An ignored value that is this close to the one that counts changes nothing."""
SLOW = "Qwen2VLImageProcessor"


class _Limits(msgspec.Struct, frozen=True):
    """What the class works with, and what stands beside it."""

    used: Mapping[str, Reading[int]]
    """`min_pixels` and `max_pixels` to what counts; a class default has the place of its section."""
    beside: Mapping[str, Reading[int]]
    """The same to another value that is stated and does not count."""
    missing: str = ""
    """Why the class would raise."""


@check("DRF010", Severity.WARNING)
def qwen_size_is_area_and_max_pixels_ignored(geometry: PatchGeometry, libraries: Libraries) -> Iterator[Problem]:
    """The limits of an image's pixels are stated twice, in the wrong unit, or where nothing reads them.

    ## What it checks

    For the processors that resize to an area (Qwen-VL, GLM-V, ERNIE-VL, PaddleOCR-VL, HunYuan-VL, Video-LLaMA 3 ...):
    `size.shortest_edge` and `size.longest_edge` are numbers of pixels of the whole image there, not edges, and
    `min_pixels` and `max_pixels` are other names for them. It is wrong where `size` lacks one of the two; where both
    names are stated and differ; where the class ignores `max_pixels` (GLM-V, ERNIE-VL); where the least is above the
    largest; and where the largest is an edge such as 1024, an image of one token. 3136, 12845056, 16777216 are usual.

    ## Why it matters

    Without both keys every image fails: `size must contain 'shortest_edge' and 'longest_edge' keys`. Of two values
    transformers takes `max_pixels`, other engines the other one, and images of 16 million pixels run out of memory
    although `max_pixels` was set. An edge in the place of an area shrinks every image to a thumbnail, without a word.

    ## How to fix it

    State the pixels once, as `size: {"shortest_edge": ..., "longest_edge": ...}`, or both names with equal values. One
    visual token is `(patch_size x merge_size)²` pixels: 784 for Qwen2-VL, 1024 for Qwen3-VL.

    ## Sources

    - https://github.com/huggingface/transformers/issues/41955
    - https://github.com/huggingface/transformers/issues/42115
    - https://github.com/huggingface/transformers/issues/39964
    - https://github.com/QwenLM/Qwen3-VL/issues/1052
    - https://github.com/vllm-project/vllm/issues/33208
    - https://github.com/Blaizzy/mlx-vlm/issues/273
    """
    for packed in geometry.inputs:
        resizes = packed.settings.get("do_resize") is not False
        if packed.areas is None or packed.read_by == "transformers 4" or not packed.edge or not resizes:
            continue
        limits = _limits(packed, packed.areas)
        if limits.missing:
            yield _missing(packed, limits)
        else:
            yield from _wrong(packed, packed.areas, limits)
            yield from _passed_over(packed, packed.areas, limits, libraries)


def _limits(packed: PackedInput, areas: Areas) -> _Limits:
    settings = packed.settings
    sized, stated = settings.get("size"), settings.at("size")
    used: dict[str, Reading[int]] = {}
    beside: dict[str, Reading[int]] = {}
    for name, default in (("min_pixels", areas.least), ("max_pixels", areas.most)):
        by_name, edge = settings.read(name, int), EDGES[name]
        text = settings.read(name, str)
        if text is not None and areas.renamed:
            return _Limits({"size": Reading(0, text.at)}, {}, f"{name} is the text {text.value[:40]!r}, no number")
        by_size = settings.read(f"size/{edge}", int)
        if sized is None:
            by_size = Reading(default, settings.at())
        chosen = (by_name or by_size) if areas.renamed else by_size
        other = by_size if chosen is by_name else by_name
        if chosen is not None:
            used[name] = chosen
        if other is not None and chosen is not None and other.value != chosen.value and other.at != settings.at():
            beside[name] = other
    lost = [EDGES[name] for name in EDGES if name not in used or used[name].value < 1]
    if not lost:
        return _Limits(used, beside)
    has = ", ".join(sized)[:60] if isinstance(sized, dict) else str(sized)[:60]
    return _Limits({"size": Reading(0, stated)}, {}, f"size has {has or 'nothing'} and not {' and '.join(lost)}")


def _missing(packed: PackedInput, limits: _Limits) -> Problem:
    sized, settings = packed.settings.get("size"), packed.settings
    values = [sized.get(name) for name in EDGES] if isinstance(sized, dict) else []
    known = len(values) == 2 and all(type(v) is int and v > 0 for v in values)
    right = dict(zip(EDGES.values(), values, strict=True)) if known else {}
    edit = Edit(file=settings.document.file, pointer=f"{settings.pointer}/size", value=right)
    what = "an image" if packed.kind == "image" else "a video"
    return Problem(
        f"{limits.missing}, and {packed.processor} needs these, as numbers of pixels: every request with {what} fails",
        because=[Evidence("size", str(sized)[:80], limits.used["size"].at, expected="shortest_edge and longest_edge")],
        fix=Fix('write size as {"shortest_edge": least pixels, "longest_edge": most pixels}', (edit,) if known else ()),
        severity=Severity.ERROR if packed.kind == "image" else Severity.WARNING,
    )


def _wrong(packed: PackedInput, areas: Areas, limits: _Limits) -> Iterator[Problem]:
    least, most = limits.used["min_pixels"], limits.used["max_pixels"]
    tokens = _tokens(packed, areas, most.value)
    of = "of every video" if areas.of == "video" else f"of every {areas.of}"
    if tokens < FEWEST and not (least.value > most.value and tokens > ALMOST_NONE):
        left = "1 visual token" if tokens < 2 else f"{tokens} visual tokens"
        yield Problem(
            f"{_name(most)} {most.value} is a number of pixels, not an edge, and leaves {left} {of} at most: the model "
            "sees next to nothing",
            because=[
                Evidence(f"{_name(most)} (pixels)", most.value, most.at, expected=f"at least {_whole(packed, areas)}"),
                Evidence("pixels of one visual token", packed.edge**2, packed.ours["patch_size"].at),
            ],
            fix=Fix(f"write an area: an image of {most.value}x{most.value} has {most.value**2} pixels"),
            severity=Severity.ERROR if tokens <= ALMOST_NONE else Severity.WARNING,
            confidence=Confidence.LIKELY,
        )
    elif least.value > most.value:
        yield Problem(
            f"the least number of pixels {of}, {least.value}, is above the largest, {most.value}: small ones are blown "
            f"up to {least.value} pixels, large ones shrunk to {most.value}",
            because=[
                Evidence(f"{_name(least)} (pixels)", least.value, least.at),
                Evidence(f"{_name(most)} (pixels)", most.value, most.at, expected=f"at least {least.value}"),
            ],
            fix=Fix("exchange the two, or state the range that the model was trained with"),
        )


def _passed_over(packed: PackedInput, areas: Areas, limits: _Limits, libraries: Libraries) -> Iterator[Problem]:
    for name, other in sorted(limits.beside.items()):
        used = limits.used[name]
        ratio = max(used.value, other.value) / max(min(used.value, other.value), 1)
        if not areas.renamed and ratio < NEAR:
            continue
        counts, ignored = (_tokens(packed, areas, reading.value) for reading in (used, other))
        who = "transformers takes" if areas.renamed else f"{packed.processor} ignores {name} and takes"
        end = "other engines may take the other one" if areas.renamed else "the limit that was set has no effect"
        yield Problem(
            f"{_name(used)} is {used.value} pixels ({counts} tokens {_per(areas)}) and {_name(other)} {other.value} "
            f"({ignored} tokens): {who} the first, {end}",
            because=[
                Evidence(f"{_name(other)} (pixels)", other.value, other.at, expected=used.value),
                Evidence(f"{_name(used)} (pixels)", used.value, used.at),
            ],
            fix=Fix("state the pixels once, in size, or give both the same value"),
        )
    yield from _slow(packed, areas, limits, libraries)


def _slow(packed: PackedInput, areas: Areas, limits: _Limits, libraries: Libraries) -> Iterator[Problem]:
    """4.57, image_processing_qwen2_vl.py: `if size is not None and (...): raise ... else: size = (the default)`."""
    most, settings = limits.used["max_pixels"], packed.settings
    slow = settings.get("image_processor_type") == SLOW and "size" in settings and settings.get("max_pixels") is None
    if slow and libraries.older("transformers", "5") and libraries.lacks("torchvision") and most.value != areas.most:
        yield Problem(
            f"without torchvision {libraries.named('transformers')} loads the slow {SLOW}, which ignores size: images "
            f"get up to {areas.most} pixels instead of {most.value}",
            because=[Evidence(f"{_name(most)} (pixels)", most.value, most.at, expected=areas.most)],
            fix=Fix("install torchvision, or state min_pixels and max_pixels too"),
        )


def _tokens(packed: PackedInput, areas: Areas, pixels: int) -> int:
    """Visual tokens that so many pixels make, rounded down."""
    frames = areas.frames
    if areas.of == "video":
        frames = int(packed.ours["temporal_patch_size"].value or 1) if "temporal_patch_size" in packed.ours else 1
    return int(pixels // (packed.edge**2 * frames))


def _whole(packed: PackedInput, areas: Areas) -> int:
    return FEWEST * packed.edge**2 * areas.frames


def _per(areas: Areas) -> str:
    return f"{'an' if areas.of == 'image' else 'a'} {areas.of}"


def _name(reading: Reading[int]) -> str:
    name = (reading.at.pointer or "").removeprefix("/image_processor").removeprefix("/video_processor").strip("/")
    return name.replace("/", ".") or "the class's own limit"
