"""ATT001 fires where no heads of the configuration explain the projections, and knows every legitimate oddity."""

from typing import Any

import pytest

from mmdoctor.finding import Confidence
from mmdoctor_checks.attention_shape.head_dim_not_derived import head_dim_not_derived
from tests.architectures.made import LLAMA, changed, clip_tower, examine, llama, renamed, without


def _qwen3(**sizes: int) -> dict[str, tuple[int, ...]]:
    """Qwen3-4B: 2560 wide, 32 heads of 128, 8 key/value heads."""
    return llama(**{"hidden": 2560, "heads": 32, "kv": 8, "size": 128, "norms": True, **sizes})


QWEN3: dict[str, Any] = {
    **LLAMA,
    "model_type": "qwen3",
    "hidden_size": 2560,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}


def test_silent_where_head_dim_is_not_hidden_over_heads():
    assert examine(head_dim_not_derived, _qwen3(), QWEN3) == ()


def test_fires_with_the_arithmetic_where_the_configuration_derives_it():
    (finding,) = examine(head_dim_not_derived, _qwen3(), changed(QWEN3, head_dim=80))

    assert "q_proj [4096, 2560]" in finding.message
    assert "32 heads x 128 = 4096" in finding.message
    assert "head_dim 80" in finding.message
    assert "2560" in finding.message
    assert finding.location.tensor == "model.layers.{0..2}.self_attn.q_proj.weight"
    assert finding.fix is not None
    (edit,) = finding.fix.edits
    assert (edit.pointer, edit.value) == ("/head_dim", 128)


@pytest.mark.parametrize("absent", [None, "null"])
def test_an_absent_or_null_head_dim_is_derived(absent: str | None):
    value = {k: v for k, v in LLAMA.items() if k != "head_dim"} | ({"head_dim": None} if absent else {})

    assert examine(head_dim_not_derived, llama(), value) == ()
    (finding,) = examine(head_dim_not_derived, llama(size=24), value)
    assert "64 // 4" in finding.message


def test_silent_where_the_hidden_size_is_no_multiple_of_the_heads():
    value = changed(LLAMA, hidden_size=1792, num_attention_heads=24, num_key_value_heads=8, head_dim=128)

    assert examine(head_dim_not_derived, llama(hidden=1792, heads=24, kv=8, size=128), value) == ()


def test_fires_on_the_wrong_number_of_key_value_heads():
    (finding,) = examine(head_dim_not_derived, llama(kv=2), changed(LLAMA, num_key_value_heads=4))

    assert "k_proj [32, 64]" in finding.message
    assert finding.fix is not None
    assert finding.fix.edits[0].value == 2


def test_fires_on_one_layer_of_many_and_names_it():
    shapes = llama(layers=6) | {"model.layers.4.self_attn.k_proj.weight": (64, 64)}

    (finding,) = examine(head_dim_not_derived, shapes, changed(LLAMA, num_hidden_layers=6))
    assert "layers 4 " in finding.message


def test_fires_on_another_hidden_size():
    (finding,) = examine(head_dim_not_derived, llama(), changed(LLAMA, hidden_size=128))

    assert "reads 64 features" in finding.message
    assert "hidden_size 128" in finding.message


def test_silent_on_gated_attention():
    shapes = llama() | {f"model.layers.{i}.self_attn.q_proj.weight": (128, 64) for i in range(3)}

    assert examine(head_dim_not_derived, shapes, changed(LLAMA, model_type="qwen3_next")) == ()


def test_silent_on_latent_attention():
    shapes = without(llama(), "q_proj", "k_proj", "v_proj")
    for i in range(3):
        attention = f"model.layers.{i}.self_attn."
        shapes |= {f"{attention}q_a_proj.weight": (24, 64), f"{attention}q_b_proj.weight": (96, 24)}
        shapes |= {f"{attention}kv_a_proj_with_mqa.weight": (40, 64), f"{attention}kv_b_proj.weight": (128, 32)}

    assert examine(head_dim_not_derived, shapes, changed(LLAMA, model_type="deepseek_v3")) == ()


def test_silent_where_layers_share_keys_and_values():
    shapes = without(llama(layers=4), "layers.3.self_attn.k_proj", "layers.3.self_attn.v_proj")

    assert examine(head_dim_not_derived, shapes, changed(LLAMA, num_hidden_layers=4)) == ()


@pytest.mark.parametrize(
    "stated", [{"global_head_dim": 32}, {"per_layer_config": {"02": {"head_dim": 32}}}, {"swa_head_dim": 32}]
)
def test_silent_where_some_layers_have_another_head_dim(stated: dict[str, Any]):
    shapes = llama() | {
        "model.layers.2.self_attn.q_proj.weight": (128, 64),
        "model.layers.2.self_attn.k_proj.weight": (64, 64),
        "model.layers.2.self_attn.v_proj.weight": (64, 64),
        "model.layers.2.self_attn.o_proj.weight": (64, 128),
    }

    assert examine(head_dim_not_derived, shapes, {**LLAMA, **stated}) == ()


