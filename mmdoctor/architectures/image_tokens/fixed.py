"""Families whose processor writes the same number of placeholders for every image.

Janus and DeepSeek-VL (a square with margins), Florence-2, Kosmos-2, Gemma 3n; transformers 5.23, models/*/.
"""

from collections.abc import Mapping

from mmdoctor.architectures.image_tokens.features import Model, ModelClass
from mmdoctor.architectures.image_tokens.pixels import ImageClass, Size
from mmdoctor.architectures.image_tokens.placeholders import ProcessorClass
from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels

Counted = tuple[int, str]
"""(count, arithmetic)."""


def _square(values: Values, key: str) -> int:
    edges = values.edges(key)
    if edges.get("height") is None or edges.get("height") != edges.get("width"):
        raise UnknownValue(f"{key} is not a square")
    return edges["height"]


def _margins(values: Values, size: Size) -> Pixels:
    """image_processing_janus.py and image_processing_deepseek_vl.py: the longest edge to size, then a square."""
    height, width = size
    if values.flag("do_resize"):
        scale, least = _square(values, "size") / max(size), values.integer("min_size")
        height, width = max(round(height * scale), least), max(round(width * scale), least)
    if values.flag("do_pad"):
        height = width = max(height, width)
    return Pixels(original=size, height=height, width=width)


def _both_margins(values: Values, size: Size) -> Pixels:
    """image_processing_deepseek_vl_hybrid.py: the small square is made from the large one."""
    if not values.flag("do_resize") or not values.flag("do_pad"):
        raise Refused(f"{values.owner} without do_resize or do_pad: UnboundLocalError")
    _square(values, "high_res_size")
    edge = max(_square(values, "size"), values.integer("min_size"))
    return Pixels(original=size, height=edge, width=edge)


def _own(key: str) -> ProcessorClass:
    def count(values: Values, _: Values, __: Pixels) -> Counted:
        return values.integer(key), f"{key} {values.integer(key)}"

    return ProcessorClass({}, count)


def _with(default: int, key: str) -> ProcessorClass:
    return ProcessorClass({key: default}, _own(key).count)


def _of_the_image_processor(values: Values, images: Values, _: Pixels) -> Counted:
    if images.stated("image_seq_length") is None:
        raise Refused(f"{images.owner} has no image_seq_length: AttributeError in {values.owner}")
    count = images.integer("image_seq_length")
    return count, f"image_seq_length {count}"


def _sixty_four(_: Values, __: Values, ___: Pixels) -> Counted:
    return 64, "num_image_tokens 64, a constant of Kosmos2Processor"


def _patches(model: Model, pixels: Pixels) -> Counted:
    return model.positions(pixels)


def _latents(model: Model, pixels: Pixels) -> Counted:
    """modeling_kosmos2.py, Kosmos2ImageToTextProjection: learned queries, whatever the tower makes."""
    model.positions(pixels)
    count = model.top.integer("latent_query_num")
    return count, f"latent_query_num {count}"


def _convolved(model: Model, pixels: Pixels) -> Counted:
    """modeling_florence2.py: the stages of DaViT, then the mean over all places, and all places."""
    height, width = pixels.height, pixels.width
    stages = [model.vision.numbers(key) for key in ("patch_size", "patch_stride", "patch_padding")]
    for kernel, stride, padding in zip(*stages, strict=False):
        if not stride or min(height, width) + 2 * padding < kernel:
            raise Refused(f"{pixels.text} are too few for the convolutions")
        height, width = ((edge + 2 * padding - kernel) // stride + 1 for edge in (height, width))
    most = model.vision.integer("max_position_embeddings")
    if max(height, width) > most:
        raise Refused(f"{width} x {height} places are more than the {most} positions of a row or column: IndexError")
    return 1 + height * width, f"1 for the whole image, {height} x {width} places"


def _soft(model: Model, pixels: Pixels) -> Counted:
    """modeling_gemma3n.py, get_image_features: the tower's fusion layer scales all maps to 16 x 16."""
    count = model.top.integer("vision_soft_tokens_per_image")
    if model.vision.get("architecture") != "mobilenetv5_300m_enc":
        raise UnknownValue(f"what {model.vision.get('architecture')} of timm makes of an image is not known")
    if min(pixels.height, pixels.width) < _LEAST_FUSED:
        raise UnknownValue(f"what the tower makes of {pixels.text} is not known")
    if count != _FUSED**2:
        raise Refused(f"{_FUSED} x {_FUSED} places cannot be laid out as vision_soft_tokens_per_image {count}")
    return count, f"{_FUSED} x {_FUSED} places of the fusion layer"


_FUSED = 16
"""timm 1.0, mobilenetv5.py, MobileNetV5MultiScaleFusionAdapter: output_resolution 16."""
_LEAST_FUSED = 256
"""Pixels an edge from which the fused maps are no smaller than that."""

_CROPPED = {"do_resize": True, "do_pad": True, "min_size": 14, "size": {"height": 384, "width": 384}}
_STAGES = {"patch_size": [7, 3, 3, 3], "patch_stride": [4, 2, 2, 2], "patch_padding": [3, 1, 1, 1]}

IMAGES: Mapping[str, ImageClass] = {
    "JanusImageProcessor": ImageClass(_CROPPED, _margins),
    "DeepseekVLImageProcessor": ImageClass(_CROPPED, _margins),
    "DeepseekVLHybridImageProcessor": ImageClass(
        {**_CROPPED, "high_res_size": {"height": 1024, "width": 1024}}, _both_margins
    ),
}
PROCESSORS: Mapping[str, ProcessorClass] = {
    "JanusProcessor": _with(576, "num_image_tokens"),
    "DeepseekVLProcessor": _with(576, "num_image_tokens"),
    "DeepseekVLHybridProcessor": _with(576, "num_image_tokens"),
    "Florence2Processor": ProcessorClass({}, _of_the_image_processor),
    "Kosmos2Processor": ProcessorClass({}, _sixty_four),
    "Gemma3nProcessor": _with(256, "image_seq_length"),
}
MODELS: Mapping[str, ModelClass] = {
    "janus": ModelClass({}, _patches),
    "deepseek_vl": ModelClass({}, _patches),
    "deepseek_vl_hybrid": ModelClass({}, _patches),
    "florence2": ModelClass({}, _convolved, {**_STAGES, "max_position_embeddings": 50}),
    "kosmos-2": ModelClass({"latent_query_num": 64}, _latents),
    "gemma3n": ModelClass({"vision_soft_tokens_per_image": 256}, _soft, {"architecture": "mobilenetv5_300m_enc"}),
}
USUAL: Mapping[str, tuple[str, str]] = {
    "janus": ("JanusProcessor", "JanusImageProcessor"),
    "deepseek_vl": ("DeepseekVLProcessor", "DeepseekVLImageProcessor"),
    "deepseek_vl_hybrid": ("DeepseekVLHybridProcessor", "DeepseekVLHybridImageProcessor"),
    "florence2": ("Florence2Processor", "CLIPImageProcessor"),
    "kosmos-2": ("Kosmos2Processor", "CLIPImageProcessor"),
    "gemma3n": ("Gemma3nProcessor", "SiglipImageProcessor"),
}
