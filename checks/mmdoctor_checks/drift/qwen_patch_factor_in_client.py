"""DRF011."""

import math
from collections.abc import Iterator, Mapping

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts, Used
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.patches import PackedInput, PatchGeometry
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity

UNITS = {"patch_size": "pixels", "merge_size": "patches", "temporal_patch_size": "frames"}
USUAL_FACTOR = 28
"""Pixels to whose multiples clients such as qwen-vl-utils resize unless told otherwise: patch 14, merged by 2."""
GROUNDING = ("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
"""Types for whose patches of 16 that default is wrong."""


@check("DRF011", Severity.ERROR, yields_to=("ATT005",))
def qwen_patch_factor_in_client(
    geometry: PatchGeometry, model: MultimodalModel, counts: ImageTokenCounts | None
) -> Iterator[Problem]:
    """Images are cut into other patches than the vision tower takes, by the processor or by the client.

    ## What it checks

    `patch_size`, `merge_size` and `temporal_patch_size` of the image and video processors against `patch_size`,
    `spatial_merge_size` and `temporal_patch_size` of the vision tower, for the families that pack patches as Qwen2-VL
    does: Qwen-VL and Qwen-Omni, GLM-V, ERNIE-VL, PaddleOCR-VL, HunYuan-VL, Cosmos, EXAONE, Kimi, MiniMax and others. A
    value that the file lacks is the class's default. What a tower does not read is not compared, such as the
    `temporal_patch_size` in PaddleOCR-VL's config.json. A note tells clients of a model whose factor is not 28.

    ## Why it matters

    A row of another length does not fit the patch embedding, and another merge makes other numbers of placeholders and
    features: every image, or every video, fails. A client that resizes to multiples of 28 pixels before Qwen3-VL's
    processor does so to multiples of 32 resizes twice: harmless for descriptions, harmful for boxes and points, which
    Qwen2.5-VL gives in pixels of the resized image and Qwen3-VL, its authors say, from 0 to 1000.

    ## How to fix it

    Set the processor's values to those of config.json, with which the model was trained. In the client pass
    `image_patch_size=16` to `process_vision_info`.

    ## Sources

    - https://github.com/QwenLM/Qwen3-VL/issues/1960
    - https://github.com/QwenLM/Qwen3-VL/issues/1655
    - https://github.com/QwenLM/Qwen3-VL/issues/1640
    - https://github.com/THUDM/slime/issues/1227
    - https://github.com/JamePeng/llama-cpp-python/issues/152
    """
    told: list[tuple[object, ...]] = []
    for packed in geometry.inputs:
        # DRF001 knows both copies of an image processor and what each makes of an image.
        if not packed.wrong or (packed.kind == "image" and packed.another and counts is not None):
            continue
        same = tuple((key, packed.ours[key].value) for key in packed.wrong)
        if same in told:  # image and video processor alike: one cause
            continue
        told.append(same)
        yield Problem(
            _message(packed, counts),
            because=list(_evidence(packed)),
            fix=_fix(packed),
            severity=_severity(packed),
            confidence=Confidence.CERTAIN if packed.known else Confidence.LIKELY,
        )
    first = geometry.inputs[0]
    grounds = model.config.model_type in GROUNDING and first.kind == "image"
    if grounds and not first.wrong and first.edge not in (0, USUAL_FACTOR):
        yield _note(first)


def _severity(packed: PackedInput) -> Severity:
    milder = packed.kind == "video" or packed.another or not packed.known
    return Severity.WARNING if milder else Severity.ERROR


def _misstated(packed: PackedInput) -> tuple[str, ...]:
    """Values in which config.json contradicts the weights, and the processor does not."""
    trained, ours = packed.trained, packed.ours
    return tuple(k for k in packed.wrong if k in trained and trained[k].value == ours[k].value)


def _message(packed: PackedInput, counts: ImageTokenCounts | None) -> str:
    said = []
    if {"patch_size", "temporal_patch_size"} & set(packed.wrong):
        ours, theirs = (_row(packed, side) for side in (packed.ours, packed.theirs))
        said.append(f"a patch of the processor has {ours}, the vision tower takes {theirs}")
    if "merge_size" in packed.wrong:
        fine, coarse = packed.ours["merge_size"].value, packed.theirs["merge_size"].value
        said.append(f"the processor merges {fine} x {fine} patches into a token, the model {coarse} x {coarse}")
        said.append(_counted(packed, counts))
    return f"{', '.join(s for s in said if s)}: {_end(packed)}"


def _end(packed: PackedInput) -> str:
    readers = f" in {packed.read_by}" if packed.another else ""
    return f"every request with {'an image' if packed.kind == 'image' else 'a video'} fails{readers}"


def _row(packed: PackedInput, side: Mapping[str, Used]) -> str:
    frames = side.get("temporal_patch_size", packed.ours.get("temporal_patch_size"))
    stated = side.get("patch_size") or packed.ours.get("patch_size") or packed.theirs.get("patch_size")
    patch, deep = int(stated.value or 0) if stated else 0, int(frames.value or 1) if frames is not None else 1
    return f"{packed.channels * deep * patch**2} numbers ({packed.channels} x {deep} x {patch} x {patch})"


def _counted(packed: PackedInput, counts: ImageTokenCounts | None) -> str:
    count = counts.of(1024, 768) if counts is not None and packed.kind == "image" and not packed.another else None
    placeholders, features = (count.placeholders.count, count.features.count) if count is not None else (None, None)
    if placeholders and features and placeholders != features:
        return f"so a 1024x768 image becomes {placeholders} placeholders and {features} features"
    ratio = (int(packed.theirs["merge_size"].value or 1) / int(packed.ours["merge_size"].value or 1)) ** 2
    more = f"{ratio:.4g} times as many placeholders as features" if ratio > 1 else ""
    return more or f"{1 / ratio:.4g} times as many features as placeholders"


def _evidence(packed: PackedInput) -> Iterator[Evidence]:
    for key in packed.wrong:
        ours, theirs, trained = packed.ours[key], packed.theirs[key], packed.trained.get(key)
        if trained is not None and key in _misstated(packed):
            yield Evidence(f"{_named(theirs)} ({UNITS[key]})", theirs.value, theirs.at, expected=trained.value)
            yield Evidence(f"{key} of the {trained.what} ({UNITS[key]})", trained.value, trained.at)
            continue
        yield Evidence(f"{_named(ours)} ({UNITS[key]})", ours.value, ours.at, expected=theirs.value)
        yield Evidence(f"{_named(theirs)} ({UNITS[key]})", theirs.value, theirs.at)


def _named(used: Used) -> str:
    return used.what if used.default_of is None else f"{used.what}, absent: default of {used.default_of}"


def _fix(packed: PackedInput) -> Fix:
    misstated = _misstated(packed)
    if misstated:
        right = {packed.theirs[key].what: packed.trained[key] for key in misstated}
        text = ", ".join(f"{key} to {used.value}" for key, used in right.items())
        return Fix(f"in config.json set {text}, as the weights were trained")
    file, pointer = packed.settings.document.file, packed.settings.pointer
    values = {key: packed.theirs[key].value for key in packed.wrong}
    proved = all(key in packed.trained and packed.trained[key].value == value for key, value in values.items())
    edits = tuple(Edit(file=file, pointer=f"{pointer}/{key}", value=value) for key, value in values.items())
    text = ", ".join(f"{key} to {value}" for key, value in values.items())
    return Fix(f"in {file} set {text}", edits if proved and packed.known else ())


def _note(packed: PackedInput) -> Problem:
    patch, merge, edge = packed.ours["patch_size"], packed.ours["merge_size"], packed.edge
    whole = math.lcm(edge, USUAL_FACTOR)
    return Problem(
        f"images are resized to multiples of {edge} pixels (patch {patch.value} x merge {merge.value}): after a client "
        f"that resizes to multiples of {USUAL_FACTOR} they are resized twice, but for edges of a multiple of {whole}",
        because=[
            Evidence(f"{_named(patch)} (pixels)", patch.value, patch.at),
            Evidence(f"{_named(merge)} (patches)", merge.value, merge.at),
        ],
        fix=Fix(f"in the client pass image_patch_size={patch.value}, or let the processor resize"),
        severity=Severity.NOTE,
    )
