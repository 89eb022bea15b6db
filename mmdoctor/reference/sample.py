"""The fixed batch that the self-test runs: two drawn pictures, a text and a written caption for each.

Drawn with whole numbers only, so that every machine sees the same pixels.
Shapes: Y and X pixel rows and columns, C colour channels, B samples, N patches, T text tokens, U written tokens.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmdoctor.reference.processor import Pixels, Processor

TEXTS: tuple[str | tuple[str, str], ...] = (
    "<image> what color is the large circle above the square ?",
    ("<image> a small green triangle", "there is a [MASK] ring on the right ."),
)
CAPTIONS = ("a large red circle above a small blue square", "a small green triangle and a white ring")

_COLOURS = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (50, 80, 230), "white": (240, 240, 240)}


class Batch(NamedTuple):
    """Arguments of the model's `forward`, in its order."""

    pixel_values: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    masked_patches: Tensor
    decoder_input_ids: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> "Batch":
        """The same batch there; only the pictures have a floating point type."""
        moved = [tensor.to(device) for tensor in self]
        return Batch(moved[0].to(dtype), *moved[1:])

    def samples(self, indices: list[int]) -> "Batch":
        """A batch of those samples, one index may come more than once."""
        return Batch(*(tensor[indices] for tensor in self))


def pictures() -> tuple[Pixels, Pixels]:
    """One at the model's own size, and one that must be resized, not square."""
    return (
        _draw(48, 48, [("circle", "red", 16, 18, 12), ("square", "blue", 36, 34, 6)]),
        _draw(70, 96, [("triangle", "green", 40, 24, 15), ("ring", "white", 34, 70, 16)]),
    )


def batch(processor: Processor, num_patches: int) -> Batch:
    """Both samples as the processor makes them; every fifth patch of the second picture is masked."""
    inputs = processor(pictures(), TEXTS)
    tokenizer = processor.tokenizer
    written = [[tokenizer.special["[BOS]"], *tokenizer.ids(caption)] for caption in CAPTIONS]
    longest = max(map(len, written))
    masked_BN = torch.zeros(len(TEXTS), num_patches, dtype=torch.bool)
    masked_BN[1, ::5] = True
    return Batch(
        torch.from_numpy(inputs.pixel_values),
        torch.tensor(inputs.text.input_ids),
        torch.tensor(inputs.text.attention_mask),
        torch.tensor(inputs.text.token_type_ids),
        masked_BN,
        torch.tensor([row + [tokenizer.special["[PAD]"]] * (longest - len(row)) for row in written]),
    )


def _draw(height: int, width: int, objects: list[tuple[str, str, int, int, int]]) -> Pixels:
    """Objects are (shape, colour, centre row, centre column, radius), on a dark speckled ground."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    speckle_YX = (y * 7919 + x * 104729 + y * x * 31) % 23
    canvas_YXC = np.repeat(speckle_YX[..., None], 3, axis=2).astype(np.uint8)
    for shape, colour, row, column, radius in objects:
        canvas_YXC[_inside(shape, y - row, x - column, radius)] = _COLOURS[colour]
    return canvas_YXC


def _inside(shape: str, down: Any, right: Any, radius: int) -> Any:
    if shape == "square":
        return (abs(down) <= radius) & (abs(right) <= radius)
    if shape == "triangle":
        return (abs(down) <= radius) & (2 * abs(right) <= down + radius)
    squared = down**2 + right**2
    return (squared <= radius**2) & ((shape == "circle") | (4 * squared >= radius**2))
