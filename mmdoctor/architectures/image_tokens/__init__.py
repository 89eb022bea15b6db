"""Tokens of an image, counted twice: as the processor writes placeholders, and as the model makes features.

Three things are read apart from each other, each as the class that loads it would read it: the image processor's
settings give the sizes of the tensors, the processor's the number of placeholders, config.json the number of features.
So a setting that was changed on one side only shows up as two different counts.
"""

from contextlib import suppress

from mmdoctor.architectures.image_tokens import published
from mmdoctor.architectures.image_tokens.families import IMAGES as IMAGE_CLASSES
from mmdoctor.architectures.image_tokens.families import MODELS, PROCESSORS, USUAL
from mmdoctor.architectures.image_tokens.features import TOWERS, Model
from mmdoctor.architectures.image_tokens.placeholders import ProcessorClass
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.architectures.image_tokens.vision_values import VisionValues
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.image_tokens import ImageTokenCounts, Pixels, Side, TokenCount
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings
from mmdoctor.location import Location

__all__ = ["TOWERS", "Refused", "UnknownFamily", "UnknownValue", "classes", "count_image_tokens", "image_token_counts"]

IMAGES = ((336, 336), (1000, 600), (1024, 768), (64, 48))
"""(width, height) in pixels of the images that are counted: square, wide, usual, small."""

PER_TENSOR = frozenset(
    {"llava", "vipllava", "video_llava", "internvl", "aya_vision", "cohere2_vision", "llama4"}
    | {"idefics2", "idefics3", "smolvlm", "paligemma", "colpali", "gemma3", "shieldgemma2", "ovis2"}
)
"""Models that make the same number of vectors of each tensor of pixels, whatever else belongs to the image."""

_RENAMED = {
    "Qwen2_5_VLImageProcessor": "Qwen2VLImageProcessor",
    "Qwen3VLImageProcessor": "Qwen2VLImageProcessor",
    "InternVLImageProcessor": "GotOcr2ImageProcessor",
}
"""Names that stood in files for a while."""


def image_token_counts(
    model: MultimodalModel,
    vision: VisionModel | None,
    images: ImageProcessor | None,
    processor: Processor | None,
    documents: Documents | None = None,
) -> ImageTokenCounts:
    """Both counts for a few images.

    Raises:
        NotApplicable: the formulae of the family are not known, or code of the artefact that nobody published does the
            counting.
        Unavailable: a value is neither stated nor a known default, or stands in a file that cannot be read.
    """
    for file in ("processor_config.json", "preprocessor_config.json"):
        if documents is not None and (trouble := documents.trouble(file)):
            raise Unavailable(trouble)
    try:
        joint, made_by = _names(model, vision, images, processor)
        counts = _counts(model, vision, images, processor)
    except UnknownFamily as reason:
        raise NotApplicable(str(reason)) from None
    except UnknownValue as reason:
        raise Unavailable(f"image tokens cannot be counted: {reason}") from None
    copy = None
    if images is not None and not all(c.agree for c in counts):
        copy = _agreeing_copy(model, vision, images, processor)
    return ImageTokenCounts(
        processor_class=joint,
        image_processor_class=made_by,
        counts=tuple(counts),
        agreeing_copy=copy,
        own=_of_own_size(model, vision),
    )


def _of_own_size(model: MultimodalModel, vision: VisionModel | None) -> Side | None:
    if model.config.model_type not in PER_TENSOR or vision is None or vision.image_size is None:
        return None
    edge = vision.image_size.value
    with suppress(UnknownValue):
        return _features(model, vision, Pixels(original=(edge, edge), height=edge, width=edge))
    return None


def _counts(
    model: MultimodalModel, vision: VisionModel | None, images: ImageProcessor | None, processor: Processor | None
) -> list[TokenCount]:
    counts = []
    for width, height in IMAGES:
        with suppress(Refused):
            counts.append(count_image_tokens(model, vision, images, processor, width, height))
    return counts


def _agreeing_copy(
    model: MultimodalModel, vision: VisionModel | None, images: ImageProcessor, processor: Processor | None
) -> Location | None:
    for settings in images.others:
        copy = ImageProcessor(settings=settings, type=settings.read("image_processor_type", str))
        with suppress(UnknownFamily, UnknownValue):
            counts = _counts(model, vision, copy, processor)
            if counts and all(c.agree for c in counts):
                return settings.at()
    return None


