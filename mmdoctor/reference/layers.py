"""The Transformer encoder: feed-forward part, layer, stack.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, section 3.1 (normalised behind each part).
Xiong et al. 2020, https://arxiv.org/abs/2002.04745 (normalised before each part, as in the Vision Transformer).
GELU: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415.

Shapes: B samples, T positions, D width.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.reference.attention import Attention
from mmdoctor.reference.config import TransformerConfig


class FeedForward(nn.Module):
    """Two linear maps with GELU between them, each position on its own."""

    def __init__(self, width: int, inner_width: int, out_width: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner_width)
        self.fc2 = nn.Linear(inner_width, out_width or width)

    def forward(self, x_BTD: Tensor) -> Tensor:
        y_BTD: Tensor = self.fc2(F.gelu(self.fc1(x_BTD)))
        return y_BTD


class EncoderLayer(nn.Module):
    """Self-attention, then the feed-forward part, each added to what came in.

    Args:
        config: the layer's sizes.
        norm_first: normalise what goes into a part (ViT), or the sum that comes out (BERT).
    """

    def __init__(self, config: TransformerConfig, *, norm_first: bool) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.norm_first = norm_first
        self.self_attn = Attention(width, config.num_attention_heads, num_key_value_heads=config.num_key_value_heads)
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, config.intermediate_size)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.norm_first:
            x_BTD = x_BTD + self.self_attn(self.layer_norm1(x_BTD), mask=mask)
            y_BTD: Tensor = x_BTD + self.mlp(self.layer_norm2(x_BTD))
        else:
            x_BTD = self.layer_norm1(x_BTD + self.self_attn(x_BTD, mask=mask))
            y_BTD = self.layer_norm2(x_BTD + self.mlp(x_BTD))
        return y_BTD


class Encoder(nn.Module):
    """A stack of encoder layers."""

    def __init__(self, config: TransformerConfig, *, norm_first: bool) -> None:
        super().__init__()
        layers = (EncoderLayer(config, norm_first=norm_first) for _ in range(config.num_hidden_layers))
        self.layers = nn.ModuleList(layers)

    def forward(self, x_BTD: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x_BTD = layer(x_BTD, mask)
        return x_BTD
