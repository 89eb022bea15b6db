"""The grids by which LLaVA-NeXT and LLaVA-OneVision cut an image: both sides choose one, each from its own list."""

from collections.abc import Iterator

from mmdoctor.architectures.image_tokens import classes, count_image_tokens, resizing
from mmdoctor.architectures.image_tokens.families import IMAGES, MODELS, PROCESSORS
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.architectures.image_tokens.vision_values import VisionValues
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.image_tokens import AnyresGrids, TokenCount, Used
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings

Size = tuple[int, int]
"""(height, width) in pixels."""

KEY, LIMIT = "image_grid_pinpoints", "vision_aspect_ratio"
MAX_GRIDS = 400
"""LLaVA-OneVision has 36; more than these are not compared one by one."""


def anyres_grids(
    model: MultimodalModel, vision: VisionModel, images: ImageProcessor, processor: Processor | None
) -> AnyresGrids:
    """Both lists, and an image that they treat differently if there is one.

    Raises:
        NotApplicable: the family does not choose from a list of grids.
        Unavailable: a list is there and is none.
    """
    try:
        name, kind = classes(model, images, processor)
    except UnknownFamily as reason:
        raise NotApplicable(str(reason)) from None
    own, theirs = MODELS[model.config.model_type or ""].defaults, IMAGES[kind].defaults
    if KEY not in own or KEY not in theirs:
        raise NotApplicable("this family does not cut images by a list of grids")
    document = Settings(document=model.config.document)
    top = Values(document, f"the configuration class of {model.config.model_type}", own)
    made_by = Values(images.settings, kind, theirs)
    joint = Values(processor.settings if processor is not None else None, name, PROCESSORS[name].defaults)
    reader = VisionValues(vision, model.config.document)
    try:
        edge = reader.integer("image_size")
        lists = made_by.resolutions(KEY), top.resolutions(KEY)
    except UnknownValue as reason:
        raise Unavailable(f"the grids cannot be compared: {reason}") from None
    if max(map(len, lists)) > MAX_GRIDS:
        raise Unavailable(f"{KEY} has more than {MAX_GRIDS} entries")
    found = next(_differently_cut(*lists), None)
    limits = _limits(joint, top)
    return AnyresGrids(
        processor=_used(made_by, KEY),
        model=_used(top, KEY),
        example=_counted(model, vision, images, processor, found[0]) if found else None,
        chosen=found[1:] if found else None,
        right=tuple(lists[1]),
        edge=next((u for u in reader.used if u.what.endswith("image_size")), None),
        uneven=tuple(g for g in lists[1] if g[0] % edge or g[1] % edge),
        limits=limits,
        limited=_limited(model, vision, images, processor, lists) if limits else None,
    )


def _used(values: Values, key: str) -> Used:
    return next(u for u in values.used if u.what == key)


def _differently_cut(ours: list[Size], theirs: list[Size]) -> Iterator[tuple[Size, Size, Size]]:
    """(Image, the processor's grid, the model's) for images that the lists cut differently.

    An image of exactly a grid's size takes that grid where it is listed; squares show the order of equally good ones.
    """
    usual = [(768, 1024), (600, 1000), (336, 336), (1000, 1000), (4000, 3000)]
    for image in dict.fromkeys([*usual, *ours, *theirs]):
        mine, other = resizing.best_resolution(image, ours), resizing.best_resolution(image, theirs)
        if mine != other:
            yield image, mine, other


def _limits(joint: Values, top: Values) -> tuple[Used, Used] | None:
    """The two limits where they differ."""
    try:
        sides = joint.text(LIMIT), top.text(LIMIT)
    except UnknownValue:
        return None
    return (_used(joint, LIMIT), _used(top, LIMIT)) if sides[0] != sides[1] else None


def _limited(
    model: MultimodalModel,
    vision: VisionModel,
    images: ImageProcessor,
    processor: Processor | None,
    lists: tuple[list[Size], list[Size]],
) -> TokenCount | None:
    """An image that is cut alike by both, and shrunk by one limit only."""
    for image in sorted(set(lists[0]) & set(lists[1]), key=lambda g: -g[0] * g[1]):
        count = _counted(model, vision, images, processor, image)
        if count is not None and not count.agree:
            return count
    return None


def _counted(
    model: MultimodalModel, vision: VisionModel, images: ImageProcessor, processor: Processor | None, image: Size
) -> TokenCount | None:
    try:
        return count_image_tokens(model, vision, images, processor, image[1], image[0])
    except (Refused, UnknownValue, UnknownFamily):
        return None
