"""What transformers' image processor classes make of an image: sizes and numbers of tensors, without any pixels.

The defaults are the class attributes in transformers 5.23 (models/*/image_processing_*.py); 4.57 has the same.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens import resizing
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

Size = tuple[int, int]
MAX_TILES = 1024
"""Published models cut an image into 36 tiles at most."""


class ImageClass(msgspec.Struct, frozen=True):
    """An image processor class: its own values for absent keys and the sizes it makes."""

    defaults: Mapping[str, Any]
    pixels: Callable[[Values, Size], Pixels]


def _square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}


def _resized(values: Values, size: Size) -> Size:
    if not values.flag("do_resize"):
        return size
    edges = values.edges("size")
    if "shortest_edge" in edges:
        return resizing.shortest_edge(size, edges["shortest_edge"], edges.get("longest_edge"))
    if "height" in edges and "width" in edges:
        return edges["height"], edges["width"]
    raise UnknownValue(f"size has {', '.join(edges)}")


def _whole(values: Values, size: Size) -> Pixels:
    """One tensor: resize, then crop the centre (image_processing_backends.py, TorchvisionBackend._preprocess)."""
    height, width = size
    if values.flag("do_pad"):
        if values.owner != "LlavaImageProcessor":
            raise UnknownValue(f"{values.owner} with do_pad")
        height = width = max(size)
    height, width = _resized(values, (height, width))
    if values.flag("do_center_crop"):
        edges = values.edges("crop_size")
        if "height" not in edges or "width" not in edges:
            raise UnknownValue(f"crop_size has {', '.join(edges)}")
        height, width = edges["height"], edges["width"]
    return Pixels(original=size, height=height, width=width)


def _anyres(values: Values, size: Size) -> Pixels:
    """image_processing_llava_next.py, _get_image_patches: the whole image, then the tiles of the best grid."""
    edges = values.edges("size")
    crop = values.edges("crop_size") if values.get("crop_size") else {}
    square = (edges["height"], edges["width"]) if {"height", "width"} <= set(edges) else (0, 0)
    base = square if square[0] else (edges.get("shortest_edge", 0),) * 2
    edge = crop.get("height") or base[0]
    if not edge or not base[0]:
        raise UnknownValue(f"size has {', '.join(edges)}")
    rows, columns = resizing.best_resolution(size, values.resolutions("image_grid_pinpoints"))
    tiles = 1 + math.ceil(rows / edge) * math.ceil(columns / edge)
    if values.flag("do_center_crop"):
        height, width = crop.get("height", 0), crop.get("width", 0)
    elif values.flag("do_resize"):
        height, width = base
    else:
        height, width = edge, edge
    if not height or not width or tiles > MAX_TILES:
        raise UnknownValue("the tiles have no size that makes sense")
    return Pixels(original=size, height=height, width=width, tiles=tiles, sized=True, edge=edge)


def _area_limits(values: Values) -> tuple[int, int]:
    """Least and most pixels: `size` with its odd names, which `min_pixels` and `max_pixels` override."""
    edges = values.edges("size")
    least = values.get("min_pixels") or edges.get("shortest_edge")
    most = values.get("max_pixels") or edges.get("longest_edge")
    if type(least) is not int or type(most) is not int or least < 1 or most < 1:
        raise UnknownValue("size does not say how many pixels there may be")
    return least, most


def _packed(size: Size, resized: Size, patch: int, frames: int, merge: int) -> Pixels:
    rows, columns = resized[0] // patch, resized[1] // patch
    if resized[0] % (patch * merge) or resized[1] % (patch * merge):
        raise Refused(f"{resized[1]}x{resized[0]} px are not whole patches of {patch} px, {merge} by {merge}")
    numbers = 3 * frames * patch * patch
    grid = (rows, columns)
    return Pixels(original=size, height=resized[0], width=resized[1], grid=grid, patch_values=numbers)


def _qwen(values: Values, size: Size) -> Pixels:
    """image_processing_qwen2_vl.py, _preprocess."""
    patch, merge, frames = (values.integer(k) for k in ("patch_size", "merge_size", "temporal_patch_size"))
    least, most = _area_limits(values)
    resized = resizing.smart_resize(size, patch * merge, least, most) if values.flag("do_resize") else size
    return _packed(size, resized, patch, frames, merge)


def _glm(values: Values, size: Size) -> Pixels:
    """image_processing_glm4v.py, _preprocess."""
    patch, merge, frames = (values.integer(k) for k in ("patch_size", "merge_size", "temporal_patch_size"))
    least, most = _area_limits(values)
    if values.flag("do_resize"):
        resized = resizing.smart_resize_frames(size, frames, patch * merge, least, most)
    else:
        resized = size
    return _packed(size, resized, patch, frames, merge)


def _pixtral(values: Values, size: Size) -> Pixels:
    """image_processing_pixtral.py, resize."""
    edges = values.edges("size")
    limit = (edges["longest_edge"],) * 2 if "longest_edge" in edges else (edges.get("height", 0), edges.get("width", 0))
    if not all(limit):
        raise UnknownValue(f"size has {', '.join(edges)}")
    patch = values.integer("patch_size")
    height, width = resizing.within(size, limit, (patch, patch)) if values.flag("do_resize") else size
    if not height or not width:
        raise Refused("an edge is scaled to nothing")
    return Pixels(original=size, height=height, width=width, sized=True)


def _tiled(values: Values, size: Size) -> Pixels:
    """image_processing_got_ocr2.py, crop_image_to_patches: tiles of the nearest aspect ratio, then a thumbnail."""
    edges = values.edges("size")
    if "height" not in edges or "width" not in edges:
        raise UnknownValue(f"size has {', '.join(edges)}")
    tile = (edges["height"], edges["width"])
    tiles = 1
    if values.flag("crop_to_patches"):
        least, most = values.integer("min_patches"), values.integer("max_patches")
        if most > MAX_TILES:
            raise UnknownValue(f"max_patches is {most}")
        columns, rows = resizing.canvas(size, tile, least, most)
        tiles = rows * columns + (1 if rows * columns > 1 else 0)
    elif not values.flag("do_resize"):
        tile = size
    return Pixels(original=size, height=tile[0], width=tile[1], tiles=tiles)


def _quarters(values: Values, size: Size) -> Pixels:
    """image_processing_idefics2.py: the image and, where it is split, its four quarters, all padded to the largest."""
    edges = values.edges("size")
    split = values.flag("do_image_splitting")
    half = (size[0] - size[0] // 2, size[1] - size[1] // 2)
    if split and min(size) < 2:
        raise Refused("an image one pixel wide cannot be cut in four")
    pieces = {size, half, (size[0] // 2, size[1] // 2)} if split else {size}
    if values.flag("do_resize") and {"shortest_edge", "longest_edge"} <= set(edges):
        pieces = {resizing.between(piece, edges["shortest_edge"], edges["longest_edge"]) for piece in pieces}
    elif values.flag("do_resize"):
        pieces = {(edges.get("height", 0), edges.get("width", 0))}
    height, width = (max(side) for side in zip(*pieces, strict=True))
    if not height or not width:
        raise UnknownValue(f"size has {', '.join(edges)}")
    return Pixels(original=size, height=height, width=width, tiles=5 if split else 1)


def _squares(values: Values, size: Size) -> Pixels:
    """image_processing_idefics3.py and image_processing_smolvlm.py: square tiles, then the whole image in one more."""
    edge = values.edges("max_image_size").get("longest_edge")
    longest = values.edges("size").get("longest_edge")
    if edge is None or longest is None or not values.flag("do_resize"):
        raise UnknownValue("max_image_size and size do not name a longest edge")
    if not values.flag("do_image_splitting"):
        return Pixels(original=size, height=edge, width=edge)
    if longest > MAX_TILES * edge:
        raise UnknownValue(f"size is {longest} pixels, tiles are {edge}")
    rows, columns = resizing.split_squares(size, longest, edge)
    return Pixels(original=size, height=edge, width=edge, tiles=rows * columns + 1)


def _crops(values: Values, size: Size) -> Pixels:
    """image_processing_gemma3.py: the whole image and, with pan and scan, crops of it."""
    crops = 0
    if values.flag("do_pan_and_scan"):
        least, most = values.integer("pan_and_scan_min_crop_size"), values.integer("pan_and_scan_max_num_crops")
        crops = resizing.pan_and_scan(size, least, most, values.number("pan_and_scan_min_ratio_to_activate"))
    height, width = _resized(values, size)
    return Pixels(original=size, height=height, width=width, tiles=1 + crops)


def _padded_tiles(values: Values, size: Size) -> Pixels:
    """image_processing_mllama.py: always `max_image_tiles` tensors, those past the canvas empty."""
    edges = values.edges("size")
    tile, most = edges.get("height"), values.integer("max_image_tiles")
    if tile is None or most > MAX_TILES:
        raise UnknownValue("size does not name a height")
    rows, columns = resizing.fitting_canvas(size, tile, most)
    return Pixels(original=size, height=tile, width=tile, tiles=rows * columns)


def _chunked(values: Values, size: Size) -> Pixels:
    """image_processing_llama4.py: tiles of the best fit, then the whole image where there are several."""
    edges = values.edges("size")
    tile, most = edges.get("height"), values.integer("max_patches")
    if tile is None or edges.get("width") != tile or most > MAX_TILES:
        raise UnknownValue("size is not square")
    rows, columns = resizing.chunks(size, tile, most, largest=values.flag("resize_to_max_canvas"))
    return Pixels(original=size, height=tile, width=tile, tiles=rows * columns + (1 if rows * columns > 1 else 0))


_PLAIN = {"do_resize": True, "do_center_crop": False, "crop_size": None, "do_pad": False}
_CROPPED = {**_PLAIN, "size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": _square(224)}
_PACKED: Mapping[str, Any] = {
    "do_resize": True,
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
    "min_pixels": None,
    "max_pixels": None,
}
_TILED = {"do_resize": True, "crop_to_patches": False, "min_patches": 1, "max_patches": 12}
_SPLIT: Mapping[str, Any] = {
    "do_resize": True,
    "do_image_splitting": True,
    "size": {"longest_edge": 4 * 364},
    "max_image_size": {"longest_edge": 364},
}
_NEXT_PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
_ONEVISION_PINPOINTS = [[384 * h, 384 * w] for h in range(1, 7) for w in range(1, 7)]

CLASSES: Mapping[str, ImageClass] = {
    "CLIPImageProcessor": ImageClass(_CROPPED, _whole),
    "BitImageProcessor": ImageClass(_CROPPED, _whole),
    "LlavaImageProcessor": ImageClass(_CROPPED, _whole),
    "VideoLlavaImageProcessor": ImageClass(_CROPPED, _whole),
    "SiglipImageProcessor": ImageClass({**_PLAIN, "size": _square(224)}, _whole),
    "ViTImageProcessor": ImageClass({**_PLAIN, "size": _square(224)}, _whole),
    "BlipImageProcessor": ImageClass({**_PLAIN, "size": _square(384)}, _whole),
    "LlavaNextImageProcessor": ImageClass({**_CROPPED, "image_grid_pinpoints": _NEXT_PINPOINTS}, _anyres),
    "LlavaOnevisionImageProcessor": ImageClass(
        {**_PLAIN, "size": _square(384), "image_grid_pinpoints": _ONEVISION_PINPOINTS}, _anyres
    ),
    "Qwen2VLImageProcessor": ImageClass(
        {**_PACKED, "size": {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 1280}}, _qwen
    ),
    "Glm4vImageProcessor": ImageClass(
        {**_PACKED, "size": {"shortest_edge": 112 * 112, "longest_edge": 28 * 28 * 15000}}, _glm
    ),
    "Glm46VImageProcessor": ImageClass(
        {**_PACKED, "size": {"shortest_edge": 112 * 112, "longest_edge": 28 * 28 * 15000}}, _glm
    ),
    "PixtralImageProcessor": ImageClass(
        {"do_resize": True, "size": {"longest_edge": 1024}, "patch_size": 16}, _pixtral
    ),
    "GotOcr2ImageProcessor": ImageClass({**_TILED, "size": _square(384)}, _tiled),
    "Cohere2VisionImageProcessor": ImageClass({**_TILED, "size": _square(512), "crop_to_patches": True}, _tiled),
    "Idefics2ImageProcessor": ImageClass(
        {"do_resize": True, "do_image_splitting": False, "size": {"shortest_edge": 378, "longest_edge": 980}}, _quarters
    ),
    "Idefics3ImageProcessor": ImageClass(_SPLIT, _squares),
    "SmolVLMImageProcessor": ImageClass(_SPLIT, _squares),
    "Gemma3ImageProcessor": ImageClass({"do_resize": True, "size": _square(224), "do_pan_and_scan": None}, _crops),
    "MllamaImageProcessor": ImageClass({"size": _square(224), "max_image_tiles": 4}, _padded_tiles),
    "Llama4ImageProcessor": ImageClass(
        {"size": _square(336), "max_patches": 16, "resize_to_max_canvas": False}, _chunked
    ),
}
"""By class name without `Fast`."""
