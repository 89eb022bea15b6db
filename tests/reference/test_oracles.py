"""The parts against torch's and transformers' own, with the same weights: equal numbers."""

# ruff: noqa: N806, N812 - shape suffixes and the customary F, as in the model
import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.reference.attention import Attention, causal_mask, padding_mask, use_attention
from mmdoctor.reference.config import DecoderConfig, TextConfig, TransformerConfig, VisionConfig
from mmdoctor.reference.decoder import Decoder, DecoderCache, DecoderLayer, LayerCache
from mmdoctor.reference.heads import MaskedTokenHead, NextSentenceHead
from mmdoctor.reference.layers import EncoderLayer
from mmdoctor.reference.text import TextModel
from mmdoctor.reference.vision import VisionModel

WIDTH, HEADS, INNER, WORDS, PAD = 32, 4, 48, 40, 1
TOKENS_BS = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])


def random(module: nn.Module) -> Any:
    """The module in float64 with random weights, norms and biases too."""
    generator = torch.Generator().manual_seed(5)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3
    return module.double().eval().requires_grad_(requires_grad=False)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def same(observed: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(observed, expected, rtol=1e-10, atol=1e-10)


def stacked(attention: Attention) -> dict[str, Tensor]:
    """The names that `nn.MultiheadAttention` has for the weights."""
    q, k, v, out = attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj
    return {
        "in_proj_weight": torch.cat([q.weight, k.weight, v.weight]),
        "in_proj_bias": torch.cat([q.bias, k.bias, v.bias]),
        "out_proj.weight": out.weight,
        "out_proj.bias": out.bias,
    }


def renamed(state: Mapping[str, Tensor], *pairs: tuple[str, str], drop: str = "\n") -> dict[str, Tensor]:
    """Names with each first word replaced by the second."""
    result = {}
    for name, tensor in state.items():
        new = name
        for old, word in pairs:
            new = new.replace(old, word)
        if drop not in new:
            result[new] = tensor
    return result


def filled(module: Any, state: Mapping[str, Tensor]) -> Any:
    missing, unexpected = module.double().eval().load_state_dict(state, strict=False)
    assert not unexpected
    assert not [name for name in missing if not name.endswith(("position_ids", "token_type_ids"))]
    return module


@pytest.fixture(params=["textbook", "sdpa"])
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("memory_width", [None, 24])
def test_attention_is_torchs_multi_head_attention(implementation: str, memory_width: int | None) -> None:
    ours = random(Attention(WIDTH, HEADS, memory_width=memory_width))
    use_attention(ours, implementation)
    x_BTD = noise(2, 5, WIDTH)
    memory_BSD = noise(2, 7, memory_width or WIDTH, seed=1)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True, kdim=memory_width, vdim=memory_width)
    state = stacked(ours) if memory_width is None else {
        "q_proj_weight": ours.q_proj.weight,
        "k_proj_weight": ours.k_proj.weight,
        "v_proj_weight": ours.v_proj.weight,
        "in_proj_bias": torch.cat([ours.q_proj.bias, ours.k_proj.bias, ours.v_proj.bias]),
        "out_proj.weight": ours.out_proj.weight,
        "out_proj.bias": ours.out_proj.bias,
    }  # fmt: skip
    expected, _ = filled(theirs, state)(x_BTD, memory_BSD, memory_BSD, key_padding_mask=TOKENS_BS == 0)

    same(ours(x_BTD, memory_BSD, padding_mask(TOKENS_BS)), expected)


