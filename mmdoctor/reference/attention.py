"""Scaled dot-product attention: multi-head, grouped-query, self and cross.

Vaswani et al. 2017, "Attention Is All You Need", https://arxiv.org/abs/1706.03762, section 3.2.
Ainslie et al. 2023, "GQA", https://arxiv.org/abs/2305.13245: several query heads share one head of keys and values.

Shapes: B samples, T positions that ask, S positions that are asked, D width, H query heads, K key-value heads,
d width of a head. Masks are boolean; true means that the position may be seen.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

AttentionFunction = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]


def textbook_attention(q_BHTd: Tensor, k_BHSd: Tensor, v_BHSd: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(d)) V, as the paper writes it: equation (1)."""
    scores_BHTS = q_BHTd @ k_BHSd.transpose(-2, -1) / math.sqrt(q_BHTd.shape[-1])
    if mask is not None:
        scores_BHTS = scores_BHTS.masked_fill(~mask, -math.inf)
    return scores_BHTS.softmax(dim=-1) @ v_BHSd


def fused_attention(q_BHTd: Tensor, k_BHSd: Tensor, v_BHSd: Tensor, mask: Tensor | None = None) -> Tensor:
    """The same by torch's fused kernels; torch picks one of its backends."""
    return F.scaled_dot_product_attention(q_BHTd, k_BHSd, v_BHSd, attn_mask=mask)


IMPLEMENTATIONS: dict[str, AttentionFunction] = {"textbook": textbook_attention, "sdpa": fused_attention}


def causal_mask(asking: int, asked: int, device: torch.device | None = None) -> Tensor:
    """mask_TS in which the last of the asking positions sees all asked ones, the one before it all but the last, ..."""
    return torch.ones(asking, asked, dtype=torch.bool, device=device).tril(asked - asking)


def padding_mask(attention_mask_BS: Tensor) -> Tensor:
    """mask_B11S that hides the padding, from a tokenizer's attention mask (1 for a token, 0 for padding)."""
    return attention_mask_BS.bool()[:, None, None, :]


class KeyValue(NamedTuple):
    """What the asked positions offer."""

    k_BKSd: Tensor
    v_BKSd: Tensor

    def then(self, later: "KeyValue") -> "KeyValue":
        """These positions followed by later ones."""
        return KeyValue(
            torch.cat([self.k_BKSd, later.k_BKSd], dim=2),
            torch.cat([self.v_BKSd, later.v_BKSd], dim=2),
        )


class Attention(nn.Module):
    """Multi-head attention of a sequence to itself or to another one.

    Args:
        width: size of the asking positions' vectors, and of the result's.
        num_heads: heads of queries.
        num_key_value_heads: heads of keys and values; each serves `num_heads / num_key_value_heads` query heads.
        memory_width: size of the asked positions' vectors, where it is not `width`.

    Raises:
        ValueError: the heads do not divide the width, or the key-value heads the heads.
    """

    def __init__(
        self, width: int, num_heads: int, *, num_key_value_heads: int | None = None, memory_width: int | None = None
    ) -> None:
        super().__init__()
        num_key_value_heads = num_key_value_heads or num_heads
        if width % num_heads:
            raise ValueError(f"width {width} is not a multiple of num_heads {num_heads}")
        if num_heads % num_key_value_heads:
            raise ValueError(f"num_heads {num_heads} is not a multiple of num_key_value_heads {num_key_value_heads}")
        self.num_heads = num_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_width = width // num_heads
        self.implementation = "sdpa"
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(memory_width or width, num_key_value_heads * self.head_width)
        self.v_proj = nn.Linear(memory_width or width, num_key_value_heads * self.head_width)
        self.out_proj = nn.Linear(width, width)

    def keys_and_values(self, memory_BSD: Tensor) -> KeyValue:
        """What these positions offer; worth keeping where they are asked again."""
        return KeyValue(
            self._split(self.k_proj(memory_BSD), self.num_key_value_heads),
            self._split(self.v_proj(memory_BSD), self.num_key_value_heads),
        )

    def ask(self, x_BTD: Tensor, memory: KeyValue, mask: Tensor | None = None) -> Tensor:
        """Attention of x to keys and values at hand; the mask broadcasts to BHTS."""
        k_BHSd, v_BHSd = memory
        group = self.num_heads // self.num_key_value_heads
        if group > 1:
            k_BHSd, v_BHSd = k_BHSd.repeat_interleave(group, dim=1), v_BHSd.repeat_interleave(group, dim=1)
        y_BHTd = IMPLEMENTATIONS[self.implementation](
            self._split(self.q_proj(x_BTD), self.num_heads), k_BHSd, v_BHSd, mask
        )
        y_BTD: Tensor = self.out_proj(y_BHTd.transpose(1, 2).flatten(2))
        return y_BTD

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return self.ask(x_BTD, self.keys_and_values(x_BTD if memory_BSD is None else memory_BSD), mask)

    def _split(self, x_BTD: Tensor, heads: int) -> Tensor:
        samples, positions, _ = x_BTD.shape
        return x_BTD.view(samples, positions, heads, self.head_width).transpose(1, 2)


def use_attention(model: nn.Module, implementation: str) -> None:
    """Let every attention of the model compute in that way.

    Raises:
        ValueError: there is no implementation of that name.
    """
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"attention implementation {implementation!r} is not one of {sorted(IMPLEMENTATIONS)}")
    for module in model.modules():
        if isinstance(module, Attention):
            module.implementation = implementation
