"""The fixed batch that the self-test runs: two pictures of the shapes world, a text and a written caption for each.

Shapes: B samples, N patches, T text tokens, U written tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from mmdoctor.reference.processor import Pixels, Processor
from mmdoctor.reference.scenes import Dice, Scene, Thing, caption, draw

SCENES: tuple[Scene, ...] = (
    (Thing("large", "red", "circle", 0, 7, 8, 7), Thing("small", "blue", "square", 8, 40, 39, 4)),
    (Thing("large", "green", "triangle", 1, 8, 24, 7), Thing("small", "white", "ring", 5, 23, 40, 5)),
)
CAPTIONS = tuple(map(caption, SCENES))
TEXTS: tuple[str | tuple[str, str], ...] = (
    "<image> what color is the large circle ?",
    (f"<image> {caption(SCENES[1][:1])}", caption(SCENES[1][1:]).replace("white", "[MASK]")),
)


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
    """One at the model's own size, and one that must be resized: twice as high and three times as wide."""
    own, other = (draw(scene, Dice("held-out", 0, number)) for number, scene in enumerate(SCENES))
    return own, other.repeat(2, axis=0).repeat(3, axis=1)


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
