"""DRF003."""

from collections.abc import Iterable, Iterator, Sequence

from mmdoctor.architectures.image_tokens.features import TOWERS
from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts, TokenCount, Used
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity
from mmdoctor_checks.drift.tile_settings import consequence, named

STRATEGY, ADDITIONAL, WHOLE = "vision_feature_select_strategy", "num_additional_image_tokens", "num_image_tokens"
COUNTING = ("llava", "video_llava", "vipllava", "llava_next", "llava_next_video")
"""Model types whose processor counts the class token by its two settings."""
SQUARE = ("llava_next", "llava_next_video", "llava_onevision", "internvl", "aya_vision", "cohere2_vision")
"""Those that lay the vectors of a tile out as a square, so that a class token has to go and no patch may."""
FILE = "processor_config.json"
ALWAYS = "vipllava"
"""It leaves out the first vector whatever the setting says (modeling_vipllava.py, get_image_features)."""


@check("DRF003", Severity.ERROR, yields_to=("ATT005", "DRF002"))
def cls_token_off_by_one(model: MultimodalModel, vision: VisionModel, counts: ImageTokenCounts) -> Iterator[Problem]:
    """Processor and model disagree about the class token of the vision tower.

    ## What it checks

    The strategy `default` leaves out the first vector, whatever it is, `full` keeps all. CLIP's first vector is the
    class token, SigLIP has none, so with SigLIP `default` throws a patch away. The processor counts `patches +
    num_additional_image_tokens`, less one for `default`; the model makes `patches + class token`, less one for
    `default`. CLIP-L at 336 pixels makes 576 with one additional token and `default` (577 rows of its position table
    are right), SigLIP at 384 makes 27 x 27 = 729 with none and `full`. Models that lay the vectors out as a square
    (LLaVA-NeXT, LLaVA-OneVision, InternVL, Aya Vision) cannot take the other strategy at all.

    ## Why it matters

    `Image features and image tokens do not match: tokens: 575, features: 576`: every request with an image fails. In
    transformers before 4.48 the class token was counted by itself, since then `num_additional_image_tokens` says so,
    and its default is 0.

    ## How to fix it

    CLIP: `num_additional_image_tokens` 1 and `default`. SigLIP: 0 and `full`, in both files.

    ## Sources

    - https://github.com/huggingface/transformers/issues/34447
    - https://github.com/huggingface/transformers/issues/35052
    - https://github.com/huggingface/transformers/issues/33424
    """
    family, tower = model.config.model_type or "", TOWERS.get(vision.model_type or "")
    if tower is None or vision.model_type == "pixtral" or family not in (*COUNTING, *SQUARE):
        return
    if counts.agreeing_copy is not None:
        return  # two copies that differ are DRF001's
    if (count := counts.wrong) is None:
        yield from _a_patch_is_left_out(family, counts, tower.extra)
        return
    changes = list(_changes(family, count, tower.extra))
    if not changes or not _off_by_one(family, count, tower.extra):
        return
    edits: list[Edit] = []
    for used, right in changes:
        edits += used.set_to(right)
    fix = Fix(f"set {' and '.join(f'{u.what} to {r} in {u.at.file or FILE}' for u, r in changes)}", tuple(edits))
    yield Problem(
        f"{consequence(count)}; the tower has {'a' if tower.extra else 'no'} class token",
        because=[
            *(Evidence(named(used), used.value, used.at, expected=right) for used, right in changes),
            *(Evidence(named(u), u.value, u.at) for u in _others(count, [used for used, _ in changes])),
        ],
        fix=fix,
        confidence=Confidence.CERTAIN if all(_sure(used, count) for used, _ in changes) else Confidence.LIKELY,
    )


def _changes(family: str, count: TokenCount, class_tokens: int) -> Iterator[tuple[Used, str | int]]:
    """The settings that are wrong, and what they have to be."""
    ours, theirs = _by_key(count.placeholders.used), _by_key(count.features.used)
    strategy = theirs.get(STRATEGY)
    wanted: str | int = "default" if class_tokens else "full"
    if family == ALWAYS:
        wanted = "default"
    elif strategy is not None:
        unfit = (strategy.value == "default") != bool(class_tokens)
        if unfit:
            yield strategy, wanted
        elif isinstance(strategy.value, str):
            wanted = strategy.value
    right: dict[str, str | int] = {STRATEGY: wanted}
    if family in COUNTING:
        right[ADDITIONAL] = class_tokens
    for key, value in right.items():
        if key in ours and ours[key].value != value:
            yield ours[key], value
    size, patch, whole = theirs.get("image_size"), theirs.get("patch_size"), ours.get(WHOLE)
    edges = [u.value for u in (size, patch) if u is not None and isinstance(u.value, int)]
    if whole is not None and len(edges) == 2 and edges[1] > 0:
        features = (edges[0] // edges[1]) ** 2
        if whole.value in (features - 1, features + 1):
            yield whole, features


def _sure(used: Used, count: TokenCount) -> bool:
    """Whether it is this value that is wrong: a file states it, and the model cannot have been trained with it."""
    return used.default_of is None and (used not in count.features.used or count.features.count is None)


def _by_key(used: Iterable[Used]) -> dict[str, Used]:
    return {u.what.rpartition(".")[2]: u for u in used}


def _off_by_one(family: str, count: TokenCount, class_tokens: int) -> bool:
    """Whether the class token explains it: with patches of one size a count that is off by one or two, or a refusal."""
    ours, theirs = _by_key(count.placeholders.used), _by_key(count.features.used)
    patches = [side["patch_size"].value for side in (ours, theirs) if "patch_size" in side]
    if family in COUNTING and (len(patches) < 2 or patches[0] != patches[1]):
        return False
    placeholders, features = count.placeholders.count, count.features.count
    if placeholders is not None and features is not None:
        return 0 < abs(placeholders - features) <= 2
    strategy = theirs.get(STRATEGY)
    return family in SQUARE and strategy is not None and (strategy.value == "default") != bool(class_tokens)


def _others(count: TokenCount, told: Sequence[Used]) -> Iterator[Used]:
    keys = (STRATEGY, ADDITIONAL, WHOLE, "patch_size", "image_size")
    for used in (*count.placeholders.used, *count.features.used):
        if used.what.rpartition(".")[2] in keys and used not in told and used.value is not None:
            yield used


def _a_patch_is_left_out(family: str, counts: ImageTokenCounts, class_tokens: int) -> Iterator[Problem]:
    """Both sides agree to leave out the first patch of a tower without a class token."""
    if class_tokens or family in SQUARE or not counts.counts:
        return
    count = counts.counts[0]
    strategy = _by_key(count.features.used).get(STRATEGY)
    if (strategy is None or strategy.value != "default") and family != ALWAYS:
        return
    used = strategy or count.features.used[0]
    yield Problem(
        f"the tower has no class token, and the model leaves out the first vector all the same: {count.features.count} "
        "patches are used, the one in the upper left is not; it works, if it was trained so",
        because=[Evidence(named(used), used.value, used.at, expected=None if strategy is None else "full")],
        fix=Fix(f"only if the model was trained with all patches: set {STRATEGY} to full in both files"),
        severity=Severity.NOTE,
    )
