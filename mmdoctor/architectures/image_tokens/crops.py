"""Crops of two families whose code comes with the model: Molmo, and LLaVA as it was before transformers had it."""

import math
import re

from mmdoctor.architectures.image_tokens.placeholders import onevision_limit
from mmdoctor.architectures.image_tokens.resizing import Size, best_resolution, float32
from mmdoctor.architectures.image_tokens.values import UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

_TOWER = re.compile(r"(clip-vit|siglip)[\w-]*?-patch(\d{1,3})(?:-(\d{2,4}))?(?![\d])")
"""openai/clip-vit-large-patch14-336, google/siglip-so400m-patch14-384."""
_UNNAMED = 224
"""Pixels of OpenAI's CLIP towers without a size in their names (openai/clip-vit-large-patch14)."""


def least_scaled(inner: Size, window: int, most: int) -> tuple[int, int]:
    """(rows, columns) of crops. allenai/molmo, image_preprocessing_molmo.py, select_tiling: in float32.

    `inner` is the image without the margins; it is zero or less where the image is smaller than these.
    """
    pairs = [(a, b) for a in range(1, most + 1) for b in range(1, most + 1) if a * b <= most]
    grids = sorted(pairs, key=lambda g: (g[0] * g[1], g[0]))
    scales = [min(_scale(rows * window, inner[0]), _scale(columns * window, inner[1])) for rows, columns in grids]
    if all(s < 1 for s in scales):
        return grids[scales.index(max(scales))]
    least = [10e9 if s < 1 else s for s in scales]
    return grids[least.index(min(least))]


def _scale(wanted: int, given: int) -> float:
    return math.inf if given == 0 else float32(float32(wanted) / float32(given))


def original_llava(config: Values, tower: str, size: Size) -> tuple[Pixels, int, str]:
    """(Pixels, tokens, arithmetic) of haotian-liu/LLaVA and LLaVA-VL/LLaVA-NeXT (llava_arch.py, mm_utils.py).

    The tower's sizes are read off its name.

    Raises:
        UnknownValue: the name tells none, or the tiles are joined in a way that is not known.
    """
    named = _TOWER.search(tower)
    if named is None or (named[3] is None and named[1] != "clip-vit"):
        raise UnknownValue(f"the size of the tower {tower[:60]} is not known")
    edge, side = int(named[3] or _UNNAMED), int(named[3] or _UNNAMED) // int(named[2])
    extra = 1 if named[1] == "clip-vit" and config.text("mm_vision_select_feature") == "cls_patch" else 0
    base, aspect = side**2 + extra, config.text("image_aspect_ratio")
    if "anyres" not in aspect:
        return Pixels(original=size, height=edge, width=edge), base, f"({edge} // {named[2]})²" + " + 1" * extra
    joined = config.text("mm_patch_merge_type")
    if joined != "spatial_unpad" or not re.fullmatch(r"anyres(_max_\d{1,4})?", aspect) or extra:
        raise UnknownValue(f"tiles joined as {joined[:40]} of {aspect[:40]} are not known")
    grids = [(h, w) for w, h in config.resolutions("image_grid_pinpoints")]
    height, width = best_resolution(size, grids)
    rows, columns = height // edge, width // edge
    left = _unpadded(size, rows * side, columns * side)
    left = onevision_limit(left, side, aspect) if aspect != "anyres" else left
    pixels = Pixels(
        original=size, height=edge, width=edge, tiles=rows * columns + 1, layout=(rows, columns), sized=True, edge=edge
    )
    return pixels, base + left[0] * (left[1] + 1), f"{base} for the whole image, {left[0]} x ({left[1]} + 1)"


def _unpadded(size: Size, rows: int, columns: int) -> Size:
    """llava_arch.py, unpad_image: without the rounding that transformers added."""
    height, width = size
    if width / height > columns / rows:
        kept = int(height * (columns / width))
        return rows - (rows - kept) // 2 * 2, columns
    kept = int(width * (rows / height))
    return rows, columns - (columns - kept) // 2 * 2