def count_image_tokens(
    model: MultimodalModel,
    vision: VisionModel | None,
    images: ImageProcessor | None,
    processor: Processor | None,
    width: int,
    height: int,
) -> TokenCount:
    """Placeholders and features of one image of that size in pixels.

    Raises:
        UnknownFamily: no formula is known for one of the classes.
        UnknownValue: a value is neither stated nor a known default.
        Refused: the image processor takes no image of that size.
    """
    if published.family_of(model) is not None:
        return published.count(model, images, processor, (width, height))
    tower, eyes = _both(vision, images)
    name, kind = classes(model, eyes, processor)
    joint, maker = PROCESSORS[name], IMAGE_CLASSES[kind]
    settings = Values(processor.settings if processor is not None else None, name, joint.defaults)
    made_by = Values(eyes.settings, kind, maker.defaults, imposed=joint.imposed(settings))
    pixels = maker.pixels(made_by, (height, width))
    return TokenCount(
        width=width,
        height=height,
        pixels=pixels,
        placeholders=_placeholders(joint, settings, made_by, pixels),
        features=_features(model, tower, pixels),
    )


def _names(
    model: MultimodalModel, vision: VisionModel | None, images: ImageProcessor | None, processor: Processor | None
) -> tuple[str, str]:
    if published.family_of(model) is not None:
        return published.OWN_CODE, published.OWN_CODE
    _, eyes = _both(vision, images)
    return classes(model, eyes, processor)


def _both(vision: VisionModel | None, images: ImageProcessor | None) -> tuple[VisionModel, ImageProcessor]:
    if vision is None:
        raise UnknownFamily("config.json describes no vision tower")
    if images is None:
        raise UnknownFamily("no file has settings for images")
    return vision, images


def classes(model: MultimodalModel, images: ImageProcessor, processor: Processor | None) -> tuple[str, str]:
    """(Processor class, image processor class): as stated, else as the model type usually has them.

    Raises:
        UnknownFamily: no formula is known for one of them.
    """
    model_type = model.config.model_type or ""
    if model_type not in MODELS:
        raise UnknownFamily(f"no formula for image tokens is known for {model_type or 'this model'}")
    if model.remote_code or model.external_tower is not None:
        raise UnknownFamily("other code than transformers' own counts this model's image tokens")
    usual_processor, usual_images = USUAL[model_type]
    name = processor_class(images, processor) or usual_processor
    kind = image_class(images.type.value if images.type is not None else usual_images)
    for unknown in (n for n, known in ((name, PROCESSORS), (kind, IMAGE_CLASSES)) if n not in known):
        raise UnknownFamily(f"no formula for image tokens is known for {unknown}")
    return name, kind


def image_class(name: str) -> str:
    """A class of image processors without what only names its backend or its age."""
    name = name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    return _RENAMED.get(name, name)


def _placeholders(joint: ProcessorClass, settings: Values, images: Values, pixels: Pixels) -> Side:
    try:
        count, arithmetic = joint.count(settings, images, pixels)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=settings.used + images.used)
    return Side(count=count, arithmetic=arithmetic, used=settings.used + images.used)


def _features(model: MultimodalModel, vision: VisionModel, pixels: Pixels) -> Side:
    config = model.config
    kind = MODELS[config.model_type or ""]
    top = Values(Settings(document=config.document), f"the configuration class of {config.model_type}", kind.defaults)
    reader = VisionValues(vision, config.document, kind.vision)
    try:
        count, arithmetic = kind.count(Model(top, reader, vision.model_type), pixels)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=reader.used + top.used)
    return Side(count=count, arithmetic=arithmetic, used=reader.used + top.used)


def processor_class(images: ImageProcessor, processor: Processor | None) -> str | None:
    """The class that AutoProcessor takes: processor_config.json names it, else the image processor's file."""
    if processor is not None and processor.processor_class is not None:
        return processor.processor_class.value
    stated = images.settings.read("processor_class", str)
    return stated.value if stated is not None else None
