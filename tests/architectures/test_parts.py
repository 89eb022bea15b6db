"""Parts, stacks of layers and wrappers, told from real names of every layout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.architectures.embeddings import embeddings
from mmdoctor.architectures.names import strip_wrappers
from mmdoctor.architectures.parts import common_prefix, layer_stacks, parts, split_layer
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.parts import Role
from tests.architectures.made import checkpoint, clip_tower, llama, llava, or_none, parts_of, role_of

V, A, P, F, T, H, X = (
    Role.VISION,
    Role.AUDIO,
    Role.PROJECTOR,
    Role.FUSION,
    Role.TEXT,
    Role.HEAD,
    Role.ADAPTER,
)

LAYOUTS: dict[str, dict[str, tuple[tuple[int, ...], Role]]] = {
    "timm ViT": {
        "cls_token": ((1, 1, 32), V),
        "patch_embed.proj.weight": ((32, 3, 16, 16), V),
        "pos_embed": ((1, 197, 32), V),
        "blocks.0.attn.qkv.weight": ((96, 32), V),
        "norm.weight": ((32,), V),
        "head.weight": ((1000, 32), H),
    },
    "torchvision ResNet": {
        "conv1.weight": ((64, 3, 7, 7), V),
        "layer1.0.conv1.weight": ((64, 64, 1, 1), V),
        "layer4.2.bn3.running_mean": ((512,), V),
        "fc.weight": ((1000, 512), H),
    },
    "torchvision MobileNet": {
        "features.0.0.weight": ((32, 3, 3, 3), V),
        "features.18.1.num_batches_tracked": ((), V),
        "classifier.1.weight": ((1000, 1280), H),
    },
    "OpenAI CLIP and open_clip": {
        "visual.conv1.weight": ((32, 3, 14, 14), V),
        "visual.transformer.resblocks.0.attn.in_proj_weight": ((96, 32), V),
        "visual.proj": ((32, 24), P),
        "token_embedding.weight": ((49408, 64), T),
        "positional_embedding": ((77, 64), T),
        "transformer.resblocks.0.attn.in_proj_weight": ((192, 64), T),
        "ln_final.weight": ((64,), T),
        "text_projection": ((64, 24), P),
        "logit_scale": ((), H),
    },
    "original LLaVA": {
        "model.embed_tokens.weight": ((100, 64), T),
        "model.layers.0.self_attn.q_proj.weight": ((64, 64), T),
        "model.vision_tower.vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight": ((64, 32), V),
        "model.mm_projector.0.weight": ((64, 32), P),
        "model.image_newline": ((64,), P),
        "lm_head.weight": ((100, 64), H),
    },
    "llava-hf before 4.52": {
        "vision_tower.vision_model.embeddings.patch_embedding.weight": ((32, 3, 14, 14), V),
        "multi_modal_projector.linear_1.weight": ((64, 32), P),
        "language_model.model.layers.0.mlp.up_proj.weight": ((128, 64), T),
        "language_model.lm_head.weight": ((100, 64), H),
    },
    "Qwen2-VL on the hub": {
        "visual.patch_embed.proj.weight": ((32, 3, 2, 14, 14), V),
        "visual.blocks.0.attn.qkv.weight": ((96, 32), V),
        "visual.merger.mlp.0.weight": ((128, 128), P),
        "model.layers.0.self_attn.q_proj.weight": ((64, 64), T),
        "model.norm.weight": ((64,), T),
        "lm_head.weight": ((100, 64), H),
    },
    "Qwen2.5-Omni": {
        "thinker.audio_tower.conv1.weight": ((32, 128, 3), A),
        "thinker.visual.merger.mlp.2.weight": ((64, 128), P),
        "thinker.model.layers.0.mlp.gate_proj.weight": ((64, 64), T),
        "thinker.lm_head.weight": ((100, 64), H),
        "talker.model.layers.0.mlp.gate_proj.weight": ((64, 64), Role.OTHER),
    },
    "InternVL": {
        "vision_model.embeddings.class_embedding": ((1, 1, 32), V),
        "vision_model.encoder.layers.0.attn.qkv.weight": ((96, 32), V),
        "mlp1.1.weight": ((64, 128), P),
        "language_model.model.tok_embeddings.weight": ((100, 64), T),
        "language_model.output.weight": ((100, 64), T),
    },
    "MiniCPM-V": {
        "vpm.patch_embed.proj.weight": ((32, 3, 14, 14), V),
        "resampler.kv_proj.weight": ((64, 32), P),
        "llm.model.layers.0.self_attn.q_proj.weight": ((64, 64), T),
        "llm.lm_head.weight": ((100, 64), H),
    },
    "Phi-3-Vision": {
        "model.vision_embed_tokens.img_processor.vision_model.encoder.layers.0.mlp.fc1.weight": ((64, 32), V),
        "model.vision_embed_tokens.img_projection.0.weight": ((64, 128), P),
        "model.vision_embed_tokens.glb_GN": ((1, 1, 128), P),
        "model.layers.0.self_attn.qkv_proj.weight": ((192, 64), T),
        "model.embed_tokens.weight": ((100, 64), T),
    },
    "Qwen-VL": {
        "transformer.wte.weight": ((100, 64), T),
        "transformer.h.0.attn.c_attn.weight": ((192, 64), T),
        "transformer.visual.conv1.weight": ((32, 3, 14, 14), V),
        "transformer.visual.attn_pool.kv_proj.weight": ((64, 32), P),
    },
    "DeepSeek-OCR": {
        "model.sam_model.patch_embed.proj.weight": ((32, 3, 16, 16), V),
        "model.vision_model.embeddings.class_embedding": ((32,), V),
        "model.projector.layers.weight": ((64, 64), P),
        "model.layers.0.mlp.experts.3.up_proj.weight": ((64, 64), T),
    },
    "Whisper": {
        "model.encoder.conv1.weight": ((64, 80, 3), A),
        "model.encoder.layers.0.self_attn.q_proj.weight": ((64, 64), A),
        "model.decoder.embed_tokens.weight": ((100, 64), T),
        "model.decoder.layers.0.encoder_attn.q_proj.weight": ((64, 64), T),
    },
    "OpenAI Whisper": {
        "encoder.conv1.weight": ((64, 80, 3), A),
        "encoder.blocks.0.attn.query.weight": ((64, 64), A),
        "encoder.positional_embedding": ((1500, 64), A),
        "decoder.token_embedding.weight": ((100, 64), T),
        "decoder.blocks.0.cross_attn.key.weight": ((64, 64), T),
    },
    "wav2vec 2.0": {
        "wav2vec2.feature_extractor.conv_layers.0.conv.weight": ((64, 1, 10), A),
        "wav2vec2.encoder.layers.0.attention.q_proj.weight": ((64, 64), A),
        "lm_head.weight": ((32, 64), H),
    },
    "BERT": {
        "bert.embeddings.word_embeddings.weight": ((100, 64), T),
        "bert.encoder.layer.0.attention.self.query.weight": ((64, 64), T),
        "cls.predictions.decoder.weight": ((100, 64), H),
    },
    "BERT without a prefix": {
        "embeddings.word_embeddings.weight": ((100, 64), T),
        "encoder.layer.0.attention.self.query.weight": ((64, 64), T),
        "pooler.dense.weight": ((64, 64), T),
    },
    "T5": {
        "shared.weight": ((100, 64), T),
        "encoder.block.0.layer.0.SelfAttention.q.weight": ((64, 64), T),
        "decoder.block.0.layer.1.EncDecAttention.k.weight": ((64, 64), T),
        "lm_head.weight": ((100, 64), H),
    },
    "ViLT": {
        "vilt.embeddings.text_embeddings.word_embeddings.weight": ((100, 64), T),
        "vilt.embeddings.patch_embeddings.projection.weight": ((64, 3, 32, 32), V),
        "vilt.encoder.layer.0.attention.attention.query.weight": ((64, 64), F),
        "classifier.3.weight": ((3129, 128), H),
    },
    "DETR": {
        "model.backbone.conv_encoder.model.conv1.weight": ((64, 3, 7, 7), V),
        "model.decoder.layers.0.self_attn.q_proj.weight": ((64, 64), V),
        "class_labels_classifier.weight": ((92, 64), V),
    },
    "GGUF with its projector": {
        "token_embd.weight": ((100, 64), T),
        "blk.0.attn_q.weight": ((64, 64), T),
        "output_norm.weight": ((64,), T),
        "output.weight": ((100, 64), H),
        "v.patch_embd.weight": ((32, 3, 14, 14), V),
        "v.blk.0.attn_q.weight": ((32, 32), V),
        "mm.0.weight": ((64, 32), P),
    },
    "an adapter": {
        "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": ((8, 64), X),
        "base_model.model.model.visual.blocks.0.attn.qkv.lora_B.default.weight": ((96, 8), X),
        "base_model.model.model.embed_tokens.modules_to_save.weight": ((100, 64), X),
    },
    "a shard from the middle of a language model": {
        "model.layers.10.self_attn.q_proj.weight": ((64, 64), T),
        "model.layers.11.input_layernorm.weight": ((64,), T),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_roles_by_real_names(layout: str):
    expected = {name: role for name, (_, role) in LAYOUTS[layout].items()}
    found = parts_of({name: shape for name, (shape, _) in LAYOUTS[layout].items()})

    tolerant = {("language_model.output.weight", H), ("class_labels_classifier.weight", H)}
    for name, role in expected.items():
        actual = role_of(found, name)
        assert actual is role or (name, actual) in tolerant, (name, actual)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "base_model.model.", "state_dict."])
def test_wrappers_change_nothing(wrapper: str):
    plain, wrapped = parts_of(llava()), parts_of({wrapper + name: shape for name, shape in llava().items()})

    assert [(p.role, len(p.tensors)) for p in wrapped.parts] == [(p.role, len(p.tensors)) for p in plain.parts]


@pytest.mark.parametrize(
    ("name", "stripped"),
    [
        ("module.model.norm.weight", "model.norm.weight"),
        ("_orig_mod.module.x", "x"),
        ("layers.0._fsdp_wrapped_module.attn.weight", "layers.0.attn.weight"),
        ("base_model.model.layers.0.q_proj.base_layer.weight", "model.layers.0.q_proj.weight"),
        ("model.norm.weight", "model.norm.weight"),
    ],
)
def test_strip_wrappers(name: str, stripped: str):
    assert strip_wrappers(name) == stripped


def test_every_tensor_is_in_exactly_one_part_and_the_sums_hold():
    weights = checkpoint(llava())
    found = parts(weights)

    names = [t.name for p in found.parts for t in p.tensors]
    assert sorted(names) == sorted(weights.tensors)
    assert sum(p.parameters for p in found.parts) == weights.parameters
    assert sum(p.nbytes for p in found.parts) == weights.nbytes
    assert sum(sum(p.dtypes.values()) for p in found.parts) == weights.nbytes


def test_two_towers_are_two_parts():
    sam = {f"model.sam_model.blocks.{i}.attn.qkv.weight": (96, 32) for i in range(12)}
    found = parts_of({**sam, **clip_tower("model.vision_model."), **llama()})

    assert [p.prefix for p in found.of(V)] == ["model.vision_model.", "model.sam_model.blocks."]


def test_nothing_has_no_parts():
    with pytest.raises(NotApplicable):
        parts(checkpoint({}))


# ---------------------------------------------------------------------------------------------- layer stacks


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("model.layers.3.self_attn.q_proj.weight", ("model.layers.", 3, "self_attn.q_proj.weight")),
        ("model.layers.3.mlp.experts.7.up_proj.weight", ("model.layers.", 3, "mlp.experts.7.up_proj.weight")),
        ("encoder.layers.1.blocks.0.attn.weight", ("encoder.layers.1.blocks.", 0, "attn.weight")),
        ("encoder.block.2.layer.0.SelfAttention.q.weight", ("encoder.block.", 2, "layer.0.SelfAttention.q.weight")),
        ("bert.encoder.layer.11.output.dense.weight", ("bert.encoder.layer.", 11, "output.dense.weight")),
        ("transformer.h.0.ln_1.weight", ("transformer.h.", 0, "ln_1.weight")),
        ("blk.31.attn_q.weight", ("blk.", 31, "attn_q.weight")),
        ("mlp1.1.weight", None),
        ("classifier.3.weight", None),
        ("layers.weight", None),
        ("layers.99999999999.x", None),
        ("layers.٣.x", None),
    ],
)
def test_split_layer(name: str, place: tuple[str, int, str] | None):
    assert split_layer(name) == place


def test_layer_stacks():
    stacks = layer_stacks(parts_of(llava())).stacks

    assert {(s.role, s.prefix, s.indices) for s in stacks} == {
        (V, "vision_tower.encoder.layers.", (0, 1, 2)),
        (T, "language_model.model.layers.", (0, 1, 2)),
    }
    assert parts_of(llava()).parts[0].layers == 3


def test_common_prefix():
    assert common_prefix(["a.b.c", "a.b.d"]) == "a.b."
    assert common_prefix(["a.bc", "a.bd"]) == "a."
    assert common_prefix(["x"]) == ""
    assert common_prefix([]) == ""


# ----------------------------------------------------------------------------------------------- embeddings


@pytest.mark.parametrize(
    ("shapes", "table", "head"),
    [
        (llama(), "model.embed_tokens.weight", "lm_head.weight"),
        (llama(head=None), "model.embed_tokens.weight", None),
        (llama(head="output.weight"), "model.embed_tokens.weight", "output.weight"),
        (
            {"gpt_neox.embed_in.weight": (9, 4), "embed_out.weight": (9, 4)},
            "gpt_neox.embed_in.weight",
            "embed_out.weight",
        ),
        ({"token_embd.weight": (9, 4), "output.weight": (9, 4)}, "token_embd.weight", "output.weight"),
        ({"shared.weight": (9, 4), "encoder.embed_tokens.weight": (9, 4)}, "shared.weight", None),
        ({**llama(), "talker.lm_head.weight": (7, 4)}, "model.embed_tokens.weight", "lm_head.weight"),
    ],
)
def test_embeddings(shapes: dict[str, tuple[int, ...]], table: str, head: str | None):
    found = embeddings(parts_of(shapes))

    assert found.embedding is not None
    assert found.embedding.name == table
    assert (found.head.name if found.head else None) == head


def test_a_tower_alone_has_no_embeddings():
    assert or_none(embeddings, parts_of(clip_tower())) is None


# ---------------------------------------------------------------------------------------------------- any names

WORD = st.sampled_from(
    [
        "model",
        "visual",
        "layers",
        "0",
        "1",
        "17",
        "attn",
        "q_proj",
        "qkv",
        "weight",
        "bias",
        "lora_A",
        "encoder",
        "decoder",
        "h",
        "merger",
        "head",
        "embed_tokens",
        "conv1",
        "patch_embed",
        "proj",
        "module.",
        "..",
        "é",
    ]
)
NAME = st.lists(WORD, min_size=1, max_size=7).map(".".join) | st.text(max_size=12)


@given(st.dictionaries(NAME, st.lists(st.integers(0, 5), max_size=5).map(tuple), min_size=1, max_size=25))
def test_no_names_break_it(shapes: dict[str, tuple[int, ...]]):
    weights = checkpoint(shapes)
    found = parts(weights)

    assert sorted(t.name for p in found.parts for t in p.tensors) == sorted(weights.tensors)
    assert layer_stacks(found).stacks is not None
    or_none(embeddings, found)
