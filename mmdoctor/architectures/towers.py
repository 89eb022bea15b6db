"""Vision towers: what their tensors say of their sizes, and the sizes of towers that were published."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from mmdoctor.architectures.geometry import projections
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.parts import AttentionBlock, Part, Parts, Role

_PATCH = re.compile(
    r"(?:patch_embedding|patch_embeddings\.projection|patch_embed\.proj|patch_conv|patch_embd|embeddings\.projection"
    r"|patch_embed\.proj\.conv|patch_embedder|patch_embeddings|visual\.conv1|vision_model\.conv1|patch_projection)\.weight$"
)
_POSITIONS = re.compile(
    r"(?:position_embeddings?|positional_embedding|pos_embed|pos_embedding|position_embd|gated_positional_embedding\.embedding"
    r"|positional_embedding_vlm|position_embedding_table)(?:\.weight)?$"
)


class Published(msgspec.Struct, frozen=True):
    """A vision tower that was published."""

    name: str
    width: int
    layers: int
    mlp: int
    heads: int


PUBLISHED = (
    # openai/CLIP and open_clip: model_configs/ViT-*.json (head_width 64, ViT-H 80, ViT-g 88, ViT-bigG 104)
    Published("CLIP ViT-B", 768, 12, 3072, 12),
    Published("CLIP ViT-L", 1024, 24, 4096, 16),
    Published("CLIP ViT-H", 1280, 32, 5120, 16),
    Published("CLIP ViT-g", 1408, 40, 6144, 16),
    Published("CLIP ViT-bigG", 1664, 48, 8192, 16),
    # google-research/big_vision, models/vit.py: decode_variant
    Published("SigLIP so400m", 1152, 27, 4304, 16),
    Published("SigLIP2 giant", 1536, 40, 6144, 16),
    # OpenGVLab/InternVL, configuration_intern_vit.py and the published config.json
    Published("InternViT-6B", 3200, 45, 12800, 25),
    Published("InternViT-6B", 3200, 48, 12800, 25),
)
"""Towers whose sizes together leave no doubt which one it is."""


def published_tower(width: int, layers: int, mlp: int) -> Published | None:
    """The published tower of exactly these sizes. A truncated copy may lack the last layers."""
    return next((t for t in PUBLISHED if (t.width, t.mlp) == (width, mlp) and t.layers - 3 <= layers <= t.layers), None)


def patch_kernel(part: Part) -> Tensor | None:
    """The tower's patch embedding: a convolution or a linear layer over the pixels of a patch."""
    return next((t for t in part.tensors if _PATCH.search(t.name) and len(t.shape) in (2, 4, 5)), None)


def position_table(part: Part) -> Tensor | None:
    """The tower's table of learned positions, rows first (with a leading axis of one in some families)."""
    tables = [t for t in part.tensors if _POSITIONS.search(t.name) and _rows_columns(t) is not None]
    return max(tables, key=lambda t: t.numel, default=None)


def rows_of(table: Tensor) -> int:
    """Positions in a table of positions."""
    shape = _rows_columns(table)
    return shape[0] if shape is not None else 0


def _rows_columns(table: Tensor) -> tuple[int, int] | None:
    shape = table.shape[1:] if len(table.shape) == 3 and table.shape[0] == 1 else table.shape
    return (shape[0], shape[1]) if len(shape) == 2 else None


def main_tower(parts: Parts, width: int | None = None) -> Part | None:
    """The vision tower, of several the one of that width, else the largest."""
    towers = parts.of(Role.VISION)
    fitting = [t for t in towers if width is not None and width in _widths(t)]
    return next(iter(fitting or towers), None)


def _widths(part: Part) -> set[int]:
    kernel = patch_kernel(part)
    return {kernel.shape[0]} if kernel is not None else set()


def tower_blocks(part: Part, blocks: Iterable[AttentionBlock]) -> tuple[AttentionBlock, ...]:
    """The attention modules inside a tower; of words and patches in one encoder, that encoder's."""
    listed = tuple(blocks)
    inside = tuple(b for b in listed if b.role is Role.VISION and b.prefix.startswith(part.prefix))
    return inside or tuple(b for b in listed if b.role is Role.FUSION)


def tower_width(part: Part, blocks: Iterable[AttentionBlock]) -> int | None:
    """Features per patch as the weights have them: what all attention modules read; None where they disagree."""
    return _common_width(tower_blocks(part, blocks))


def stream_width(part: Part, blocks: Iterable[AttentionBlock]) -> int | None:
    """Features per frame of an audio tower, as its attention modules read them; None where they disagree."""
    return _common_width(b for b in blocks if b.role is part.role and b.prefix.startswith(part.prefix))


def _common_width(blocks: Iterable[AttentionBlock]) -> int | None:
    widths = {
        into
        for block in blocks
        if not block.quantised and not block.cross
        for field, _, (_, into) in projections(block)
        if field in ("q", "qkv")
    }
    if len(widths) == 1:
        return widths.pop()
    return None


def mlp_width(part: Part) -> int | None:
    """Features inside the tower's feed-forward blocks, if they all have the same."""
    widths = {
        t.shape[0]
        for t in part.tensors
        if len(t.shape) == 2
        and re.search(r"(?:mlp\.fc1|mlp\.c_fc|intermediate\.dense|mlp\.linear_fc1)\.weight$", t.name)
    }
    return widths.pop() if len(widths) == 1 else None


def edges(kernel: Tensor) -> tuple[int, int] | None:
    """(height, width) in pixels of a patch, where the kernel is a convolution; None of a linear one."""
    return (kernel.shape[-2], kernel.shape[-1]) if len(kernel.shape) in (4, 5) else None


EXTRA_ROWS: Mapping[str, tuple[int, ...]] = {"class token": (1,), "class and distillation token": (2,), "none": (0,)}
"""What a position table may have beyond one row a patch."""