@pytest.mark.parametrize("key_value_heads", [1, 2])
def test_grouped_queries_are_torchs(implementation: str, key_value_heads: int) -> None:
    ours = random(Attention(WIDTH, HEADS, num_key_value_heads=key_value_heads))
    use_attention(ours, implementation)
    x_BTD = noise(2, 7, WIDTH)
    q, k, v = (
        projection(x_BTD).unflatten(-1, (-1, WIDTH // HEADS)).transpose(1, 2)
        for projection in (ours.q_proj, ours.k_proj, ours.v_proj)
    )
    y_BHTd = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    same(ours(x_BTD, mask=causal_mask(7, 7)), ours.out_proj(y_BHTd.transpose(1, 2).flatten(2)))


LAYER = (("layer_norm", "norm"), ("mlp.fc1", "linear1"), ("mlp.fc2", "linear2"))


def layer_state(layer: nn.Module, **attentions: str) -> dict[str, Tensor]:
    """The names that torch's own layers have for a layer's weights."""
    state = renamed(layer.state_dict(), *LAYER)
    for ours, theirs in attentions.items():
        state = {name: tensor for name, tensor in state.items() if not name.startswith(f"{ours}.")}
        state |= {f"{theirs}.{name}": tensor for name, tensor in stacked(getattr(layer, ours)).items()}
    return state


@pytest.mark.parametrize("norm_first", [True, False])
def test_an_encoder_layer_is_torchs(implementation: str, norm_first: bool) -> None:
    config = TransformerConfig(hidden_size=WIDTH, intermediate_size=INNER)
    ours = random(EncoderLayer(config, norm_first=norm_first))
    use_attention(ours, implementation)
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, INNER, activation="gelu", batch_first=True, norm_first=norm_first, dropout=0.0
    )
    filled(theirs, layer_state(ours, self_attn="self_attn"))
    x_BTD = noise(2, 7, WIDTH)
    real = TOKENS_BS.bool()
    with torch.enable_grad():  # the layer's own way, not torch's fast path, which leaves padding at zero
        expected = theirs(x_BTD, src_key_padding_mask=~real)

    same(ours(x_BTD, padding_mask(TOKENS_BS))[real], expected[real])


def test_a_decoder_layer_is_torchs(implementation: str) -> None:
    config = DecoderConfig(vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=INNER, num_key_value_heads=HEADS)
    ours = random(DecoderLayer(config))
    use_attention(ours, implementation)
    theirs = nn.TransformerDecoderLayer(
        WIDTH, HEADS, INNER, activation="gelu", batch_first=True, norm_first=True, dropout=0.0
    )
    filled(theirs, layer_state(ours, self_attn="self_attn", cross_attn="multihead_attn"))
    x_BUD, memory_BSD = noise(2, 5, WIDTH), noise(2, 7, WIDTH, seed=1)
    observed = ours(x_BUD, memory_BSD, causal_mask(5, 5), padding_mask(TOKENS_BS), LayerCache())
    expected = theirs(
        x_BUD, memory_BSD, tgt_mask=~causal_mask(5, 5), memory_key_padding_mask=TOKENS_BS == 0, tgt_is_causal=False
    )

    same(observed, expected)


@pytest.mark.parametrize("key_value_heads", [1, 2, 4])
def test_a_cache_changes_nothing(implementation: str, key_value_heads: int) -> None:
    config = DecoderConfig(
        vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=INNER, num_key_value_heads=key_value_heads
    )
    decoder = random(Decoder(config))
    use_attention(decoder, implementation)
    ids_BU, memory_BSD = torch.arange(12).reshape(2, 6), noise(2, 7, WIDTH)
    at_once = decoder(ids_BU, memory_BSD, TOKENS_BS)
    for cuts in ([1] * 6, [3, 3], [2, 1, 3]):
        cache = DecoderCache()
        pieces = [decoder(piece, memory_BSD, TOKENS_BS, cache) for piece in ids_BU.split(cuts, dim=1)]
        same(torch.cat(pieces, dim=1), at_once)
        assert cache.length == 6


@pytest.fixture(scope="module")
def transformers() -> Any:
    return pytest.importorskip("transformers")


SIZES = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": 2,
    "num_attention_heads": HEADS,
    "attn_implementation": "eager",
}


