"""Attention modules found by the names that families give their projections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.architectures.attention import attention_blocks, module_of
from mmdoctor.architectures.attention import attention_blocks as find
from mmdoctor.architectures.parts import parts
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.parts import AttentionBlock
from tests.architectures.made import blocks_of, checkpoint, clip_tower, llama, or_none, parts_of


def _fields(block: AttentionBlock) -> set[str]:
    return {f for f in ("q", "k", "v", "o", "qkv", "kv", "q_norm", "k_norm") if getattr(block, f) is not None}


SQUARE = (64, 64)


@pytest.mark.parametrize(
    ("names", "prefix", "fields"),
    [
        (("q_proj", "k_proj", "v_proj", "o_proj"), "model.layers.0.self_attn.", {"q", "k", "v", "o"}),
        (("q_proj", "k_proj", "v_proj", "out_proj"), "vision_tower.encoder.layers.0.self_attn.", {"q", "k", "v", "o"}),
        (("qkv", "proj"), "visual.blocks.0.attn.", {"qkv", "o"}),
        (("Wqkv", "Wo"), "transformer.blocks.0.attn.", {"qkv", "o"}),
        (("wqkv", "wo"), "model.layers.0.attention.", {"qkv", "o"}),
        (("query_key_value", "dense"), "transformer.h.0.self_attention.", {"qkv", "o"}),
        (("qkv_proj", "o_proj"), "model.layers.0.self_attn.", {"qkv", "o"}),
        (("q_lin", "k_lin", "v_lin", "out_lin"), "distilbert.transformer.layer.0.attention.", {"q", "k", "v", "o"}),
        (("q", "k", "v", "o"), "encoder.block.0.layer.0.SelfAttention.", {"q", "k", "v", "o"}),
        (("wq", "wk", "wv", "wo"), "layers.0.attention.", {"q", "k", "v", "o"}),
        (("attn_q", "attn_k", "attn_v", "attn_output"), "blk.0.", {"q", "k", "v", "o"}),
        (("query", "key", "value", "out"), "decoder.blocks.0.attn.", {"q", "k", "v", "o"}),
        (("to_q", "to_k", "to_v", "to_out.0"), "unet.blocks.0.attn1.", {"q", "k", "v", "o"}),
        (("qkv", "projection"), "vision_model.encoder.layers.0.self_attn.", {"qkv", "o"}),
    ],
)
def test_spellings(names: tuple[str, ...], prefix: str, fields: set[str]):
    shapes = {
        f"{prefix}{n}.weight": (192, 64) if "qkv" in n.lower() or n == "query_key_value" else SQUARE for n in names
    }

    (block,) = blocks_of(shapes).blocks
    assert block.prefix == prefix
    assert _fields(block) == fields
    assert block.layer == 0
    assert not block.cross


@pytest.mark.parametrize("middle", ["attention.self.", "attention.attention."])
def test_berts_halves_are_one_module(middle: str):
    layer = "bert.encoder.layer.3."
    shapes = {f"{layer}{middle}{n}.weight": SQUARE for n in ("query", "key", "value")}
    shapes[f"{layer}attention.output.dense.weight"] = SQUARE
    shapes[f"{layer}output.dense.weight"] = (64, 128)

    (block,) = blocks_of(shapes).blocks
    assert block.prefix == f"{layer}attention."
    assert _fields(block) == {"q", "k", "v", "o"}
    assert block.layer == 3


def test_raw_in_projection():
    shapes = {"visual.transformer.resblocks.0.attn.in_proj_weight": (192, 64)}
    shapes |= {"visual.transformer.resblocks.0.attn.in_proj_bias": (192,)}
    shapes |= {"visual.transformer.resblocks.0.attn.out_proj.weight": SQUARE}

    (block,) = blocks_of(shapes).blocks
    assert _fields(block) == {"qkv", "o"}


def test_norms_on_queries_and_keys():
    blocks = blocks_of(llama(norms=True)).blocks

    assert len(blocks) == 3
    assert all({"q_norm", "k_norm"} <= _fields(b) for b in blocks)


def test_gpt2_is_transposed_and_its_cross_attention_fuses_keys_and_values():
    layer = "transformer.h.0."
    shapes = {f"{layer}attn.c_attn.weight": (64, 192), f"{layer}attn.c_proj.weight": SQUARE}
    shapes |= {f"{layer}crossattention.c_attn.weight": (64, 128), f"{layer}crossattention.q_attn.weight": SQUARE}
    shapes |= {f"{layer}crossattention.c_proj.weight": SQUARE}

    own, cross = blocks_of(shapes).blocks
    assert own.transposed
    assert _fields(own) == {"qkv", "o"}
    assert cross.cross
    assert _fields(cross) == {"q", "kv", "o"}


def test_qwen_1_calls_it_c_attn_and_is_not_transposed():
    (block,) = blocks_of({"transformer.h.0.attn.c_attn.weight": (192, 64)}).blocks

    assert not block.transposed


@pytest.mark.parametrize("name", ["cross_attn", "crossattention", "encoder_attn", "EncDecAttention", "cross_attention"])
def test_cross_attention(name: str):
    shapes = {f"model.layers.1.{name}.{n}.weight": SQUARE for n in ("q_proj", "k_proj", "v_proj", "o_proj")}

    (block,) = blocks_of({**shapes, "model.embed_tokens.weight": (9, 64)}).blocks
    assert block.cross


def test_latent_attention():
    layer = "model.layers.0.self_attn."
    shapes = {f"{layer}q_a_proj.weight": (24, 64), f"{layer}q_b_proj.weight": (96, 24)}
    shapes |= {f"{layer}kv_a_proj_with_mqa.weight": (40, 64), f"{layer}kv_b_proj.weight": (128, 32)}
    shapes |= {f"{layer}o_proj.weight": (64, 64)}

    (block,) = blocks_of(shapes).blocks
    assert block.latent


@pytest.mark.parametrize(
    "companions",
    [
        ("qweight", "qzeros", "scales"),
        ("weight_packed", "weight_scale", "weight_shape"),
        ("weight_scale_inv",),
        ("SCB",),
    ],
)
def test_companions_mark_packed_modules(companions: tuple[str, ...]):
    shapes = llama() | {f"model.layers.0.self_attn.q_proj.{c}": (4, 4) for c in companions}

    packed = [b.quantised for b in blocks_of(shapes).blocks]
    assert packed == [True, False, False]


def test_integer_weights_are_packed_and_block_types_of_gguf_are_not():
    names = {f"blk.0.attn_{n}.weight": SQUARE for n in ("q", "k", "v", "output")}

    for kind, packed in (("U8", True), ("Q4_K", False), ("BF16", False)):
        (block,) = find(parts(checkpoint(names, dict.fromkeys(names, kind)))).blocks
        assert block.quantised is packed


@pytest.mark.parametrize(
    ("name", "module", "parameter"),
    [
        ("a.q_proj.weight", "a.q_proj", "weight"),
        ("a.q_proj.qweight", "a.q_proj", "qweight"),
        ("a.q_proj.weight.absmax", "a.q_proj", "weight.absmax"),
        ("a.q_proj.weight.quant_state.bitsandbytes__nf4", "a.q_proj", "weight.quant_state.bitsandbytes__nf4"),
        ("a.in_proj_weight", "a", "in_proj_weight"),
        ("bare", "", "bare"),
    ],
)
def test_module_of(name: str, module: str, parameter: str):
    assert module_of(name) == (module, parameter)


def test_adapters_and_mixers_are_no_attention():
    shapes = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (8, 64)}
    shapes |= {"backbone.layers.0.mixer.in_proj.weight": (99, 64), "backbone.layers.0.mixer.out_proj.weight": SQUARE}

    with pytest.raises(NotApplicable):
        blocks_of(shapes)


def test_a_feed_forward_block_is_no_attention():
    with pytest.raises(NotApplicable):
        blocks_of({"h.0.mlp.c_proj.weight": SQUARE, "layer.0.output.dense.weight": SQUARE, "proj.weight": SQUARE})


def test_towers_and_language_models_keep_their_roles():
    shapes = {**clip_tower(), **llama("language_model.model.")}
    roles = [str(b.role) for b in blocks_of(shapes).blocks]

    assert roles.count("vision tower") == 3
    assert roles.count("text model") == 3


LEAF = st.sampled_from(
    [
        "q_proj",
        "k_proj",
        "v_proj",
        "qkv",
        "c_attn",
        "to_out",
        "0",
        "dense",
        "output",
        "kv_b_proj",
        "q_norm",
        "in_proj",
        "query",
        "self",
    ]
)
ABOVE = st.sampled_from(["attn", "self_attn.", "layers.0.attention", "", "crossattention", "mixer", ".."])


@given(
    st.dictionaries(
        st.tuples(ABOVE, LEAF, st.sampled_from(["weight", "bias", "qweight", "in_proj_weight", ""])).map(".".join),
        st.lists(st.integers(0, 4), max_size=4).map(tuple),
        min_size=1,
        max_size=12,
    )
)
def test_no_names_break_it(shapes: dict[str, tuple[int, ...]]):
    found = or_none(attention_blocks, parts_of(shapes))

    for block in found.blocks if found else ():
        assert block.at.tensor == f"{block.prefix}*"
