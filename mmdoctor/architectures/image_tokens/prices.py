"""What images cost in tokens: those that the user asks about, the dearest and the cheapest."""

from collections.abc import Iterator

from mmdoctor.architectures.image_tokens import count_image_tokens
from mmdoctor.architectures.image_tokens.markers import count_markers
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.image_tokens import ImagePrice, ImagePrices, ImageRequest, LargestImage, TokenCount
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor

SHAPES = ((1, 1), (4, 3), (3, 2), (16, 9), (2, 1), (3, 1), (4, 1), (6, 1), (8, 1), (12, 1), (5, 4), (9, 4), (5, 2))
"""Width to height: what cameras, screens, scanners and panoramas make, and the grids of up to twelve tiles."""
USUAL = (1024, 768)
"""(width, height) in pixels."""
AREAS = (32**2, 336**2, 1024**2, 2048**2, 4096**2)
"""Pixels, up to 16 megapixels."""


def image_prices(
    request: ImageRequest,
    model: MultimodalModel | None,
    vision: VisionModel | None,
    images: ImageProcessor | None,
    processor: Processor | None,
) -> ImagePrices:
    """What the images cost that the user asks about, or why that cannot be told."""
    prices = [_price(model, vision, images, processor, width, height) for width, height in request.sizes]
    return ImagePrices(prices=tuple(prices), per_prompt=request.per_prompt)


def _price(
    model: MultimodalModel | None,
    vision: VisionModel | None,
    images: ImageProcessor | None,
    processor: Processor | None,
    width: int,
    height: int,
) -> ImagePrice:
    if model is None:
        reason = "there is no config.json that is understood"
        return ImagePrice(width=width, height=height, count=None, reason=reason, markers=None)
    try:
        count = count_image_tokens(model, vision, images, processor, width, height)
    except (Refused, UnknownValue, UnknownFamily) as answer:
        return ImagePrice(width=width, height=height, count=None, reason=str(answer), markers=None)
    markers = count_markers(model, images, processor, count.pixels) if images is not None else None
    return ImagePrice(width=width, height=height, count=count, markers=markers)


def largest_image(
    model: MultimodalModel, vision: VisionModel | None, images: ImageProcessor | None, processor: Processor | None
) -> LargestImage:
    """The dearest and the cheapest image of many.

    Raises:
        NotApplicable: the formulae of the family are not known.
        Unavailable: a value is neither stated nor a known default.
    """
    counts = []
    for width, height in _sizes():
        try:
            counts.append(count_image_tokens(model, vision, images, processor, width, height))
        except Refused:
            continue
        except UnknownFamily as reason:
            raise NotApplicable(str(reason)) from None
        except UnknownValue as reason:
            raise Unavailable(f"image tokens cannot be counted: {reason}") from None
    counts = [c for c in counts if c.placeholders.count]
    if not counts:
        raise Unavailable("no image is known that the processor takes")
    cheapest = min(counts, key=_cost)
    usual = next((c for c in counts if (c.width, c.height) == USUAL), cheapest)
    return LargestImage(dearest=max(counts, key=_cost), cheapest=cheapest, usual=usual)


def _cost(count: TokenCount) -> int:
    return count.placeholders.count or 0


def _sizes() -> Iterator[tuple[int, int]]:
    """(width, height), the smaller ones of a shape first."""
    yield USUAL
    for area in AREAS:
        for wide, high in SHAPES:
            scale: float = (area / (wide * high)) ** 0.5
            sides = max(1, round(scale * wide)), max(1, round(scale * high))
            yield sides
            if wide != high:
                yield sides[1], sides[0]