@pytest.mark.parametrize("masked", [False, True])
def test_the_image_encoder_is_a_vision_transformer(transformers: Any, masked: bool) -> None:
    config = VisionConfig(hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=2, image_size=24, patch_size=8)
    ours = random(VisionModel(config))
    theirs = transformers.ViTModel(
        transformers.ViTConfig(
            **{**SIZES, "attn_implementation": "sdpa"},
            image_size=24,
            patch_size=8,
            layer_norm_eps=config.layer_norm_eps,
        ),
        add_pooling_layer=False,
        use_mask_token=True,
    )
    own = ours.state_dict()
    state = matched(
        theirs.state_dict(),
        own,
        VIT,
        {"embeddings.cls_token": 2, "embeddings.mask_token": 2, "embeddings.position_embeddings": 1},
    )
    filled(theirs, state)
    pixels_BCYX = noise(2, 3, 24, 24)
    masked_BN = torch.arange(9).expand(2, 9) % 3 == 0 if masked else None
    expected = theirs(pixels_BCYX, bool_masked_pos=masked_BN).last_hidden_state

    same(ours(pixels_BCYX, masked_BN), expected)


VIT = (
    ("embeddings.cls_token", "embeddings.class_embedding"),
    ("embeddings.mask_token", "embeddings.mask_embedding"),
    ("embeddings.position_embeddings", "embeddings.position_embedding.weight"),
    ("embeddings.patch_embeddings.projection", "embeddings.patch_embedding"),
    ("encoder.layer.", "encoder.layers."),
    ("attention.attention.query", "self_attn.q_proj"),
    ("attention.attention.key", "self_attn.k_proj"),
    ("attention.attention.value", "self_attn.v_proj"),
    ("attention.output.dense", "self_attn.out_proj"),
    ("attention.q_proj", "self_attn.q_proj"),
    ("attention.k_proj", "self_attn.k_proj"),
    ("attention.v_proj", "self_attn.v_proj"),
    ("attention.o_proj", "self_attn.out_proj"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("layernorm_before", "layer_norm1"),
    ("layernorm_after", "layer_norm2"),
    ("layernorm.", "post_layernorm."),
)
"""transformers' words for ours."""

BERT = (
    ("embeddings.LayerNorm", "embeddings.layer_norm"),
    ("encoder.layer.", "encoder.layers."),
    ("transformer.layer.", "encoder.layers."),
    ("attention.self.query", "self_attn.q_proj"),
    ("attention.self.key", "self_attn.k_proj"),
    ("attention.self.value", "self_attn.v_proj"),
    ("attention.output.dense", "self_attn.out_proj"),
    ("attention.output.LayerNorm", "layer_norm1"),
    ("attention.q_lin", "self_attn.q_proj"),
    ("attention.k_lin", "self_attn.k_proj"),
    ("attention.v_lin", "self_attn.v_proj"),
    ("attention.out_lin", "self_attn.out_proj"),
    ("sa_layer_norm", "layer_norm1"),
    ("output_layer_norm", "layer_norm2"),
    ("intermediate.dense", "mlp.fc1"),
    ("output.dense", "mlp.fc2"),
    ("output.LayerNorm", "layer_norm2"),
    ("ffn.lin1", "mlp.fc1"),
    ("ffn.lin2", "mlp.fc2"),
)


def matched(
    theirs: Mapping[str, Tensor], own: Mapping[str, Tensor], words: tuple[tuple[str, str], ...],
    axes: Mapping[str, int] | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """Our weights under their names; every one of ours is used once."""
    state, used = {}, set()
    for name in theirs:
        if name.endswith(("position_ids", "token_type_ids")):
            continue
        new = re.sub("^layers", "encoder.layers", name)  # as transformers 5 stores a Vision Transformer
        for old, word in words:
            new = new.replace(old, word)
        used.add(new)
        state[name] = own[new].reshape(theirs[name].shape) if axes and name in axes else own[new]
    assert used == own.keys()
    return state


IDS_BT = torch.tensor([[2, 9, 8, 7, 6, 5, 3], [2, 9, 8, 3, PAD, PAD, PAD]])
SEGMENTS_BT = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0, 0]])


