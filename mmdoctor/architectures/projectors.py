"""What stands between a tower and the language model: which widths it reads and which it writes."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.dtypes import dtype
from mmdoctor.facts.parts import Part

_FIRST_AND_SECOND = {
    "linear_1": "linear_2",
    "linear1": "linear2",
    "linear_fc1": "linear_fc2",
    "fc1": "fc2",
    "0": "2",
    "1": "3",
    "merge_linear_1": "merge_linear_2",
    "patch_merger.merging_layer": "linear_1",
}
"""Names of two linear layers in a row: LLaVA, CLAP, Qwen3-VL, Janus, nn.Sequential, InternVL, Mistral 3."""

_SHARED_SPACE = re.compile(r"(?:^|\.)(?:visual|image|vision|text|audio)_proj(?:ection)?(?:\.|$)")
"""Projections of contrastive models: they lead into a space of their own, not into the language model."""

_ELSEWHERE = re.compile(r"(?:embeddings?|position\w*|_embed)\.(?:weight|\w+)$|query(?:_tokens)?$|latent\w*$|norm")
_TRANSPOSED = re.compile(r"mm_input_projection_weight$|resampler\.proj$|attn_pool\.proj$|visual\.proj$")
"""Raw parameters that are applied from the right: (features in, features out)."""


class Matrix(msgspec.Struct, frozen=True):
    """A linear map of a projector."""

    tensor: Tensor
    out: int
    into: int


def matrices(part: Part) -> tuple[Matrix, ...]:
    """The linear maps of a projector, tables and packed weights left out."""
    return tuple(_matrices(part.tensors))


def _matrices(tensors: Iterable[Tensor]) -> Iterator[Matrix]:
    for tensor in tensors:
        if len(tensor.shape) != 2 or dtype(tensor.dtype).kind not in ("float", "quantised"):
            continue
        if _ELSEWHERE.search(tensor.name):
            continue
        rows, columns = tensor.shape
        if _TRANSPOSED.search(tensor.name):
            rows, columns = columns, rows
        yield Matrix(tensor, rows, columns)


def is_shared_space(matrix: Matrix) -> bool:
    """Whether it leads into the space that a contrastive model compares in."""
    return bool(_SHARED_SPACE.search(matrix.tensor.name)) and "multi_modal" not in matrix.tensor.name


def is_simple(maps: Iterable[Matrix], projector: Iterable[Part], tower: Part | None) -> bool:
    """Whether nothing but a few linear layers lies between tower and language model: no convolution, no attention."""
    convolutions = [t for part in projector for t in part.tensors if len(t.shape) > 2 and t.shape[0] > 1]
    between = [t for t in tower.tensors if len(t.shape) >= 4] if tower is not None else []
    attention = any("att" in m.tensor.name for m in maps)
    return len(list(maps)) <= _FEW and not convolutions and len(between) <= 1 and not attention


_FEW = 3
"""Linear layers of a simple projector."""


def broken_pairs(maps: Iterable[Matrix], *, gated: bool) -> Iterator[tuple[Matrix, Matrix]]:
    """Pairs of consecutive linear layers of which the second does not read what the first writes.

    Where the activation between them may be gated, it may halve the width.
    """
    by_name = {m.tensor.name.removesuffix(".weight"): m for m in maps}
    for name, first in by_name.items():
        leaf = next((leaf for leaf in _FIRST_AND_SECOND if name == leaf or name.endswith(f".{leaf}")), None)
        second = by_name.get(name.removesuffix(leaf) + _FIRST_AND_SECOND[leaf]) if leaf else None
        if second is not None and second.into not in ({first.out, first.out / 2} if gated else {first.out}):
            yield first, second


def entrance(maps: Iterable[Matrix]) -> Matrix | None:
    """The map that reads the tower's features, where the names tell which one it is."""
    return _named(maps, _ENTRANCES)


def exit_of(maps: Iterable[Matrix]) -> Matrix | None:
    """The map that writes the language model's features, where the names tell which one it is."""
    return _named(maps, _EXITS)


def _named(maps: Iterable[Matrix], patterns: Iterable[re.Pattern[str]]) -> Matrix | None:
    listed = list(maps)
    for pattern in patterns:
        found = next((m for m in listed if pattern.search(m.tensor.name)), None)
        if found is not None:
            return found
    return None


_ENTRANCES = tuple(
    map(
        re.compile,
        (
            r"patch_merger\.merging_layer\.weight$",
            r"(?:^|\.)multi_modal_projector\.linear_1\.weight$",
            r"(?:^|\.)multi_modal_projector\.linear\.weight$",
            r"(?:^|\.)multi_modal_projector\.weight$",
            r"mm_input_projection_weight$",
            r"(?:^|\.)mm_projector\.(?:0\.)?weight$",
            r"(?:^|\.)mlp1\.1\.weight$",
            r"(?<!deepstack_)merger\.mlp\.0\.weight$",
            r"(?:^|\.)merger\.linear_fc1\.weight$",
            r"modality_projection\.proj\.weight$",
            r"(?:^|\.)aligner\.(?:fc1|linear1)\.weight$",
            r"^mm\.0\.weight$",
            r"crossattention\.(?:attention|self)\.key\.weight$",
            r"(?:resampler|attn_pool)\.kv_proj\.weight$",
            r"modality_projection\.gate_proj\.weight$",
        ),
    )
)
"""LLaVA and Aya Vision, PaliGemma and Qwen2-Audio, Llama 3.2 Vision, Gemma 3, the original LLaVA, InternVL, Qwen-VL,
Idefics 3, Janus and DeepSeek-VL, llama.cpp's mmproj, Q-Former, MiniCPM-V and Qwen-VL 1, Idefics 2. Mistral 3's patch
merger comes before its `linear_1`."""

_EXITS = tuple(
    map(
        re.compile,
        (
            r"(?:^|\.)multi_modal_projector\.linear_2\.weight$",
            r"(?:^|\.)multi_modal_projector\.linear\.weight$",
            r"(?:^|\.)multi_modal_projector\.weight$",
            r"mm_input_projection_weight$",
            r"(?:^|\.)mm_projector\.(?:4\.|2\.)?weight$",
            r"(?:^|\.)mlp1\.3\.weight$",
            r"(?<!deepstack_)merger\.mlp\.2\.weight$",
            r"(?:^|\.)merger\.linear_fc2\.weight$",
            r"modality_projection\.(?:proj|down_proj)\.weight$",
            r"(?:^|\.)language_projection\.weight$",
            r"^mm\.2\.weight$",
        ),
    )
)
