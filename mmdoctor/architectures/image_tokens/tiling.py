"""Arithmetic of tiles that belongs to one family each; what several share is in `resizing`."""

import math
from collections.abc import Iterator

from mmdoctor.architectures.image_tokens.values import Refused

Size = tuple[int, int]
"""(height, width) in pixels."""


def whole_tokens(size: Size, factor: int, least: int, most: int) -> Size:
    """image_processing_lfm2_vl.py, smart_resize: multiples of `factor` of between `least` and `most` squares of it."""
    height, width = size
    rows, columns = (max(factor, round(edge / factor) * factor) for edge in size)
    fewest, largest = least * factor**2, most * factor**2
    if rows * columns > largest:
        beta = math.sqrt(height * width / largest)
        rows, columns = (max(factor, math.floor(edge / beta / factor) * factor) for edge in size)
    elif rows * columns < fewest:
        beta = math.sqrt(fewest / (height * width))
        rows, columns = (math.ceil(edge * beta / factor) * factor for edge in size)
    return rows, columns


def covering(size: Size, side: int, most: int, threshold: float = 0.9) -> tuple[int, int]:
    """(columns, rows) as the caller reads them. image_processing_ovis2.py, get_min_tile_covering_grid.

    The grids are tried as (rows, columns), and the chosen one is unpacked as (columns, rows): so in the library.
    """
    pairs = [(a, b) for a in range(1, most + 1) for b in range(1, most + 1) if a * b <= most]
    grids = sorted(pairs, key=lambda g: g[0] * g[1])
    kept = [(grid, sum(_areas(size, grid, side)) / (size[0] * size[1])) for grid in grids]
    enough = [k for k in kept if k[1] > threshold]
    if enough:
        return min(enough, key=lambda k: (k[0][0] * k[0][1], -k[1]))[0]
    return min(kept, key=lambda k: (-k[1], k[0][0] * k[0][1]))[0]


def _areas(size: Size, grid: tuple[int, int], side: int) -> Iterator[float]:
    """Pixels that each region keeps when it is scaled down to fit `side`, row by row."""
    height, width = size[0] // grid[0], size[1] // grid[1]
    for row in range(grid[0]):
        for column in range(grid[1]):
            below = size[0] if row == grid[0] - 1 else (row + 1) * height
            right = size[1] if column == grid[1] - 1 else (column + 1) * width
            sides: tuple[float, float] = (right - column * width, below - row * height)
            longer, shorter = max(sides), min(sides)
            if longer > side:
                longer, shorter = side, shorter / longer * side
            yield longer * shorter


def hd_transform(size: Size, most: int) -> Size:
    """microsoft/Phi-3-vision-128k-instruct, image_processing_phi3_v.py, HD_transform: whole squares of 336."""
    short, long = min(size), max(size)
    ratio, scale = long / short, 1
    while scale * math.ceil(scale / ratio) <= most:
        scale += 1
    width = (scale - 1) * 336
    if width < ratio:
        raise Refused("an edge is scaled to nothing")
    height = math.ceil(int(width / ratio) / 336) * 336
    return (height, width) if size[1] >= size[0] else (width, height)


def sliced(size: Size, edge: int, most: int) -> tuple[int, int] | None:
    """(columns, rows) of slices, None where the image stays whole.

    openbmb/MiniCPM-V-2_6, image_processing_minicpmv.py, get_sliced_grid.
    """
    height, width = size
    multiple = min(math.ceil(width * height / (edge * edge)), most)
    if multiple <= 1:
        return None
    wanted, best, error = math.log(width / height), (1, 1), math.inf
    for count in (multiple - 1, multiple, multiple + 1):
        if count == 1 or count > most:
            continue
        for columns in (c for c in range(1, count + 1) if count % c == 0):
            off = abs(wanted - math.log(columns / (count // columns)))
            if off < error:
                best, error = (columns, count // columns), off
    return best
