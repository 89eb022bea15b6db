"""Names and shapes of the reference model's weights, from its configuration alone and without torch.

Shapes: every tensor's in torch's order, a linear map's (features out, features in).
"""

from collections.abc import Iterator

from mmdoctor.reference.config import ReferenceConfig, TransformerConfig

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def shapes_of(config: ReferenceConfig) -> Shapes:
    """(name, shape) of every tensor of the model."""
    vision, text, fusion, decoder = (
        config.vision_config,
        config.text_config,
        config.fusion_config,
        config.decoder_config,
    )
    width, words = fusion.hidden_size, text.vocab_size

    yield "vision_model.embeddings.class_embedding", (vision.hidden_size,)
    yield "vision_model.embeddings.mask_embedding", (vision.hidden_size,)
    patch = (vision.num_channels, vision.patch_size, vision.patch_size)
    yield "vision_model.embeddings.patch_embedding.weight", (vision.hidden_size, *patch)
    yield "vision_model.embeddings.patch_embedding.bias", (vision.hidden_size,)
    yield "vision_model.embeddings.position_embedding.weight", (1 + vision.num_patches, vision.hidden_size)
    yield from _encoder("vision_model.encoder.", vision)
    yield from _norm("vision_model.post_layernorm", vision.hidden_size)

    yield "text_model.embeddings.word_embeddings.weight", (words, text.hidden_size)
    positions = text.first_position + text.max_position_embeddings
    yield "text_model.embeddings.position_embeddings.weight", (positions, text.hidden_size)
    if text.type_vocab_size:
        yield "text_model.embeddings.token_type_embeddings.weight", (text.type_vocab_size, text.hidden_size)
    yield from _norm("text_model.embeddings.layer_norm", text.hidden_size)
    yield from _encoder("text_model.encoder.", text)

    yield from _linear("multi_modal_projector.vision", width, vision.hidden_size)
    yield from _linear("multi_modal_projector.text", width, text.hidden_size)
    yield from _fusion(config)

    yield "unified.absent_image", (width,)
    yield "unified.absent_text", (width,)
    yield from _linear("unified.image_projection", width, width)
    yield from _linear("unified.text_projection", width, width)
    yield from _norm("unified.layer_norm", width)
    yield from _heads(config)

    yield "decoder.embeddings.word_embeddings.weight", (decoder.vocab_size, decoder.hidden_size)
    yield "decoder.embeddings.position_embeddings.weight", (decoder.max_position_embeddings, decoder.hidden_size)
    for layer in range(decoder.num_hidden_layers):
        prefix = f"decoder.layers.{layer}."
        for norm in ("layer_norm1", "layer_norm2", "layer_norm3"):
            yield from _norm(f"{prefix}{norm}", decoder.hidden_size)
        yield from _attention(f"{prefix}self_attn.", decoder)
        yield from _attention(f"{prefix}cross_attn.", decoder)
        yield from _feed_forward(f"{prefix}mlp.", decoder.hidden_size, decoder.intermediate_size)
    yield from _norm("decoder.layer_norm", decoder.hidden_size)
    yield "lm_head.weight", (decoder.vocab_size, decoder.hidden_size)


def _fusion(config: ReferenceConfig) -> Shapes:
    fusion = config.fusion_config
    width = fusion.hidden_size
    if fusion.kind == "early":
        yield "fusion.modality_embedding.weight", (2, width)
        yield from _encoder("fusion.encoder.", fusion)
        yield from _norm("fusion.layer_norm", width)
        return
    if fusion.kind == "late":
        yield from _feed_forward("fusion.mlp.", 2 * width, 2 * fusion.intermediate_size)
    else:
        for layer in range(fusion.num_hidden_layers):
            for way in ("text_to_image", "image_to_text"):
                prefix = f"fusion.layers.{layer}.{way}."
                for norm in ("layer_norm1", "memory_layer_norm", "layer_norm2"):
                    yield from _norm(f"{prefix}{norm}", width)
                yield from _attention(f"{prefix}cross_attn.", fusion)
                yield from _feed_forward(f"{prefix}mlp.", width, fusion.intermediate_size)
    yield from _norm("fusion.image_layer_norm", width)
    yield from _norm("fusion.text_layer_norm", width)


def _heads(config: ReferenceConfig) -> Shapes:
    width, words = config.fusion_config.hidden_size, config.text_config.vocab_size
    yield from _feed_forward("heads.answer.", width, width, len(config.id2label))
    yield from _linear("heads.box.fc1", width, width)
    yield from _linear("heads.box.fc2", width, width)
    yield from _linear("heads.box.fc3", 4, width)
    yield from _feed_forward("heads.matching.", width, width, 2)
    yield from _linear("heads.masked_token.dense", width, width)
    yield from _norm("heads.masked_token.layer_norm", width)
    yield from _linear("heads.masked_token.decoder", words, width)
    yield from _linear("heads.masked_patch", config.vision_config.patch_values, width)
    if config.text_config.next_sentence:
        yield from _linear("heads.next_sentence.pooler", width, width)
        yield from _linear("heads.next_sentence.classifier", 2, width)


def _encoder(prefix: str, config: TransformerConfig) -> Shapes:
    for layer in range(config.num_hidden_layers):
        yield from _norm(f"{prefix}layers.{layer}.layer_norm1", config.hidden_size)
        yield from _attention(f"{prefix}layers.{layer}.self_attn.", config)
        yield from _norm(f"{prefix}layers.{layer}.layer_norm2", config.hidden_size)
        yield from _feed_forward(f"{prefix}layers.{layer}.mlp.", config.hidden_size, config.intermediate_size)


def _attention(prefix: str, config: TransformerConfig) -> Shapes:
    width = config.hidden_size
    keys = config.num_key_value_heads * (width // config.num_attention_heads)
    yield from _linear(f"{prefix}q_proj", width, width)
    yield from _linear(f"{prefix}k_proj", keys, width)
    yield from _linear(f"{prefix}v_proj", keys, width)
    yield from _linear(f"{prefix}out_proj", width, width)


def _feed_forward(prefix: str, width: int, inner: int, out: int | None = None) -> Shapes:
    yield from _linear(f"{prefix}fc1", inner, width)
    yield from _linear(f"{prefix}fc2", out or width, inner)


def _linear(name: str, out: int, into: int) -> Shapes:
    yield f"{name}.weight", (out, into)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)