def text_config(**changes: Any) -> TextConfig:
    return TextConfig(vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=INNER, **changes)


def test_the_text_encoder_is_bert_with_both_heads(transformers: Any) -> None:
    config = text_config(max_position_embeddings=16)
    ours = random(TextModel(config))
    words, order = random(MaskedTokenHead(WIDTH, WORDS, config.layer_norm_eps)), random(NextSentenceHead(WIDTH))
    theirs = transformers.BertForPreTraining(
        transformers.BertConfig(
            **SIZES,
            vocab_size=WORDS,
            max_position_embeddings=16,
            layer_norm_eps=config.layer_norm_eps,
            tie_word_embeddings=False,
        )
    )
    own = {
        **{f"bert.{name}": tensor for name, tensor in ours.state_dict().items()},
        "cls.predictions.bias": words.decoder.bias,
        **{f"cls.predictions.{name}": tensor for name, tensor in words.state_dict().items()},
        "bert.pooler.dense.weight": order.pooler.weight,
        "bert.pooler.dense.bias": order.pooler.bias,
        "cls.seq_relationship.weight": order.classifier.weight,
        "cls.seq_relationship.bias": order.classifier.bias,
    }
    heads = (("cls.predictions.transform.dense", "cls.predictions.dense"), ("transform.LayerNorm", "layer_norm"))
    filled(theirs, matched(theirs.state_dict(), own, (*heads, *BERT)))
    expected = theirs(IDS_BT, attention_mask=TOKENS_BS, token_type_ids=SEGMENTS_BT)
    text_BTD = ours(IDS_BT, TOKENS_BS, SEGMENTS_BT)
    real = TOKENS_BS.bool()

    same(words(text_BTD)[real], expected.prediction_logits[real])
    same(order(text_BTD[:, 0]), expected.seq_relationship_logits)


def test_as_distilbert_is_distilbert(transformers: Any) -> None:
    config = text_config(num_hidden_layers=4, max_position_embeddings=16, layer_norm_eps=1e-12).as_distilbert()
    ours = random(TextModel(config))
    theirs = transformers.DistilBertModel(
        transformers.DistilBertConfig(
            vocab_size=WORDS,
            dim=WIDTH,
            hidden_dim=INNER,
            n_layers=2,
            n_heads=HEADS,
            max_position_embeddings=16,
            attn_implementation="eager",
        )
    )
    filled(theirs, matched(theirs.state_dict(), ours.state_dict(), BERT))
    expected = theirs(IDS_BT, attention_mask=TOKENS_BS).last_hidden_state
    real = TOKENS_BS.bool()

    same(ours(IDS_BT, TOKENS_BS)[real], expected[real])


def test_as_roberta_is_roberta(transformers: Any) -> None:
    config = text_config(max_position_embeddings=16).as_roberta(pad_token_id=PAD)
    ours = random(TextModel(config))
    theirs = transformers.RobertaModel(
        transformers.RobertaConfig(
            **SIZES, vocab_size=WORDS, max_position_embeddings=16 + PAD + 1, pad_token_id=PAD, type_vocab_size=1,
            layer_norm_eps=config.layer_norm_eps,
        ),
        add_pooling_layer=False,
    )  # fmt: skip
    own = {**ours.state_dict(), "embeddings.token_type_embeddings.weight": torch.zeros(1, WIDTH, dtype=torch.float64)}
    filled(theirs, matched(theirs.state_dict(), own, BERT))
    expected = theirs(IDS_BT, attention_mask=TOKENS_BS).last_hidden_state
    real = TOKENS_BS.bool()

    same(ours(IDS_BT, TOKENS_BS)[real], expected[real])
