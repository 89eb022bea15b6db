"""Tokens of an image as the processor and as the model count them."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Edit, Scalar
from mmdoctor.location import Location


class Used(msgspec.Struct, frozen=True):
    """A value that went into a count."""

    what: str
    """Its key, after the section where that matters: `vision_config.patch_size`."""
    value: Scalar
    at: Location = Location()
    """Where it stands; the section where it is absent and the class default holds."""
    default_of: str | None = None
    """The class whose default it is; None where a file states it."""

    def set_to(self, value: msgspec.Raw | Scalar | dict[str, Scalar]) -> tuple[Edit, ...]:
        """The change to its file that gives it another value; none where there is no file."""
        if not self.at.file or self.at.pointer is None:
            return ()
        key = self.what.rpartition(".")[2]
        pointer = self.at.pointer if self.default_of is None else f"{self.at.pointer}/{key}"
        return (Edit(file=self.at.file, pointer=pointer, value=value),)


class Pixels(msgspec.Struct, frozen=True, kw_only=True):
    """What an image processor makes of one image."""

    original: tuple[int, int]
    """(height, width) of the image."""
    height: int
    """Pixels of each tensor; of packed patches, of the resized image."""
    width: int
    tiles: int = 1
    """Tensors of that size for the one image."""
    grid: tuple[int, int] | None = None
    """(rows, columns) of patches where they are packed into one sequence (`image_grid_thw`)."""
    patch_values: int | None = None
    """Numbers in one packed patch: channels x frames x pixels."""
    sized: bool = False
    """`image_sizes` goes along, so the model knows the size of what it gets."""
    thumbnail: tuple[int, int] | None = None
    """(height, width) of the whole image in one more tensor, where that is not of the tiles' size."""
    layout: tuple[int, int] | None = None
    """(rows, columns) of tiles, the whole image not counted."""
    padding: tuple[int, int] = (0, 0)
    """Patches (below, to the right) of the laid out tiles that are padding."""
    edge: int = 0
    """Edge in pixels of the tiles that the image was cut to, before they were brought to size."""

    @property
    def text(self) -> str:
        """Such as `5 x 336x336 px` (width x height)."""
        return f"{self.tiles} x {self.width}x{self.height} px" if self.tiles > 1 else f"{self.width}x{self.height} px"


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One side's count for one image."""

    count: int | None
    """Tokens; None where this side would raise instead."""
    arithmetic: str
    """How it came about: `(336 // 14) x (336 // 14) + 1 - 1`; why it would raise where it would."""
    used: tuple[Used, ...] = ()


class TokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' counts for one image."""

    width: int
    """Of the image, in pixels."""
    height: int
    pixels: Pixels
    placeholders: Side
    """Placeholders that the processor writes into the prompt for the image."""
    features: Side
    """Vectors that the model makes of the image."""

    @property
    def agree(self) -> bool:
        """Whether prompt and model fit."""
        return self.placeholders.count == self.features.count


class ImageTokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Both counts for a few images: square, wide, usual and small."""

    processor_class: str
    """The class that joins tokenizer and image processor, as stated or as the model type usually has it."""
    image_processor_class: str
    """Without what only names its backend."""
    counts: tuple[TokenCount, ...]
    """One an image, those left out that the image processor refuses by design."""
    agreeing_copy: Location | None = None
    """Where they disagree: another copy of the image processor's settings with which they would agree. transformers 4
    and 5 look at different copies first."""
    own: Side | None = None
    """What the model makes of one tensor of its own `image_size`; None where any size will do or the tensors of an
    image are not counted one by one."""

    @property
    def wrong(self) -> TokenCount | None:
        """The first of them in which the sides disagree or the model refuses the image."""
        return next((c for c in self.counts if not c.agree or c.features.count is None), None)

    def of(self, width: int, height: int) -> TokenCount | None:
        """The counts for an image of that size, if it is among them."""
        return next((c for c in self.counts if (c.width, c.height) == (width, height)), None)


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The images that the user asks about; a run starts from it."""

    sizes: tuple[tuple[int, int], ...] = ()
    """(width, height) in pixels."""
    per_prompt: int = 1
    """Images of one prompt."""


class ImagePrice(msgspec.Struct, frozen=True, kw_only=True):
    """What an image of one size costs."""

    width: int
    height: int
    count: TokenCount | None
    """None where it cannot be told or the image is refused."""
    reason: str = ""
    """Why there is no count."""
    markers: int | None = 0
    """Tokens around and between the placeholders (start, end, rows, tiles) that the processor writes beside them, where
    each is one token; None where that is not known."""


class ImagePrices(msgspec.Struct, frozen=True, kw_only=True):
    """What the images cost that the user asks about."""

    prices: tuple[ImagePrice, ...]
    per_prompt: int = 1


class LargestImage(msgspec.Struct, frozen=True, kw_only=True):
    """The dearest and the cheapest of many images, of all shapes up to 16 megapixels, and a usual one."""

    dearest: TokenCount
    cheapest: TokenCount
    usual: TokenCount
    """Of 1024 x 768 pixels; the cheapest where the processor does not take that."""


class AnyresGrids(msgspec.Struct, frozen=True, kw_only=True):
    """The grids that a large image is cut by, as the image processor and as the model list them."""

    processor: Used
    model: Used
    example: TokenCount | None = None
    """An image for which the two lists choose different grids; None where they always choose the same."""
    chosen: tuple[tuple[int, int], tuple[int, int]] | None = None
    """Those grids, (height, width) in pixels: the processor's, the model's."""
    right: tuple[tuple[int, int], ...] = ()
    """The model's list, (height, width) in pixels."""
    edge: Used | None = None
    """Edge in pixels of the tiles that the tower takes."""
    uneven: tuple[tuple[int, int], ...] = ()
    """Grids of the model's list, (height, width), that are no whole tiles."""
    limits: tuple[Used, Used] | None = None
    """`vision_aspect_ratio` of processor and model, where the family has it."""
    limited: TokenCount | None = None
    """An image that becomes another number of tokens by one limit than by the other."""


class LlavaProcessor(msgspec.Struct, frozen=True, kw_only=True):
    """A processor of LLaVA's kind, whose class cannot do without settings that it has no default for."""

    processor_class: str
    needed: str
    """The setting without which it fails: `patch_size` or `num_image_tokens`."""
    settings: Settings | None = None
    """processor_config.json; None where there is none."""
    right: Mapping[str, Scalar] = {}
    """What the settings have to be, as far as that follows from config.json."""
    because: tuple[Used, ...] = ()
    """The values of config.json that it follows from."""
