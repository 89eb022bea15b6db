"""Tokens of an image, counted twice: as the processor writes placeholders, and as the model makes features.

Three things are read apart from each other, each as the class that loads it would read it: the image processor's
settings give the sizes of the tensors, the processor's the number of placeholders, config.json the number of features.
So a setting that was changed on one side only shows up as two different counts.
"""

from mmdoctor.architectures.image_tokens import features as models
from mmdoctor.architectures.image_tokens import pixels as image_processors
from mmdoctor.architectures.image_tokens import placeholders as processors
from mmdoctor.architectures.image_tokens.families import USUAL
from mmdoctor.architectures.image_tokens.sides import Pixels, Refused, Side, TokenCount, UnknownValue, Used, Values
from mmdoctor.architectures.image_tokens.vision_values import VisionValues
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings

__all__ = ["Pixels", "Refused", "Side", "TokenCount", "UnknownValue", "Used", "count_image_tokens", "is_countable"]

_RENAMED = {
    "Qwen2_5_VLImageProcessor": "Qwen2VLImageProcessor",
    "Qwen3VLImageProcessor": "Qwen2VLImageProcessor",
    "InternVLImageProcessor": "GotOcr2ImageProcessor",
}
"""Names that stood in files for a while."""


def is_countable(model: MultimodalModel) -> bool:
    """Whether the formulae of this model's family are known, and transformers' own class is what will load it."""
    return model.config.model_type in models.CLASSES and not model.remote_code and model.external_tower is None


def count_image_tokens(
    model: MultimodalModel,
    vision: VisionModel,
    images: ImageProcessor,
    processor: Processor | None,
    width: int,
    height: int,
) -> TokenCount:
    """Placeholders and features of one image of that size in pixels.

    Raises:
        UnknownValue: the family is not known, or a value is neither stated nor a known default.
        Refused: the image processor takes no image of that size.
    """
    model_type = model.config.model_type or ""
    if not is_countable(model):
        raise UnknownValue(f"no formula is known for {model_type or 'this model'}")
    usual_processor, usual_images = USUAL[model_type]
    joint = processors.CLASSES.get(_processor_class(images, processor) or usual_processor)
    kind = image_class(images.type.value if images.type is not None else usual_images)
    maker = image_processors.CLASSES.get(kind)
    if joint is None or maker is None:
        raise UnknownValue(f"no formula is known for {kind if maker is None else _processor_class(images, processor)}")
    name = _processor_class(images, processor) or usual_processor
    settings = Values(processor.settings if processor is not None else None, name, joint.defaults)
    made_by = Values(images.settings, kind, maker.defaults, imposed=joint.imposed(settings))
    pixels = maker.pixels(made_by, (height, width))
    return TokenCount(
        width=width,
        height=height,
        pixels=pixels,
        placeholders=_placeholders(joint, settings, made_by, pixels),
        features=_features(model, vision, pixels),
    )


def image_class(name: str) -> str:
    """A class of image processors without what only names its backend or its age."""
    name = name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    return _RENAMED.get(name, name)


def _placeholders(joint: processors.ProcessorClass, settings: Values, images: Values, pixels: Pixels) -> Side:
    try:
        count, arithmetic = joint.count(settings, images, pixels)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=settings.used + images.used)
    return Side(count=count, arithmetic=arithmetic, used=settings.used + images.used)


def _features(model: MultimodalModel, vision: VisionModel, pixels: Pixels) -> Side:
    config = model.config
    kind = models.CLASSES[config.model_type or ""]
    top = Values(Settings(document=config.document), f"the configuration class of {config.model_type}", kind.defaults)
    reader = VisionValues(vision, config.document)
    try:
        count, arithmetic = kind.count(models.Model(top, reader, vision.model_type), pixels)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=reader.used + top.used)
    return Side(count=count, arithmetic=arithmetic, used=reader.used + top.used)


def _processor_class(images: ImageProcessor, processor: Processor | None) -> str | None:
    """The class that AutoProcessor takes: processor_config.json names it, else the image processor's file."""
    if processor is not None and processor.processor_class is not None:
        return processor.processor_class.value
    stated = images.settings.read("processor_class", str)
    return stated.value if stated is not None else None
