"""ATT003 fires where the rows of a fused projection are those of other heads."""

import pytest

from mmdoctor_checks.attention_shape.gqa_fused_qkv_shape import gqa_fused_qkv_shape
from tests.architectures.made import LLAMA, changed, examine


def _fused(rows: int, name: str = "model.layers.{}.self_attn.qkv_proj", layers: int = 3) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (100, 64)}
    for i in range(layers):
        shapes[f"{name.format(i)}.weight"] = (rows, 64)
        shapes[f"model.layers.{i}.self_attn.o_proj.weight"] = (64, 64)
    return shapes


def test_silent_on_grouped_heads():
    assert examine(gqa_fused_qkv_shape, _fused((4 + 2 * 2) * 16), changed(LLAMA, model_type="phi3")) == ()


def test_silent_without_key_value_heads_where_there_are_as_many():
    value = changed(LLAMA, model_type="phi3", num_key_value_heads=None)

    assert examine(gqa_fused_qkv_shape, _fused(3 * 64), value) == ()


def test_fires_on_three_equal_parts_with_grouped_heads():
    (finding,) = examine(gqa_fused_qkv_shape, _fused(3 * 64), changed(LLAMA, model_type="phi3"))

    assert "qkv_proj [192, 64]" in finding.message
    assert "(4 + 2 x 2) heads x 16 make 128" in finding.message
    assert finding.fix is not None
    assert finding.fix.edits[0].value == 4


def test_fires_one_row_beside():
    (finding,) = examine(gqa_fused_qkv_shape, _fused(129), changed(LLAMA, model_type="phi3"))

    assert finding.fix is not None
    assert not finding.fix.edits


def test_silent_on_internlm2_whose_groups_are_interleaved():
    value = changed(LLAMA, model_type="internlm2")
    shapes = _fused(128, "model.layers.{}.attention.wqkv")

    assert examine(gqa_fused_qkv_shape, shapes, value) == ()


@pytest.mark.parametrize(("multi_query", "rows"), [(True, (4 + 2) * 16), (False, 3 * 64), (None, (4 + 2) * 16)])
def test_silent_on_one_key_value_head_for_all(multi_query: bool | None, rows: int):
    value = changed(LLAMA, model_type="falcon", num_key_value_heads=None, multi_query=multi_query)
    shapes = _fused(rows, "transformer.h.{}.self_attention.query_key_value")
    shapes["transformer.word_embeddings.weight"] = (100, 64)

    assert examine(gqa_fused_qkv_shape, shapes, value) == ()


def test_silent_on_biases_beside_the_matrix():
    shapes = _fused(128) | {f"model.layers.{i}.self_attn.qkv_proj.bias": (128,) for i in range(3)}

    assert examine(gqa_fused_qkv_shape, shapes, changed(LLAMA, model_type="phi3")) == ()


def test_silent_on_conv1d_which_is_stored_the_other_way_round():
    value = {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 2, "vocab_size": 100}
    shapes: dict[str, tuple[int, ...]] = {"transformer.wte.weight": (100, 64)}
    for i in range(2):
        shapes[f"transformer.h.{i}.attn.c_attn.weight"] = (64, 192)
        shapes[f"transformer.h.{i}.attn.c_proj.weight"] = (64, 64)

    assert examine(gqa_fused_qkv_shape, shapes, value) == ()
    (finding,) = examine(gqa_fused_qkv_shape, shapes, changed(value, n_embd=48))
    assert "192 rows" in finding.message


def test_silent_on_a_vision_tower_in_projection():
    shapes = {f"visual.transformer.resblocks.{i}.attn.in_proj_weight": (192, 64) for i in range(3)}

    assert examine(gqa_fused_qkv_shape, shapes, changed(LLAMA, num_key_value_heads=1)) == ()


def test_silent_on_packed_weights():
    shapes = {f"model.layers.{i}.self_attn.qkv_proj.qweight": (8, 999) for i in range(3)}

    assert examine(gqa_fused_qkv_shape, shapes, changed(LLAMA, model_type="phi3")) == ()


def test_silent_on_state_space_layers_with_an_in_projection():
    shapes = _fused(128) | {f"model.layers.{i}.mixer.in_proj.weight": (777, 64) for i in range(3)}

    assert examine(gqa_fused_qkv_shape, shapes, changed(LLAMA, model_type="nemotron_h")) == ()
