"""The sizes of the reference model, as `config.json` carries them. This is the one place that knows them."""

from typing import Any, Literal

import msgspec

FusionKind = Literal["early", "late", "hybrid"]

MAX_LAYERS = 1000
"""Far beyond any published stack; a configuration from elsewhere is read in bounded time."""


def _positive(config: msgspec.Struct, *names: str) -> None:
    for name in names:
        if (value := getattr(config, name)) < 1:
            raise ValueError(f"{name} is {value}, expected 1 or more")


class TransformerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What every stack of Transformer layers needs."""

    hidden_size: int = 128
    """Width of a token's vector."""
    intermediate_size: int = 256
    """Width inside the feed-forward part."""
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 4
    """Heads of keys and values; fewer than `num_attention_heads` is grouped-query attention."""
    layer_norm_eps: float = 1e-5
    """BERT's 1e-12 is below the smallest fp16 number (6e-8), so it would be no guard there."""

    def __post_init__(self) -> None:
        if not 0 <= self.num_hidden_layers <= MAX_LAYERS:
            raise ValueError(f"num_hidden_layers is {self.num_hidden_layers}, expected 0 to {MAX_LAYERS}")
        _positive(self, "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads {self.num_attention_heads}"
            )
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not a multiple of "
                f"num_key_value_heads {self.num_key_value_heads}"
            )


