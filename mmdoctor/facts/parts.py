"""The parts of a model as tensor names and shapes show them."""

import enum
from collections.abc import Mapping

import msgspec

from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.location import Location


class Role(enum.StrEnum):
    """What a part of a multimodal model does."""

    VISION = "vision tower"
    AUDIO = "audio tower"
    PROJECTOR = "projector"
    FUSION = "fusion"
    TEXT = "text model"
    DECODER = "decoder"
    """Only in a description: the decoder beside a text encoder. Among the parts it belongs to the text model."""
    HEAD = "head"
    ADAPTER = "adapter"
    OTHER = "other"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """All tensors of one role."""

    role: Role
    prefix: str
    """Longest common name prefix, ending in a dot or empty."""
    tensors: tuple[Tensor, ...]
    layers: int | None = None
    """Number of distinct layer indices of the part's largest stack of layers, if it has one."""
    parameters: int = 0
    """Elements as stored."""
    nbytes: int = 0
    dtypes: Mapping[str, int] = {}
    """dtype name to bytes."""

    @property
    def at(self) -> Location:
        """The part as a place: the file of its first tensor."""
        return Location(file=self.tensors[0].file if self.tensors else "", tensor=f"{self.prefix}*")


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint divided into parts; every tensor is in exactly one."""

    parts: tuple[Part, ...]

    def of(self, role: Role) -> tuple[Part, ...]:
        """The parts of one role, largest first."""
        return tuple(p for p in self.parts if p.role is role)

    def largest(self, role: Role) -> Part | None:
        """The largest part of a role, or None."""
        return next(iter(self.of(role)), None)


class LayerStack(msgspec.Struct, frozen=True, kw_only=True):
    """A stack of layers: names that differ in one number only."""

    role: Role
    prefix: str
    """Up to and including the dot before the index, such as `model.language_model.layers.`."""
    members: Mapping[int, Mapping[str, Tensor]]
    """Layer index to (name below the layer -> tensor)."""

    @property
    def indices(self) -> tuple[int, ...]:
        """Layer indices present, ascending."""
        return tuple(sorted(self.members))


class LayerStacks(msgspec.Struct, frozen=True, kw_only=True):
    """All stacks of layers in the checkpoint."""

    stacks: tuple[LayerStack, ...]


class AttentionBlock(msgspec.Struct, frozen=True, kw_only=True):
    """The tensors of one attention module. Linear weights are (rows out, columns in)."""

    role: Role
    prefix: str
    """Name up to the projections, such as `model.layers.3.self_attn.`."""
    layer: int | None = None
    cross: bool = False
    """Keys and values come from another sequence than the queries."""
    q: Tensor | None = None
    k: Tensor | None = None
    v: Tensor | None = None
    o: Tensor | None = None
    qkv: Tensor | None = None
    """Queries, keys and values in one matrix."""
    kv: Tensor | None = None
    """Keys and values in one matrix."""
    q_norm: Tensor | None = None
    k_norm: Tensor | None = None
    latent: bool = False
    """Multi-head latent attention: low-rank projections, other shapes."""
    transposed: bool = False
    """Weights stored as (in, out), as GPT-2's Conv1D does."""
    quantised: bool = False
    """Packed weights, whose shapes do not follow from the configuration."""

    @property
    def at(self) -> Location:
        """The block as a place."""
        tensors = (self.q, self.qkv, self.k, self.v, self.kv, self.o)
        file = next((t.file for t in tensors if t is not None), "")
        return Location(file=file, tensor=f"{self.prefix}*")


class AttentionBlocks(msgspec.Struct, frozen=True, kw_only=True):
    """Every attention module of the checkpoint."""

    blocks: tuple[AttentionBlock, ...]


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """The text model's token embedding and output head."""

    embedding: Tensor | None = None
    """(rows, hidden)."""
    head: Tensor | None = None
    """(rows, hidden); None where it is tied to the embedding or absent."""


class PartDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one part in the field's terms, from the configuration or else from names and shapes."""

    part: Part
    numbers: Mapping[str, int] = {}
    """`heads`, `kv_heads`, `head_dim`, `hidden`, `patch`, `image`, `merge`, `positions`, `vocabulary`, `experts`, of a
    projector `reads` and `writes`, in features ..."""
    derived: tuple[str, ...] = ()
    """Those of the numbers that shapes gave, because no configuration states them."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a model with their numbers, largest part first."""

    parts: tuple[PartDetails, ...]
