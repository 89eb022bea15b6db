"""The Vision Transformer: patches, linear projection, position embedding, encoder, normalised output.

Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", https://arxiv.org/abs/2010.11929, section 3.1.
Masked patches: Xie et al. 2021, "SimMIM", https://arxiv.org/abs/2111.09886: a learned vector takes a patch's place.

Shapes: B samples, C colour channels, Y and X pixel rows and columns, N patches, M = 1 + N positions (the class token
first), P patch side, Q numbers in a patch, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.reference.config import VisionConfig
from mmdoctor.reference.layers import Encoder


def patchify(pixels_BCYX: Tensor, patch_size: int) -> Tensor:
    """patches_BNQ, row by row; a patch's Q numbers in the order of a convolution's weight: channel, row, column."""
    return F.unfold(pixels_BCYX, kernel_size=patch_size, stride=patch_size).transpose(1, 2)


class PatchEmbedding(nn.Module):
    """A linear map of each patch, stored as the weight of the convolution that it equals.

    It is computed as a matrix product: cuDNN's convolutions round float32 to TF32 by default, torch's matrix products
    do not (https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices).
    """

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.patch_size = config.patch_size
        self.weight = nn.Parameter(
            torch.empty(config.hidden_size, config.num_channels, config.patch_size, config.patch_size)
        )
        self.bias = nn.Parameter(torch.empty(config.hidden_size))

    def forward(self, pixels_BCYX: Tensor) -> Tensor:
        return F.linear(patchify(pixels_BCYX, self.patch_size), self.weight.flatten(1), self.bias)


class VisionEmbeddings(nn.Module):
    """Class token and patches, each with its position."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embedding = PatchEmbedding(config)
        self.class_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.mask_embedding = nn.Parameter(torch.empty(config.hidden_size))
        self.position_embedding = nn.Embedding(1 + config.num_patches, config.hidden_size)

    def forward(self, pixels_BCYX: Tensor, masked_BN: Tensor | None = None) -> Tensor:
        """Raises `ValueError` for a picture of another size, or a mask of another number of patches."""
        config = self.config
        expected = (config.num_channels, config.image_size, config.image_size)
        observed = tuple(pixels_BCYX.shape[1:])
        if observed != expected:
            raise ValueError(f"a picture is (channels, rows, columns) {observed}, expected {expected}")
        patches_BND = self.patch_embedding(pixels_BCYX)
        if masked_BN is not None:
            if masked_BN.shape != patches_BND.shape[:2]:
                samples, patches = patches_BND.shape[:2]
                raise ValueError(f"the patch mask is {tuple(masked_BN.shape)}, expected {(samples, patches)}")
            patches_BND = torch.where(masked_BN[..., None], self.mask_embedding, patches_BND)
        class_B1D = self.class_embedding.expand(len(patches_BND), 1, -1)
        return torch.cat([class_B1D, patches_BND], dim=1) + self.position_embedding.weight


class VisionModel(nn.Module):
    """Picture to one vector a position, the class token's first."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = VisionEmbeddings(config)
        self.encoder = Encoder(config, norm_first=True)
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixels_BCYX: Tensor, masked_BN: Tensor | None = None) -> Tensor:
        x_BMD: Tensor = self.post_layernorm(self.encoder(self.embeddings(pixels_BCYX, masked_BN)))
        return x_BMD