@pytest.mark.parametrize("rows", [16, 64])
def test_silent_whether_norms_are_per_head_or_over_all(rows: int):
    shapes = llama() | {f"model.layers.{i}.self_attn.q_norm.weight": (rows,) for i in range(3)}

    assert examine(head_dim_not_derived, shapes, LLAMA) == ()


def test_silent_on_packed_weights():
    shapes = without(llama(), "self_attn")
    for i in range(3):
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            module = f"model.layers.{i}.self_attn.{name}"
            shapes |= {f"{module}.qweight": (8, 64), f"{module}.qzeros": (1, 8), f"{module}.scales": (1, 64)}

    assert examine(head_dim_not_derived, shapes, LLAMA) == ()


def test_silent_on_bitsandbytes_weights_that_keep_their_names():
    names = [n for n in llama() if "self_attn" in n]
    shapes = llama() | dict.fromkeys(names, (2048, 1)) | {f"{n}.absmax": (64,) for n in names}

    assert examine(head_dim_not_derived, shapes, LLAMA, dtypes=dict.fromkeys(names, "U8")) == ()


def test_silent_on_other_stacks_beside_the_language_model():
    shapes = llama() | renamed(llama(hidden=48, heads=6, kv=6, size=8), "model.", "protein_model.")

    assert examine(head_dim_not_derived, shapes, changed(LLAMA, model_type="evolla")) == ()


def test_silent_on_keys_from_the_other_modality():
    shapes = llama()
    for name, shape in (("q_proj", (64, 64)), ("k_proj", (32, 1280)), ("v_proj", (32, 1280)), ("o_proj", (64, 64))):
        shapes[f"model.layers.1.cross_attn.{name}.weight"] = shape

    assert examine(head_dim_not_derived, shapes, LLAMA) == ()


def test_without_a_configuration_a_consistent_file_is_silent():
    assert examine(head_dim_not_derived, _qwen3(layers=5)) == ()


@pytest.mark.parametrize(
    ("tensor", "shape"),
    [
        ("model.layers.2.self_attn.q_proj.weight", (128, 64)),
        ("model.layers.2.self_attn.o_proj.weight", (64, 48)),
        ("model.layers.2.self_attn.v_proj.weight", (48, 64)),
        ("model.layers.2.self_attn.k_proj.weight", (32, 48)),
        ("model.layers.2.self_attn.o_proj.weight", (80, 64)),
    ],
)
def test_without_a_configuration_fires_on_a_layer_unlike_its_siblings(tensor: str, shape: tuple[int, int]):
    (finding,) = examine(head_dim_not_derived, llama(layers=5) | {tensor: shape})

    assert "layer 2 " in finding.message
    assert finding.confidence is Confidence.LIKELY


def test_without_a_configuration_silent_on_pruned_layers_of_other_sizes():
    smaller = {n: s for n, s in llama(heads=2, kv=1).items() if "layers.1.self_attn" in n}

    assert examine(head_dim_not_derived, llama(layers=5) | smaller) == ()


def test_fires_inside_a_vision_tower():
    shapes = clip_tower() | {"vision_tower.encoder.layers.1.self_attn.q_proj.weight": (48, 32)}

    (finding,) = examine(head_dim_not_derived, shapes)
    assert "[48, 32]" in finding.message


@pytest.mark.parametrize("rows", [96, 64, 48])
def test_silent_on_fused_towers_with_and_without_grouped_heads(rows: int):
    shapes = {}
    for i in range(3):
        shapes |= {f"visual.blocks.{i}.attn.qkv.weight": (rows, 32), f"visual.blocks.{i}.attn.proj.weight": (32, 32)}

    assert examine(head_dim_not_derived, shapes) == ()


QFORMER = "qformer.encoder.layer.0."


def _cross(*, queries: int = 64, keys: int = 64, values: int = 64, out: int = 64) -> dict[str, tuple[int, int]]:
    cross = f"{QFORMER}crossattention."
    return {
        f"{cross}attention.query.weight": (queries, 64),
        f"{cross}attention.key.weight": (keys, 32),
        f"{cross}attention.value.weight": (values, 32),
        f"{cross}output.dense.weight": (64, out),
    }


def test_fires_on_half_the_keys_of_a_projector():
    own = {name.replace("crossattention", "attention"): shape for name, shape in _cross().items()}
    own[f"{QFORMER}attention.attention.key.weight"] = (32, 64)

    (finding,) = examine(head_dim_not_derived, own)
    assert "the projector will not run" in finding.message


def test_cross_attention_needs_as_many_keys_as_queries():
    assert examine(head_dim_not_derived, _cross()) == ()
    assert examine(head_dim_not_derived, _cross(queries=16, keys=16)) == ()  # Perceiver: other values than queries
    assert examine(head_dim_not_derived, _cross(keys=16, values=16)) == ()  # grouped
    (finding,) = examine(head_dim_not_derived, _cross(keys=32))
    assert "[32, 32]" in finding.message


def test_heads_of_no_width_are_no_division_by_zero():
    value = {k: v for k, v in changed(LLAMA, num_attention_heads=2**31).items() if k != "head_dim"}

    (finding,) = examine(head_dim_not_derived, llama(), value)
    assert finding.message
