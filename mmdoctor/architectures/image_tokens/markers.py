"""Tokens beside the placeholders of an image: what starts and ends it, its rows and its tiles.

They cost context like the placeholders, and the model puts no features into them. transformers 5.23,
`replace_image_token` of models/*/processing_*.py, and the chat templates of the Qwen and GLM families, which put one
token before the image and one behind it.
A marker is taken for one token, as in the published tokenizers.
"""

from collections.abc import Callable, Mapping

from mmdoctor.architectures.image_tokens import classes, resizing
from mmdoctor.architectures.image_tokens.families import IMAGES, PROCESSORS
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.facts.image_tokens import Pixels
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor


def count_markers(
    model: MultimodalModel, images: ImageProcessor, processor: Processor | None, pixels: Pixels
) -> int | None:
    """Markers of one image, None where they are not known."""
    try:
        name, kind = classes(model, images, processor)
    except UnknownFamily:
        return None
    if name not in _COUNTS:
        return None
    joint = PROCESSORS[name]
    settings = Values(processor.settings if processor is not None else None, name, joint.defaults)
    made_by = Values(images.settings, kind, IMAGES[kind].defaults, imposed=joint.imposed(settings))
    try:
        return _COUNTS[name](settings, made_by, pixels)
    except (UnknownValue, Refused):
        return None


def _none(_: Values, __: Values, ___: Pixels) -> int:
    return 0


def _both_ends(_: Values, __: Values, ___: Pixels) -> int:
    return 2


def _rows(settings: Values, _: Values, pixels: Pixels) -> int:
    """A break behind each row, the last of which is the end of the image."""
    return pixels.height // (settings.integer("patch_size") * settings.integer("spatial_merge_size"))


def _tiles_and_ends(_: Values, __: Values, pixels: Pixels) -> int:
    return pixels.tiles + 2


def _between_tiles(_: Values, __: Values, pixels: Pixels) -> int:
    return pixels.tiles + 1


def _framed(_: Values, __: Values, pixels: Pixels) -> int:
    """Two line breaks, the start and the end, two line breaks; pan and scan would add text."""
    return 4 * pixels.tiles


def _separated(_: Values, __: Values, pixels: Pixels) -> int:
    """Start, whole image and end, and a separator behind each tile."""
    return 3 + (pixels.tiles - 1 if pixels.tiles > 1 else 0)


def _named_tiles(_: Values, images: Values, pixels: Pixels) -> int:
    """Each tile has a start and its row and column, each row of tiles a line break, and the last tile an end."""
    rows = 0
    if pixels.tiles > 1:
        longest = images.edges("size").get("longest_edge", pixels.height)
        rows, _columns = resizing.split_squares(pixels.original, longest, pixels.height)
    return 2 * pixels.tiles + 1 + rows


_COUNTS: Mapping[str, Callable[[Values, Values, Pixels], int]] = {
    **dict.fromkeys(("LlavaProcessor", "VideoLlavaProcessor", "LlavaNextProcessor", "LlavaNextVideoProcessor"), _none),
    **dict.fromkeys(
        ("LlavaOnevisionProcessor", "PaliGemmaProcessor", "Blip2Processor", "InstructBlipProcessor"), _none
    ),
    "MllamaProcessor": _none,
    **dict.fromkeys(
        ("Qwen2VLProcessor", "Qwen2_5_VLProcessor", "Qwen3VLProcessor", "Qwen2_5OmniProcessor"), _both_ends
    ),
    **dict.fromkeys(("Glm4vProcessor", "Glm46VProcessor", "InternVLProcessor"), _both_ends),
    "PixtralProcessor": _rows,
    **dict.fromkeys(("AyaVisionProcessor", "Cohere2VisionProcessor"), _tiles_and_ends),
    "Idefics2Processor": _between_tiles,
    **dict.fromkeys(("Idefics3Processor", "SmolVLMProcessor"), _named_tiles),
    "Gemma3Processor": _framed,
    "Llama4Processor": _separated,
}
"""By processor class."""
