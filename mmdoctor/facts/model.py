"""A model as its configuration states it, normalised over families: the same field has the same name everywhere."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.location import Reading


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`config.json` as it stands, before any knowledge of families."""

    document: JsonDocument
    model_type: str | None = None
    architectures: tuple[str, ...] = ()
    transformers_version: str | None = None
    """The version that saved the file; not a requirement."""


class TextModel(msgspec.Struct, frozen=True, kw_only=True):
    """The language model, or the text encoder. A field that the configuration leaves to the library is None."""

    section: str
    """JSON pointer of the section in config.json, empty for the top level."""
    model_type: str | None = None
    hidden_size: Reading[int] | None = None
    intermediate_size: Reading[int] | None = None
    num_hidden_layers: Reading[int] | None = None
    num_attention_heads: Reading[int] | None = None
    num_key_value_heads: Reading[int] | None = None
    """As stated; absent means equal to `num_attention_heads` in nearly all families."""
    head_dim: Reading[int] | None = None
    """As stated; absent or null means `hidden_size / num_attention_heads`."""
    vocab_size: Reading[int] | None = None
    max_position_embeddings: Reading[int] | None = None
    tie_word_embeddings: Reading[bool] | None = None
    """As stated in this section."""
    is_decoder: bool = True
    """Whether it generates text; false for BERT-like and CLIP-like encoders."""
    encoder_layers: Reading[int] | None = None
    """Layers of the encoder half, where the text model is an encoder-decoder."""


class VisionModel(msgspec.Struct, frozen=True, kw_only=True):
    """The vision tower."""

    section: str
    model_type: str | None = None
    hidden_size: Reading[int] | None = None
    intermediate_size: Reading[int] | None = None
    num_hidden_layers: Reading[int] | None = None
    num_attention_heads: Reading[int] | None = None
    num_channels: Reading[int] | None = None
    patch_size: Reading[int] | None = None
    """Pixels along one edge of a square patch."""
    temporal_patch_size: Reading[int] | None = None
    """Frames per patch."""
    image_size: Reading[int] | None = None
    """Pixels along one edge; None where the tower takes any resolution."""
    spatial_merge_size: Reading[int] | None = None
    """Patches along one edge that become one visual token."""
    output_size: Reading[int] | None = None
    """Width of the features handed on, where it is not `hidden_size`."""


class AudioModel(msgspec.Struct, frozen=True, kw_only=True):
    """The audio tower."""

    section: str
    model_type: str | None = None
    hidden_size: Reading[int] | None = None
    num_hidden_layers: Reading[int] | None = None
    num_attention_heads: Reading[int] | None = None
    num_mel_bins: Reading[int] | None = None
    max_source_positions: Reading[int] | None = None
    """Encoder positions (frames after the convolutions)."""


class MultimodalModel(msgspec.Struct, frozen=True, kw_only=True):
    """The whole model as the configuration states it."""

    config: ModelConfig
    family: str
    """Name of the architecture module that understood it; `generic` where only general rules apply."""
    known: bool
    """Whether the family's own knowledge applies; false for `generic`."""
    text: TextModel | None = None
    vision: VisionModel | None = None
    audio: AudioModel | None = None
    token_ids: Mapping[str, Reading[int]] = {}
    """Placeholder and delimiter ids by role: `image`, `video`, `audio`, `vision_start`, `vision_end`, `boi`, `eoi`."""
    tie_word_embeddings: Reading[bool] | None = None
    """As stated at the top level."""
    ties_by_default: bool | None = None
    """What the class does when no level states it; None where that depends on the version or is not known."""
    remote_code: tuple[Reading[str], ...] = ()
    """Values of every `auto_map` in config.json."""


class SpecialTokenIds(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of pad, bos and eos as config.json and generation_config.json state them; an eos may be a list."""

    ids: tuple[tuple[str, Reading[int]], ...] = ()
    """(name, id) in order of appearance: `pad_token_id`, `eos_token_id`, ..."""
