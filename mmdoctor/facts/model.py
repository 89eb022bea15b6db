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
    other_head_counts: tuple[int, ...] = ()
    """Every number of query heads that the section states for some of its layers."""
    other_kv_counts: tuple[int, ...] = ()
    """Every number of key/value heads that the section states for some of its layers."""
    other_head_dims: tuple[int, ...] = ()
    """Every head size that the section states for some of its layers or projections."""
    multi_query: Reading[bool] | None = None
    """One key/value head for all query heads (`multi_query` of Falcon and GPT-BigCode)."""
    kv_shared_layers: Reading[int] | None = None
    """Last layers that take keys and values from earlier ones and may have none of their own."""
    mtp_layers: Reading[int] | None = None
    """Extra layers for multi-token prediction, beyond `num_hidden_layers`."""
    by_default: tuple[str, ...] = ()
    """Fields that the file does not state and whose value is the library's class default."""
    other_stacks: tuple[str, ...] = ()
    """Words of the sections beside this one that state heads of their own, such as `decoder` or `talker`: attention
    modules below such a word in their names are not this model's."""


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
    head_dim: Reading[int] | None = None
    """As stated; absent means `hidden_size / num_attention_heads`."""
    image_shape: tuple[int, int] | None = None
    """(height, width) in pixels, also of images that are not square."""
    patch_shape: tuple[int, int] | None = None
    """(height, width) of a patch in pixels."""
    num_positions: Reading[int] | None = None
    """Rows of the position table, where the configuration states them."""
    extra_positions: int | None = None
    """Rows of the position table beyond one a patch (class and distillation tokens); None when not known."""
    interpolates: bool = False
    """Whether the tower takes images of another size than `image_size`."""
    global_layers: Reading[int] | None = None
    """Layers of a second stack after the first (Llama 3.2 Vision)."""
    by_default: tuple[str, ...] = ()
    """Fields that the file does not state and whose value is the library's class default."""


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
    by_default: tuple[str, ...] = ()
    """Fields that the file does not state and whose value is the library's class default."""


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
    feature_layers: Reading[tuple[int, ...]] | None = None
    """Tower layers whose features are taken, joined along the channels where there are several."""
    shuffle: Reading[int] | None = None
    """Patches along one edge that are stacked along the channels before the projector (pixel shuffle, merging)."""
    external_tower: Reading[str] | None = None
    """Name or path of a vision tower that is loaded from elsewhere (`mm_vision_tower` of the original LLaVA)."""
    remote_code: tuple[Reading[str], ...] = ()
    """Values of every `auto_map` in config.json."""


class SpecialTokenIds(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of pad, bos and eos as config.json and generation_config.json state them; an eos may be a list."""

    ids: tuple[tuple[str, Reading[int]], ...] = ()
    """(name, id) in order of appearance: `pad_token_id`, `eos_token_id`, ..."""