class VisionConfig(TransformerConfig, frozen=True, kw_only=True):
    """The image encoder."""

    model_type: str = "mmdoctor_reference_vision"
    num_hidden_layers: int = 4
    image_size: int = 48
    """Side of the square picture, in pixels."""
    patch_size: int = 8
    """Side of a patch, in pixels."""
    num_channels: int = 3

    def __post_init__(self) -> None:
        TransformerConfig.__post_init__(self)
        _positive(self, "image_size", "patch_size", "num_channels")
        if self.image_size % self.patch_size:
            raise ValueError(f"image_size {self.image_size} is not a multiple of patch_size {self.patch_size}")

    @property
    def num_patches(self) -> int:
        """Patches of one picture."""
        return (self.image_size // self.patch_size) ** 2

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: channels x pixels."""
        return self.num_channels * self.patch_size**2


class TextConfig(TransformerConfig, frozen=True, kw_only=True):
    """The text encoder: BERT, with DistilBERT and RoBERTa as other values of the same fields."""

    model_type: str = "mmdoctor_reference_text"
    vocab_size: int
    """Rows of the embedding table, equal to the tokenizer's tokens."""
    max_position_embeddings: int = 64
    """Longest text, in tokens; RoBERTa's table has `first_position` rows more."""
    type_vocab_size: int = 2
    """Segments (BERT's sentence A and B); 0 for none."""
    first_position: int = 0
    """Position id of the first token; RoBERTa counts from `pad_token_id + 1`."""
    next_sentence: bool = True
    """Whether there is a head that says if segment B follows segment A."""

    def __post_init__(self) -> None:
        TransformerConfig.__post_init__(self)
        if self.next_sentence and self.type_vocab_size < 2:
            raise ValueError(f"next_sentence needs 2 segments, type_vocab_size is {self.type_vocab_size}")

    def as_distilbert(self) -> "TextConfig":
        """Half the layers, no segments, no next-sentence head (Sanh et al. 2019, https://arxiv.org/abs/1910.01108)."""
        half = (self.num_hidden_layers + 1) // 2
        return msgspec.structs.replace(self, num_hidden_layers=half, type_vocab_size=0, next_sentence=False)

    def as_roberta(self, pad_token_id: int) -> "TextConfig":
        """No segments, no next-sentence head, positions counted from behind the padding id.

        Liu et al. 2019, https://arxiv.org/abs/1907.11692; the offset is fairseq's `make_positions`.
        """
        return msgspec.structs.replace(self, type_vocab_size=0, next_sentence=False, first_position=pad_token_id + 1)


class FusionConfig(TransformerConfig, frozen=True, kw_only=True):
    """Where image and text meet."""

    kind: FusionKind = "hybrid"
    """`early`: one encoder over both inputs; `late`: both feature vectors together; `hybrid`: cross-attention."""


class DecoderConfig(TransformerConfig, frozen=True, kw_only=True):
    """The causal decoder that writes text."""

    vocab_size: int
    num_key_value_heads: int = 2
    max_position_embeddings: int = 64
    """Longest written text, in tokens."""


class ReferenceConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole model, and the token ids that it shares with the tokenizer."""

    architectures: tuple[str, ...] = ("MmdoctorReferenceModel",)
    model_type: str = "mmdoctor_reference"
    dtype: str = "bfloat16"
    """Type of the stored weights, in torch's name."""
    vision_config: VisionConfig
    text_config: TextConfig
    fusion_config: FusionConfig
    decoder_config: DecoderConfig
    id2label: dict[str, str]
    """Answers that the classification head knows, by index."""
    image_token_id: int
    pad_token_id: int
    bos_token_id: int
    """First token of a written text."""
    eos_token_id: int
    """Last token of a written text."""
    cls_token_id: int
    sep_token_id: int
    mask_token_id: int
    decoder_start_token_id: int
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = False

    def __post_init__(self) -> None:
        vision, text, fusion, decoder = self.vision_config, self.text_config, self.fusion_config, self.decoder_config
        if text.vocab_size != decoder.vocab_size:
            raise ValueError(f"vocab_size is {text.vocab_size} in text_config, {decoder.vocab_size} in decoder_config")
        if decoder.hidden_size != fusion.hidden_size:
            raise ValueError(f"hidden_size is {decoder.hidden_size} in the decoder, {fusion.hidden_size} in the fusion")
        if fusion.kind == "early" and (vision.num_hidden_layers or text.num_hidden_layers):
            raise ValueError(
                "early fusion has one encoder, over both inputs: "
                f"vision has {vision.num_hidden_layers} layers of its own, text {text.num_hidden_layers}, expected 0"
            )
        for name in ("image", "pad", "bos", "eos", "cls", "sep", "mask", "decoder_start"):
            token = getattr(self, f"{name}_token_id")
            if not 0 <= token < text.vocab_size:
                raise ValueError(f"{name}_token_id is {token}, vocab_size is {text.vocab_size}")

    def to_dict(self) -> dict[str, Any]:
        """The content of `config.json`."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @staticmethod
    def from_dict(content: dict[str, Any]) -> "ReferenceConfig":
        """Raises `ValueError` where a field is missing, of another type, or does not fit the others."""
        try:
            return msgspec.convert(content, ReferenceConfig)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None

    def with_fusion(self, kind: FusionKind) -> "ReferenceConfig":
        """The same model with another fusion.

        Early and late fusion are three quarters as wide and have one decoder layer, so that all three models together
        stay small; early fusion moves the encoders' layers into the joint encoder.
        """
        replace = msgspec.structs.replace
        if kind == "hybrid":
            return replace(self, fusion_config=replace(self.fusion_config, kind=kind))
        vision, text, fusion, decoder = (
            replace(part, hidden_size=3 * part.hidden_size // 4, intermediate_size=3 * part.intermediate_size // 4)
            for part in (self.vision_config, self.text_config, self.fusion_config, self.decoder_config)
        )
        fusion = replace(fusion, kind=kind)
        if kind == "early":
            fusion = replace(fusion, num_hidden_layers=max(vision.num_hidden_layers, 1))
            vision, text = replace(vision, num_hidden_layers=0), replace(text, num_hidden_layers=0)
        return replace(
            self,
            vision_config=vision,
            text_config=text,
            fusion_config=fusion,
            decoder_config=replace(decoder, num_hidden_layers=min(decoder.num_hidden_layers, 1)),
        )
