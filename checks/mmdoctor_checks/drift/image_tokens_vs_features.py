"""DRF001."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts, TokenCount, Used
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.finding import Confidence, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

COUNTERPARTS = {
    "patch_size": "patch_size",
    "merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
    "spatial_merge_size": "spatial_merge_size",
    "vision_feature_select_strategy": "vision_feature_select_strategy",
    "image_grid_pinpoints": "image_grid_pinpoints",
    "vision_aspect_ratio": "vision_aspect_ratio",
    "num_query_tokens": "num_query_tokens",
    "pixel_shuffle_ratio": "pixel_shuffle_ratio",
}
"""A key of the processor and the key of the model that has to say the same."""

PER_TILE = ("image_seq_length", "image_seq_len", "num_image_tokens")
"""Keys of processors that state the number of tokens of one tile outright."""

CUT_SILENTLY = ("blip-2", "instructblip")
"""Families that fill what placeholders there are and say nothing (`masked_scatter` in their `forward`)."""


CAUSES = ("DRF002", "DRF003", "DRF004", "DRF005", "DRF006", "DRF007", "DRF008", "DRF009", "DRF011")
"""Rules that know the cause in their families."""


@check("DRF001", Severity.ERROR, yields_to=("ATT005", "ATT007", *CAUSES))
def image_tokens_vs_features(counts: ImageTokenCounts, model: MultimodalModel) -> Iterator[Problem]:
    """The processor writes another number of image placeholders than the model makes image features.

    ## What it checks

    For a few images (square, wide, usual, small) the placeholders are counted as the processor class would write them,
    from the processor's files, and the features as the model class would make them, from config.json. Both follow the
    source of transformers for the families whose formulae are known; delimiters and row markers are not counted. Values
    that no file states are the class defaults. Where the settings stand in two files, the copy that transformers 5
    takes counts, and a copy that would agree makes it a warning.

    ## Why it matters

    Every request with an image fails: `Image features and image tokens do not match: tokens: 5476, features: 1369`, or
    in vLLM `Attempted to assign 1080 multimodal tokens to 1128 placeholders`. A ratio of exactly 4 is a merge size of 1
    against 2, a difference of 1 a class token that one side counts. BLIP-2 does not fail: it leaves out what is too
    much.

    ## How to fix it

    Ship the processor that the model was trained with, or change the setting that differs; config.json and the weights
    are right, since the model was trained with them.

    ## Sources

    - https://github.com/QwenLM/Qwen3-VL/issues/1123
    - https://github.com/hiyouga/LlamaFactory/issues/10241
    - https://github.com/huggingface/transformers/issues/36002
    - https://github.com/vllm-project/vllm/issues/11792
    - https://github.com/vllm-project/vllm/issues/11704
    """
    wrong = [count for count in counts.counts if not count.agree or count.features.count is None]
    if not wrong:
        return
    count = wrong[0]
    silent = model.config.model_type in CUT_SILENTLY and (count.placeholders.count or 0) < (count.features.count or 0)
    yield Problem(
        _message(counts, count, silent=silent),
        because=list(_evidence(count)),
        fix=_fix(counts, count),
        severity=Severity.WARNING if counts.agreeing_copy is not None else None,
        confidence=Confidence.CERTAIN if _all_stated(count) else Confidence.LIKELY,
    )


def _message(counts: ImageTokenCounts, count: TokenCount, *, silent: bool) -> str:
    image = f"a {count.width}x{count.height} image"
    placeholders, features = count.placeholders, count.features
    if placeholders.count is None:
        said = f"{counts.processor_class} cannot count the tokens of {image} ({placeholders.arithmetic})"
    elif features.count is None:
        said = f"{image} becomes {placeholders.count} placeholders, and the model refuses it: {features.arithmetic}"
    else:
        sides = f"{placeholders.count} placeholders ({placeholders.arithmetic})"
        said = f"{image} becomes {sides}, the model makes {features.count} features ({features.arithmetic})"
    if counts.agreeing_copy is not None:
        other = f"with {counts.agreeing_copy.file}, which transformers 4 reads first, they would agree"
        return f"{said}: every request with an image fails in transformers 5; {other}"
    return f"{said}: " + ("part of every image is silently left out" if silent else "every request with an image fails")


def _evidence(count: TokenCount) -> Iterator[Evidence]:
    placeholders, features = count.placeholders, count.features
    differing = {u.what: (u, other) for u, other in _differences(count)}
    for used, other in differing.values():
        yield Evidence(_named(used), used.value, used.at, expected=other.value)
        yield Evidence(_named(other), other.value, other.at)
    first = next((u.at for u in placeholders.used if u.default_of is None), Location())
    yield Evidence("placeholders", placeholders.count, first, expected=features.count)
    keys = {u.what for u, _ in _differences(count)} | {o.what for _, o in _differences(count)}
    for used in (*placeholders.used, *features.used):
        if used.what not in keys and used.value is not None and len(keys) < 8:
            keys.add(used.what)
            yield Evidence(_named(used), used.value, used.at)


def _named(used: Used) -> str:
    return used.what if used.default_of is None else f"{used.what} (absent: default of {used.default_of})"


def _differences(count: TokenCount) -> list[tuple[Used, Used]]:
    """(Processor's value, model's value) of settings that ought to be the same and are not."""
    model = {u.what.rpartition(".")[2]: u for u in count.features.used}
    pairs = ((used, model.get(COUNTERPARTS.get(used.what, ""))) for used in count.placeholders.used)
    return [(used, other) for used, other in pairs if other is not None and used.value != other.value]


def _fix(counts: ImageTokenCounts, count: TokenCount) -> Fix:
    if counts.agreeing_copy is not None:
        return Fix(f"write the settings of {counts.agreeing_copy.file} into the section that transformers 5 reads")
    differences = [(u, o) for u, o in _differences(count) if o.default_of is None and o.value is not None]
    if differences:
        changes = ", ".join(f"{u.what} to {o.value}" for u, o in differences)
        edits = tuple(edit for u, o in differences for edit in u.set_to(o.value))
        return Fix(f"set {changes} on the processor's side, as config.json has it", edits)
    features = count.features.count
    stated = next((u for u in count.placeholders.used if u.what in PER_TILE), None)
    if stated is not None and features is not None and features % count.pixels.tiles == 0:
        right = features // count.pixels.tiles
        return Fix(f"set {stated.what} to {right}", stated.set_to(right))
    return Fix("ship the processor files that belong to this model, with the sizes that config.json has")


def _all_stated(count: TokenCount) -> bool:
    return all(u.default_of is None for u in (*count.placeholders.used, *count.features.used))
