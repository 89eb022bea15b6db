"""Where image and text meet: early, late and hybrid, behind one interface.

Baltrusaitis et al. 2017, "Multimodal Machine Learning", https://arxiv.org/abs/1705.09406, section 6 (the three kinds).
Early, one encoder over both inputs: Kim et al. 2021, "ViLT", https://arxiv.org/abs/2102.03334.
Late, both feature vectors together: Antol et al. 2015, "VQA", https://arxiv.org/abs/1505.00468, section 5.
Hybrid, own encoders and then cross-attention both ways: Lu et al. 2019, "ViLBERT", https://arxiv.org/abs/1908.02265.

Shapes: B samples, M image positions, T text positions, D width. Position 0 of either stream speaks for the whole.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmdoctor.reference.attention import Attention, padding_mask
from mmdoctor.reference.config import FusionConfig
from mmdoctor.reference.layers import Encoder, FeedForward


class Streams(NamedTuple):
    """Image and text side by side; one of them may be absent."""

    image_BMD: Tensor | None
    text_BTD: Tensor | None
    text_mask_BT: Tensor | None
    """1 for a token, 0 for padding; present when the text is."""

    def joined(self) -> tuple[Tensor, Tensor]:
        """Both streams in one sequence, the image first, and its mask (1 to see, 0 for padding).

        Raises:
            ValueError: neither is there.
        """
        parts, masks = [], []
        if self.image_BMD is not None:
            parts.append(self.image_BMD)
            masks.append(torch.ones(self.image_BMD.shape[:2], dtype=torch.long, device=self.image_BMD.device))
        if self.text_BTD is not None and self.text_mask_BT is not None:
            parts.append(self.text_BTD)
            masks.append(self.text_mask_BT)
        if not parts:
            raise ValueError("there is neither an image nor a text")
        return torch.cat(parts, dim=1), torch.cat(masks, dim=1)


class EarlyFusion(nn.Module):
    """One encoder over patches and words, told apart by a learned vector for each modality."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.modality_embedding = nn.Embedding(2, config.hidden_size)
        self.encoder = Encoder(config, norm_first=True)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, streams: Streams) -> Streams:
        image_D, text_D = self.modality_embedding.weight
        image_BMD = None if streams.image_BMD is None else streams.image_BMD + image_D
        text_BTD = None if streams.text_BTD is None else streams.text_BTD + text_D
        x_BSD, mask_BS = Streams(image_BMD, text_BTD, streams.text_mask_BT).joined()
        y_BSD = self.layer_norm(self.encoder(x_BSD, padding_mask(mask_BS)))
        positions = 0 if image_BMD is None else image_BMD.shape[1]
        return Streams(
            None if image_BMD is None else y_BSD[:, :positions],
            None if text_BTD is None else y_BSD[:, positions:],
            streams.text_mask_BT,
        )


class LateFusion(nn.Module):
    """The two vectors that speak for image and text go through one network; all other positions stay as they are."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.mlp = FeedForward(2 * width, 2 * config.intermediate_size)
        self.image_layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.text_layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, streams: Streams) -> Streams:
        image_BMD, text_BTD, mask_BT = streams
        if image_BMD is None or text_BTD is None:
            return streams
        both_B2D = torch.cat([image_BMD[:, 0], text_BTD[:, 0]], dim=-1)
        image_BD, text_BD = (both_B2D + self.mlp(both_B2D)).chunk(2, dim=-1)
        return Streams(
            torch.cat([self.image_layer_norm(image_BD)[:, None], image_BMD[:, 1:]], dim=1),
            torch.cat([self.text_layer_norm(text_BD)[:, None], text_BTD[:, 1:]], dim=1),
            mask_BT,
        )


class CrossBlock(nn.Module):
    """One stream asks the other: cross-attention and the feed-forward part, normalised before each."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.memory_layer_norm = nn.LayerNorm(width, eps=eps)
        self.cross_attn = Attention(width, config.num_attention_heads, num_key_value_heads=config.num_key_value_heads)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, config.intermediate_size)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor, mask: Tensor | None = None) -> Tensor:
        x_BTD = x_BTD + self.cross_attn(self.layer_norm1(x_BTD), self.memory_layer_norm(memory_BSD), mask)
        y_BTD: Tensor = x_BTD + self.mlp(self.layer_norm2(x_BTD))
        return y_BTD


class CrossLayer(nn.Module):
    """Text asks image and image asks text, at the same time."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        self.text_to_image = CrossBlock(config)
        self.image_to_text = CrossBlock(config)

    def forward(self, image_BMD: Tensor, text_BTD: Tensor, text_mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.image_to_text(image_BMD, text_BTD, text_mask), self.text_to_image(text_BTD, image_BMD)


class HybridFusion(nn.Module):
    """Layers of cross-attention in both directions; a stream that is alone only gets normalised."""

    def __init__(self, config: FusionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.layers = nn.ModuleList(CrossLayer(config) for _ in range(config.num_hidden_layers))
        self.image_layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.text_layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, streams: Streams) -> Streams:
        image_BMD, text_BTD, mask_BT = streams
        if image_BMD is not None and text_BTD is not None and mask_BT is not None:
            for layer in self.layers:
                image_BMD, text_BTD = layer(image_BMD, text_BTD, padding_mask(mask_BT))
        return Streams(
            None if image_BMD is None else self.image_layer_norm(image_BMD),
            None if text_BTD is None else self.text_layer_norm(text_BTD),
            mask_BT,
        )


Fusion = EarlyFusion | LateFusion | HybridFusion

FUSIONS: dict[str, type[Fusion]] = {"early": EarlyFusion, "late": LateFusion, "hybrid": HybridFusion}


def build_fusion(config: FusionConfig) -> Fusion:
    """The fusion that the configuration names."""
    return FUSIONS[config.kind](config)
