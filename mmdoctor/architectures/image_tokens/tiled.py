"""Families that cut an image into tiles by rules of their own: LFM2-VL, Ovis 2, Phi-4-multimodal.

transformers 5.23, models/*/image_processing_*.py, processing_*.py and modeling_*.py.
"""

import math
from collections.abc import Mapping

from mmdoctor.architectures.image_tokens import resizing, tiling
from mmdoctor.architectures.image_tokens.features import Model, ModelClass
from mmdoctor.architectures.image_tokens.pixels import ImageClass, Size
from mmdoctor.architectures.image_tokens.placeholders import ProcessorClass
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

MAX_TILES = 64
"""Tiles up to which all grids are tried one by one; published models have 36 at most."""

Counted = tuple[int, str]
"""(count, arithmetic)."""


def _most(values: Values, key: str) -> int:
    most = values.integer(key)
    if most > MAX_TILES:
        raise UnknownValue(f"{key} is {most}")
    return most


def _edge(values: Values) -> int:
    edges = values.edges("size")
    if edges.get("height") is None or edges.get("height") != edges.get("width"):
        raise Refused(f"{values.owner} supports square sizes only")
    return edges["height"]


def _lfm2(values: Values, size: Size) -> Pixels:
    """image_processing_lfm2_vl.py, resize_and_split: tiles only of an image that is much too large for one."""
    factor, patch = values.integer("downsample_factor"), values.integer("encoder_patch_size")
    least, most = values.integer("min_image_tokens"), values.integer("max_image_tokens")
    split = values.flag("do_image_splitting")
    fewest, tiles = (values.integer("min_tiles"), _most(values, "max_tiles")) if split else (1, 1)
    if split and fewest > tiles:
        raise Refused("min_tiles is above max_tiles")
    whole = tiling.whole_tokens(size, patch * factor, least, most)
    numbers = 3 * patch * patch
    shape = (whole[0] // patch, whole[1] // patch)
    plain = Pixels(original=size, height=whole[0], width=whole[1], grid=shape, patch_values=numbers)
    limit = most * (patch * factor) ** 2 * values.number("max_pixels_tolerance")
    rounded = [max(patch, round(edge / (patch * factor)) * patch * factor) for edge in size]
    if rounded[0] * rounded[1] <= limit or fewest == tiles == 1:
        return plain
    tile = values.integer("tile_size")
    if tile % patch:
        raise Refused(f"tiles of {tile} px are not whole patches of {patch}")
    columns, rows = resizing.canvas(size, (tile, tile), fewest, tiles, unordered=True)
    thumbnail = whole if values.flag("use_thumbnail") and rows * columns > 1 else None
    return Pixels(
        original=size, height=tile, width=tile, tiles=rows * columns + (1 if thumbnail else 0), layout=(rows, columns),
        thumbnail=thumbnail, patch_values=numbers, grid=(tile // patch, tile // patch),
    )  # fmt: skip


def _lfm2_tokens(_: Values, images: Values, pixels: Pixels) -> Counted:
    """processing_lfm2_vl.py, _build_image_tokens."""
    patch, factor = images.integer("encoder_patch_size"), images.integer("downsample_factor")

    def tokens(height: int, width: int) -> int:
        return math.ceil(height // patch / factor) * math.ceil(width // patch / factor)

    each = tokens(pixels.height, pixels.width)
    if pixels.layout is None:
        return each, f"{pixels.width}x{pixels.height} px / {patch * factor}²"
    rows, columns = pixels.layout
    if (rows, columns) == (1, 1):  # one tile, and the tokens of the resized image
        whole = tiling.whole_tokens(
            pixels.original, patch * factor, images.integer("min_image_tokens"), images.integer("max_image_tokens")
        )
        return tokens(*whole), f"{whole[1]}x{whole[0]} px / {patch * factor}²"
    extra = tokens(*pixels.thumbnail) if pixels.thumbnail else 0
    return each * rows * columns + extra, f"{each} x {rows * columns} tiles + {extra} for the whole image"


def _lfm2_features(model: Model, pixels: Pixels) -> Counted:
    """modeling_lfm2_vl.py, Lfm2VlMultiModalProjector.pixel_unshuffle."""
    patch, factor = model.patch(), model.top.integer("downsample_factor")
    wanted = model.vision.integer("num_channels") * patch**2
    if pixels.grid is None or pixels.patch_values != wanted:
        given = pixels.patch_values or "none"
        raise Refused(f"the tower wants packed patches of {wanted} numbers ({patch} px), and gets {given}")
    side = pixels.height // pixels.grid[0] if pixels.grid[0] else 0
    tiles = pixels.layout[0] * pixels.layout[1] if pixels.layout else 1
    total = 0
    sizes = [(pixels.height, pixels.width, tiles)] + ([(*pixels.thumbnail, 1)] if pixels.thumbnail else [])
    for height, width, count in sizes:
        rows, columns = height // max(side, 1), width // max(side, 1)
        if rows % factor or columns % factor or not rows or not columns:
            raise Refused(f"{columns} x {rows} patches cannot be stacked {factor} by {factor}")
        total += rows * columns // factor**2 * count
    return total, f"{tiles} x ({pixels.width}x{pixels.height} px / {patch * factor}²)" + (
        " and the whole image" if pixels.thumbnail else ""
    )


def _ovis(values: Values, size: Size) -> Pixels:
    """image_processing_ovis2.py, crop_image_to_patches: the fewest tiles that keep nine tenths of the image."""
    edges = values.edges("size")
    if "height" not in edges or "width" not in edges:
        raise UnknownValue(f"size has {', '.join(edges)}")
    tile = (edges["height"], edges["width"])
    rows = columns = 1
    if values.flag("crop_to_patches") and (most := _most(values, "max_patches")) > 1:
        if values.flag("use_covering_area_grid"):
            columns, rows = tiling.covering(size, tile[0], most)
        else:
            columns, rows = resizing.canvas(size, tile, values.integer("min_patches"), most)
    elif not values.flag("do_resize"):
        tile = size
    if values.flag("do_center_crop"):
        crop = values.edges("crop_size")
        tile = (crop.get("height", tile[0]), crop.get("width", tile[1]))
    tiles = rows * columns + (1 if rows * columns > 1 else 0)
    return Pixels(original=size, height=tile[0], width=tile[1], tiles=tiles, layout=(rows, columns))


def _ovis_tokens(values: Values, _: Values, pixels: Pixels) -> Counted:
    each = values.integer("image_seq_length")
    return each * pixels.tiles, f"{each} x {pixels.tiles} tiles"


def _ovis_features(model: Model, pixels: Pixels) -> Counted:
    """modeling_ovis2.py, Ovis2VisionModel.forward: odd rows are padded before they are stacked."""
    positions, _ = model.positions(pixels)
    stride, side = model.vision.integer("hidden_stride"), math.isqrt(positions)
    if stride > 1 and side * side != positions:
        raise Refused(f"{positions} vectors of a tile are not a square")
    each = math.ceil(side / stride) ** 2 if stride > 1 else positions
    return each * pixels.tiles, f"ceil({side} / {stride})² x {pixels.tiles} tiles"


def _phi(values: Values, size: Size) -> Pixels:
    """image_processing_phi4_multimodal.py, dynamic_preprocess: whole tiles, the image in the upper left of them."""
    edge, most = _edge(values), _most(values, "dynamic_hd")
    columns, rows = math.ceil(size[1] / edge), math.ceil(size[0] / edge)
    if columns * rows > most:
        columns, rows = resizing.canvas(size, (edge, edge), 1, most, unordered=True)
    width, height = edge * columns, edge * rows
    scales = width / size[1], height / size[0]
    fitted = (int(size[0] * scales[0]), width) if scales[0] < scales[1] else (height, int(size[1] * scales[1]))
    if min(*fitted, height, width) < _LEAST_EDGE:
        raise Refused(f"an edge of {min(fitted)} px is too small: the aspect ratio is very extreme")
    patch = values.integer("patch_size")
    padding = ((height - fitted[0]) // patch, (width - fitted[1]) // patch)
    grid = (edge // patch, edge // patch)
    return Pixels(
        original=size, height=edge, width=edge, tiles=rows * columns + 1, layout=(rows, columns), padding=padding,
        grid=grid, sized=True,
    )  # fmt: skip


_LEAST_EDGE = 10
"""Pixels; image_processing_phi4_multimodal.py raises below."""


def _kept(tiles: int, side: int, padding: int) -> int:
    """Every second patch of each tile along one direction, as far as it is no padding."""
    valid = side * tiles - padding
    return sum(1 for tile in range(tiles) for step in range(0, side, 2) if tile * side + step < valid)


def _phi_tokens(_: Values, images: Values, pixels: Pixels) -> Counted:
    if pixels.layout is None or pixels.grid is None:
        raise Refused(f"{images.owner} makes no num_img_tokens: KeyError")
    rows, columns = (_kept(*each) for each in zip(pixels.layout, pixels.grid, pixels.padding, strict=True))
    return 256 + 1 + rows * columns + rows + 16, f"256 + 16 for the whole image, 1, {rows} x ({columns} + 1)"


def _phi_features(model: Model, pixels: Pixels) -> Counted:
    """modeling_phi4_multimodal.py, Phi4MultimodalImageEmbedding: patches pooled 2 by 2, a vector after each row."""
    crop, side = model.vision.integer("crop_size"), pixels.height // model.patch()
    if pixels.layout is None or pixels.grid is None:
        raise Refused("the model needs image_sizes and image_attention_mask, and the image processor makes none")
    if pixels.grid != (side, side):
        raise Refused(f"the mask has {pixels.grid[0]} patches along an edge, the tower makes {side}")
    base = (side + model.side() % 2) // 2
    if pixels.height != crop or (side + 1) // 2 != base or not base:
        raise Refused(f"the model lays out tiles of {crop} px, and gets {pixels.height}")
    rows, columns = (_kept(*each) for each in zip(pixels.layout, pixels.grid, pixels.padding, strict=True))
    count = rows * (columns + 1) + 1 + base * (base + 1)
    return count, f"{base} x ({base} + 1) for the whole image, 1, {rows} x ({columns} + 1)"


_TILED = {"do_resize": True, "do_center_crop": False, "crop_to_patches": False, "min_patches": 1, "max_patches": 12}

IMAGES: Mapping[str, ImageClass] = {
    "Lfm2VlImageProcessor": ImageClass(
        {
            "downsample_factor": 2,
            "do_image_splitting": True,
            "min_tiles": 2,
            "max_tiles": 10,
            "use_thumbnail": True,
            "min_image_tokens": 64,
            "max_image_tokens": 256,
            "encoder_patch_size": 16,
            "tile_size": 512,
            "max_pixels_tolerance": 2.0,
        },
        _lfm2,
    ),
    "Ovis2ImageProcessor": ImageClass(
        {**_TILED, "size": {"height": 384, "width": 384}, "use_covering_area_grid": True}, _ovis
    ),
    "Phi4MultimodalImageProcessor": ImageClass(
        {"size": {"height": 448, "width": 448}, "patch_size": 14, "dynamic_hd": 36}, _phi
    ),
}
PROCESSORS: Mapping[str, ProcessorClass] = {
    "Lfm2VlProcessor": ProcessorClass({}, _lfm2_tokens),
    "Ovis2Processor": ProcessorClass({"image_seq_length": 256}, _ovis_tokens),
    "Phi4MultimodalProcessor": ProcessorClass({}, _phi_tokens),
}
MODELS: Mapping[str, ModelClass] = {
    "lfm2_vl": ModelClass({"downsample_factor": 2}, _lfm2_features),
    "ovis2": ModelClass({}, _ovis_features, {"hidden_stride": 1}),
    "phi4_multimodal": ModelClass({}, _phi_features, {"crop_size": 448}),
}
USUAL: Mapping[str, tuple[str, str]] = {
    "lfm2_vl": ("Lfm2VlProcessor", "Lfm2VlImageProcessor"),
    "ovis2": ("Ovis2Processor", "Ovis2ImageProcessor"),
    "phi4_multimodal": ("Phi4MultimodalProcessor", "Phi4MultimodalImageProcessor"),
}
