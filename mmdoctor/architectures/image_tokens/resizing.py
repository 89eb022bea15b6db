"""Sizes to which transformers' image processors bring an image. Same arithmetic, in floats where they use floats.

Each function names its model in transformers 5.23; 4.57 computes the same.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache

from mmdoctor.architectures.image_tokens.values import Refused

Size = tuple[int, int]
"""(height, width) in pixels."""


def shortest_edge(size: Size, edge: int, longest: int | None = None) -> Size:
    """image_transforms.py, get_resize_output_image_size without and get_size_with_aspect_ratio with a longest edge."""
    height, width = size
    if longest is not None:
        return _with_longest(size, edge, longest)
    short, long = min(size), max(size)
    other = int(edge * long / short)
    return (other, edge) if width <= height else (edge, other)


def _with_longest(size: Size, edge: int, longest: int) -> Size:
    height, width = size
    raw = None
    if max(size) / min(size) * edge > longest:
        raw = longest * float(min(size)) / float(max(size))
        edge = round(raw)
    if (height <= width and height == edge) or (width <= height and width == edge):
        return size
    scale = edge if raw is None else raw
    return (int(scale * height / width), edge) if width < height else (edge, int(scale * width / height))


def best_resolution(size: Size, resolutions: Iterable[Size]) -> Size:
    """image_processing_utils.py, select_best_resolution: most of the image kept, then least wasted."""
    best: Size | None = None
    most, least = 0, math.inf
    original = size[0] * size[1]
    for height, width in resolutions:
        scale = min(width / size[1], height / size[0])
        effective = min(int(size[1] * scale) * int(size[0] * scale), original)
        wasted = height * width - effective
        if effective > most or (effective == most and wasted < least):
            most, least, best = effective, wasted, (height, width)
    if best is None:
        raise Refused("there is no grid to choose from")
    return best


def unpadded(size: Size, rows: int, columns: int) -> Size:
    """(rows, columns) left of a grid when the padding around the image is taken off.

    modeling_llava_next.py, unpad_image, and processing_llava_next.py, _get_unpadded_features: the two agree since 4.48.
    """
    height, width = size
    if rows < 1 or columns < 1:
        raise Refused("a tile is smaller than a patch: ZeroDivisionError")
    if width / height > columns / rows:
        kept = int(round(height * (columns / width), 7))
        rows -= (rows - kept) // 2 * 2
    else:
        kept = int(round(width * (rows / height), 7))
        columns -= (columns - kept) // 2 * 2
    return rows, columns


def smart_resize(size: Size, factor: int, least: int, most: int) -> Size:
    """image_processing_qwen2_vl.py, smart_resize: multiples of `factor`, area between `least` and `most`."""
    height, width = size
    if max(size) / min(size) > 200:
        raise Refused(f"the aspect ratio {max(size) / min(size):.0f} is above 200")
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if rows * columns > most:
        beta = math.sqrt(height * width / most)
        rows = max(factor, math.floor(height / beta / factor) * factor)
        columns = max(factor, math.floor(width / beta / factor) * factor)
    elif rows * columns < least:
        beta = math.sqrt(least / (height * width))
        rows = math.ceil(height * beta / factor) * factor
        columns = math.ceil(width * beta / factor) * factor
    return rows, columns


def smart_resize_frames(size: Size, frames: int, factor: int, least: int, most: int) -> Size:
    """image_processing_glm4v.py, smart_resize: the area counts once a frame of a temporal patch."""
    return smart_resize_video(size, frames, frames, factor, (least, most))


def smart_resize_video(size: Size, frames: int, depth: int, factor: int, limits: tuple[int, int]) -> Size:
    """video_processing_qwen3_vl.py, smart_resize: the area of all frames, in whole patches of `depth` frames."""
    (least, most), (height, width) = limits, size
    steps = round(frames / depth) * depth
    if height < factor or width < factor:
        scale = max(factor / height, factor / width)
        height, width = int(height * scale), int(width * scale)
    if max(height, width) / min(height, width) > 200:
        raise Refused(f"the aspect ratio {max(height, width) / min(height, width):.0f} is above 200")
    rows, columns = round(height / factor) * factor, round(width / factor) * factor
    if steps * rows * columns > most:
        beta = math.sqrt(frames * height * width / most)
        rows = max(factor, math.floor(height / beta / factor) * factor)
        columns = max(factor, math.floor(width / beta / factor) * factor)
    elif steps * rows * columns < least:
        beta = math.sqrt(least / (frames * height * width))
        rows = math.ceil(height * beta / factor) * factor
        columns = math.ceil(width * beta / factor) * factor
    return rows, columns


def within(size: Size, limit: Size, patch: Size) -> Size:
    """image_processing_pixtral.py, get_resize_output_image_size: at most `limit`, then up to whole patches."""
    height, width = size
    ratio = max(height / limit[0], width / limit[1])
    if ratio > 1:
        height, width = math.floor(height / ratio), math.floor(width / ratio)
    return ((height - 1) // patch[0] + 1) * patch[0], ((width - 1) // patch[1] + 1) * patch[1]


def canvas(size: Size, tile: Size, least: int, most: int, *, unordered: bool = False) -> tuple[int, int]:
    """(columns, rows) of tiles. image_processing_got_ocr2.py, get_optimal_tiled_canvas: the nearest aspect ratio.

    Of two grids of the same area that are equally near, the order decides; LFM2-VL and Phi-4 keep theirs in a set.
    """
    grids = _grids(least, most, unordered=unordered)
    ratio, area = size[1] / size[0], size[0] * size[1]
    best, difference = (1, 1), math.inf
    for grid in grids:
        off = abs(ratio - grid[0] / grid[1])
        if off < difference:
            best, difference = grid, off
        elif off == difference and area > 0.5 * tile[0] * tile[1] * grid[0] * grid[1]:
            best = grid
    return best


@lru_cache(maxsize=64)
def _grids(least: int, most: int, *, unordered: bool) -> list[tuple[int, int]]:
    pairs = [(w, h) for w in range(1, most + 1) for h in range(1, most // w + 1) if w * h >= least]
    if unordered:
        counts = range(least, most + 1)
        pairs = list(
            {(w, h) for n in counts for w in range(1, n + 1) for h in range(1, n + 1) if least <= w * h <= most}
        )
    return sorted(pairs, key=lambda g: g[0] * g[1])


def split_squares(size: Size, longest: int, tile: int) -> tuple[int, int]:
    """(rows, columns) of tiles, 0 and 0 where the image stays whole.

    image_processing_idefics3.py, get_resize_output_image_size, resize_for_vision_encoder and split_images.
    """
    height, width = _below(_to_longest(size, longest), 4096)
    ratio = width / height
    if width >= height:
        width = math.ceil(width / tile) * tile
        height = math.ceil(int(width / ratio) / tile) * tile
    else:
        height = math.ceil(height / tile) * tile
        width = math.ceil(int(height * ratio) / tile) * tile
    if not height or not width:
        raise Refused("an edge is scaled to nothing")
    return (height // tile, width // tile) if height > tile or width > tile else (0, 0)


def _to_longest(size: Size, longest: int) -> Size:
    height, width = size
    ratio = width / height
    if width >= height:
        width, height = longest, int(longest / ratio)
        height += height % 2
    else:
        height, width = longest, int(longest * ratio)
        width += width % 2
    return max(height, 1), max(width, 1)


def _below(size: Size, longest: int) -> Size:
    height, width = size
    ratio = width / height
    if width >= height and width > longest:
        width, height = longest, int(longest / ratio)
    elif height > width and height > longest:
        height, width = longest, int(longest * ratio)
    return max(height, 1), max(width, 1)


def between(size: Size, shortest: int, longest: int) -> Size:
    """image_processing_idefics2.py, get_resize_output_image_size."""
    height, width = size
    ratio = width / height
    if width >= height and width > longest:
        width, height = longest, int(longest / ratio)
    elif height > width and height > longest:
        height, width = longest, int(longest * ratio)
    return max(height, shortest), max(width, shortest)


def pan_and_scan(size: Size, least: int, most: int, ratio: float) -> int:
    """Crops beside the whole image. image_processing_gemma3.py, pan_and_scan_batched."""
    short, long = min(size), max(size)
    if long / short < ratio:
        return 0
    crops = min(most, max(2, min(long // least, math.floor(long / short + 0.5))))
    return 0 if min(math.ceil(long / crops), short) < least else crops


def fitting_canvas(size: Size, tile: int, most: int) -> tuple[int, int]:
    """Tiles of Llama 3.2's canvas. image_processing_mllama.py, get_optimal_tiled_canvas (numpy float64, as here)."""
    arrangements = [(a, b) for a in range(1, most + 1) for b in range(1, most // a + 1)]
    scales = [min(a * tile / size[0], b * tile / size[1]) for a, b in arrangements]
    enlarging = [s for s in scales if s >= 1]
    chosen = min(enlarging) if enlarging else max(scales)
    fits: Sequence[tuple[int, int]] = [a for a, s in zip(arrangements, scales, strict=True) if s == chosen]
    return min(fits, key=lambda a: a[0] * a[1])


def chunks(size: Size, tile: int, most: int, *, largest: bool) -> tuple[int, int]:
    """(rows, columns) of Llama 4's tiles.

    image_processing_llama4.py, find_supported_resolutions and get_best_fit, which compare scales in float32.
    """
    by_ratio: dict[float, list[tuple[int, int]]] = {}
    for count in range(most, 0, -1):
        for rows in range(1, count + 1):
            if count % rows == 0:
                by_ratio.setdefault(rows / (count // rows), []).append((rows, count // rows))
    grids = [grid for group in by_ratio.values() for grid in group]
    scales = [min(float32(rows * tile / size[0]), float32(columns * tile / size[1])) for rows, columns in grids]
    enlarging = [s for s in scales if s >= 1]
    chosen = (max(enlarging) if largest else min(enlarging)) if enlarging else max(scales)
    return min((g for g, s in zip(grids, scales, strict=True) if s == chosen), key=lambda g: g[0] * g[1])


def float32(value: float) -> float:
    """The nearest number that float32 has."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded
