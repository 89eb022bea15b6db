"""The causal decoder with cross-attention, and its cache of keys and values.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, figure 1, right half; normalised before each part as in
Radford et al. 2019, "GPT-2". The cache is section 2 of Pope et al. 2022, https://arxiv.org/abs/2211.05102.

Shapes: B samples, U written tokens, S memory positions (image and text together), D width, V vocabulary.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mmdoctor.reference import attention
from mmdoctor.reference.attention import Attention, KeyValue, padding_mask
from mmdoctor.reference.config import DecoderConfig
from mmdoctor.reference.layers import FeedForward


@dataclass
class LayerCache:
    """Keys and values of one layer: of what was written so far, and of the memory, which does not change."""

    written: KeyValue | None = None
    memory: KeyValue | None = None


@dataclass
class DecoderCache:
    """One cache a layer, made on first use."""

    layers: list[LayerCache] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        written = self.layers[0].written if self.layers else None
        return 0 if written is None else written.k_BKSd.shape[2]


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention to the memory, feed-forward part."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, heads, eps = config.hidden_size, config.num_attention_heads, config.layer_norm_eps
        self.layer_norm1 = nn.LayerNorm(width, eps=eps)
        self.self_attn = Attention(width, heads, num_key_value_heads=config.num_key_value_heads)
        self.layer_norm2 = nn.LayerNorm(width, eps=eps)
        self.cross_attn = Attention(width, heads, num_key_value_heads=config.num_key_value_heads)
        self.layer_norm3 = nn.LayerNorm(width, eps=eps)
        self.mlp = FeedForward(width, config.intermediate_size)

    def forward(
        self, x_BUD: Tensor, memory_BSD: Tensor, mask: Tensor, memory_mask: Tensor, cache: LayerCache
    ) -> Tensor:
        normalised_BUD = self.layer_norm1(x_BUD)
        written = self.self_attn.keys_and_values(normalised_BUD)
        cache.written = written if cache.written is None else cache.written.then(written)
        x_BUD = x_BUD + self.self_attn.ask(normalised_BUD, cache.written, mask)
        if cache.memory is None:
            cache.memory = self.cross_attn.keys_and_values(memory_BSD)
        x_BUD = x_BUD + self.cross_attn.ask(self.layer_norm2(x_BUD), cache.memory, memory_mask)
        y_BUD: Tensor = x_BUD + self.mlp(self.layer_norm3(x_BUD))
        return y_BUD


class DecoderEmbeddings(nn.Module):
    """What the token is and where it stands."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)

    def forward(self, ids_BU: Tensor, first_position: int) -> Tensor:
        positions_U = torch.arange(first_position, first_position + ids_BU.shape[1], device=ids_BU.device)
        x_BUD: Tensor = self.word_embeddings(ids_BU) + self.position_embeddings(positions_U)
        return x_BUD


class Decoder(nn.Module):
    """Written tokens and a memory to one vector a written token, each seeing only what stands before it."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.max_positions = config.max_position_embeddings
        self.embeddings = DecoderEmbeddings(config)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(
        self, ids_BU: Tensor, memory_BSD: Tensor, memory_mask_BS: Tensor, cache: DecoderCache | None = None
    ) -> Tensor:
        """With a cache, `ids_BU` are the tokens behind those in it.

        Raises:
            ValueError: there are more tokens than positions.
        """
        cache = DecoderCache() if cache is None else cache
        if not cache.layers:
            cache.layers.extend(LayerCache() for _ in self.layers)
        before, new = cache.length, ids_BU.shape[1]
        if before + new > self.max_positions:
            raise ValueError(f"{before + new} tokens are written, max_position_embeddings is {self.max_positions}")
        mask_UU = attention.causal_mask(new, before + new, ids_BU.device)
        memory_mask = padding_mask(memory_mask_BS)
        x_BUD = self.embeddings(ids_BU, before)
        for layer, layer_cache in zip(self.layers, cache.layers, strict=True):
            x_BUD = layer(x_BUD, memory_BSD, mask_UU, memory_mask, layer_cache)
        y_BUD: Tensor = self.layer_norm(x_BUD)
        return y_BUD
