"""ATT007 fires where a projector fits neither the tower, the language model nor itself, and knows every kind."""

from typing import Any

import pytest

from mmdoctor_checks.attention_shape.projector_dimension import projector_dimension
from tests.architectures.made import LLAMA, changed, clip_tower, examine, llama, llava, llava_config, without

TEXT = {k: v for k, v in LLAMA.items() if k != "architectures"}


def test_silent_on_llava():
    assert examine(projector_dimension, llava(), llava_config()) == ()
    assert examine(projector_dimension, llava()) == ()


def test_fires_on_a_projector_for_another_tower():
    shapes = llava() | {"multi_modal_projector.linear_1.weight": (64, 48)}

    (finding,) = examine(projector_dimension, shapes, llava_config())
    assert "linear_1 [64, 48] reads 48 features" in finding.message
    assert "32" in finding.message


def test_fires_on_a_projector_for_another_language_model():
    shapes = llava() | {"multi_modal_projector.linear_2.weight": (96, 64)}

    (finding,) = examine(projector_dimension, shapes, llava_config())
    assert "writes 96 features" in finding.message
    assert "64 wide" in finding.message


def test_fires_where_its_own_layers_do_not_fit():
    shapes = llava() | {"multi_modal_projector.linear_1.weight": (80, 32)}

    (finding,) = examine(projector_dimension, shapes, llava_config())
    assert "reads 64 features" in finding.message
    assert "writes 80" in finding.message


@pytest.mark.parametrize(("layers", "width", "fires"), [([-2, -5], 64, False), ([-2, -5], 32, True), (-2, 64, True)])
def test_joined_layers_multiply_the_width(layers: Any, width: int, fires: bool):
    shapes = llava() | {"multi_modal_projector.linear_1.weight": (64, width)}

    assert bool(examine(projector_dimension, shapes, llava_config(vision_feature_layer=layers))) is fires


def test_silent_on_half_a_width_after_a_gated_activation():
    shapes = {
        **clip_tower(),
        "multi_modal_projector.linear_1.weight": (256, 128),
        "multi_modal_projector.linear_2.weight": (64, 128),
        **llama("language_model.model."),
    }
    value = changed(llava_config(), model_type="aya_vision", downsample_factor=2, vision_feature_layer=-1)

    assert examine(projector_dimension, shapes, value) == ()


def _internvl(ratio: float, reads: int) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    shapes = {
        **clip_tower(),
        "multi_modal_projector.layer_norm.weight": (reads,),
        "multi_modal_projector.linear_1.weight": (64, reads),
        "multi_modal_projector.linear_2.weight": (64, 64),
        **llama("language_model.model."),
    }
    return shapes, changed(llava_config(), model_type="internvl", downsample_ratio=ratio, vision_feature_layer=-1)


@pytest.mark.parametrize(("ratio", "reads", "fires"), [(0.5, 128, False), (0.25, 512, False), (0.5, 32, True)])
def test_internvl_states_the_inverse(ratio: float, reads: int, fires: bool):
    shapes, value = _internvl(ratio, reads)

    assert bool(examine(projector_dimension, shapes, value)) is fires


@pytest.mark.parametrize(("factor", "reads", "fires"), [(2, 128, False), (4, 512, False), (3, 128, True)])
def test_idefics_states_the_factor(factor: int, reads: int, fires: bool):
    shapes = {
        **clip_tower("model.vision_model."),
        "model.connector.modality_projection.proj.weight": (64, reads),
        **llama("model.text_model."),
    }
    value = changed(llava_config(), model_type="idefics3", scale_factor=factor, vision_feature_layer=None)

    assert bool(examine(projector_dimension, shapes, value)) is fires


def _qwen(out: int = 64, merge: int = 2) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    shapes: dict[str, tuple[int, ...]] = {"visual.patch_embed.proj.weight": (32, 3, 2, 14, 14)}
    for i in range(3):
        shapes |= {f"visual.blocks.{i}.attn.qkv.weight": (96, 32), f"visual.blocks.{i}.attn.proj.weight": (32, 32)}
    shapes |= {"visual.merger.mlp.0.weight": (128, 128), "visual.merger.mlp.2.weight": (out, 128)}
    for i in range(2):
        shapes[f"visual.deepstack_merger_list.{i}.linear_fc1.weight"] = (128, 128)
        shapes[f"visual.deepstack_merger_list.{i}.linear_fc2.weight"] = (out, 128)
    value = {
        "model_type": "qwen2_5_vl",
        "text_config": TEXT,
        "vision_config": {"hidden_size": 32, "out_hidden_size": 64, "spatial_merge_size": merge, "depth": 3},
    }
    return {**shapes, **llama()}, value


def test_silent_on_mergers_with_deepstack():
    shapes, value = _qwen()

    assert examine(projector_dimension, shapes, value) == ()


def test_fires_on_another_merge_size():
    shapes, value = _qwen(merge=4)

    (finding,) = examine(projector_dimension, shapes, value)
    assert "32 x 4^2 patches = 512" in finding.message


def test_fires_on_another_width_handed_on():
    shapes, value = _qwen()

    (finding,) = examine(projector_dimension, shapes, changed(value, vision_config__out_hidden_size=128))
    assert finding.location.pointer == "/vision_config/out_hidden_size"


def test_mistral_merges_patches_before_its_projector():
    shapes = {
        **clip_tower(),
        "multi_modal_projector.patch_merger.merging_layer.weight": (32, 128),
        "multi_modal_projector.linear_1.weight": (64, 32),
        "multi_modal_projector.linear_2.weight": (64, 64),
        **llama("language_model.model."),
    }
    value = changed(llava_config(), model_type="mistral3", spatial_merge_size=2, vision_feature_layer=-1)

    assert examine(projector_dimension, shapes, value) == ()
    assert examine(projector_dimension, shapes, changed(value, spatial_merge_size=1))
    assert examine(projector_dimension, shapes | {"multi_modal_projector.linear_1.weight": (64, 48)}, value)


def test_gemma_keeps_its_matrix_the_other_way_round():
    shapes = {
        **clip_tower(positions=16),
        "multi_modal_projector.mm_input_projection_weight": (32, 64),
        "multi_modal_projector.mm_soft_emb_norm.weight": (32,),
        **llama("language_model.model."),
    }
    value = changed(llava_config(), model_type="gemma3", vision_feature_layer=None)

    assert examine(projector_dimension, shapes, value) == ()
    assert examine(projector_dimension, shapes | {"multi_modal_projector.mm_input_projection_weight": (64, 32)}, value)


@pytest.mark.parametrize(("stated", "fires"), [(192, False), (160, True)])
def test_llama_vision_reads_six_layers(stated: int, fires: bool):
    shapes = {
        **clip_tower("vision_model."),
        "multi_modal_projector.weight": (64, 192),
        **llama("language_model.model."),
    }
    value = changed(llava_config(), model_type="mllama", vision_config__vision_output_dim=stated)

    assert bool(examine(projector_dimension, shapes, value)) is fires


def _q_former(reads: int = 32, writes: int = 64) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"query_tokens": (1, 8, 48), "language_projection.weight": (writes, 48)}
    for i in range(2):
        layer = f"qformer.encoder.layer.{i}."
        shapes |= {f"{layer}attention.attention.{n}.weight": (48, 48) for n in ("query", "key", "value")}
        shapes |= {f"{layer}crossattention.attention.{n}.weight": (48, reads) for n in ("key", "value")}
        shapes[f"{layer}crossattention.attention.query.weight"] = (48, 48)
    return {**clip_tower("vision_model."), **shapes, **llama("language_model.model.")}


def test_a_q_former_reads_the_tower_by_cross_attention():
    assert examine(projector_dimension, _q_former(), changed(llava_config(), model_type="blip-2")) == ()
    assert examine(projector_dimension, _q_former(writes=96))


def test_silent_on_a_resampler():
    shapes = {
        **clip_tower("vpm."),
        "resampler.kv_proj.weight": (64, 32),
        "resampler.attn.in_proj_weight": (192, 64),
        "resampler.attn.out_proj.weight": (64, 64),
        "resampler.proj": (64, 64),
        "resampler.query": (16, 64),
        "resampler.pos_embed": (16, 64),
        **llama("llm.model."),
    }

    assert examine(projector_dimension, shapes) == ()


def test_silent_on_contrastive_projections():
    shapes = {
        **clip_tower("vision_model."),
        "visual_projection.weight": (24, 32),
        "text_projection.weight": (24, 64),
        **llama("text_model."),
    }

    assert examine(projector_dimension, shapes) == ()


def test_without_a_configuration_fires_on_what_fits_neither_side():
    shapes = {**clip_tower(), "mlp1.proj.weight": (100, 75), **llama("language_model.model.")}

    (finding,) = examine(projector_dimension, shapes)
    assert "neither" in finding.message


def test_sound_comes_in_whole_multiples():
    shapes: dict[str, tuple[int, ...]] = {"audio_tower.conv1.weight": (32, 80, 3)}
    for i in range(3):
        layer = f"audio_tower.layers.{i}.self_attn."
        shapes |= {f"{layer}{n}.weight": (32, 32) for n in ("q_proj", "k_proj", "v_proj", "out_proj")}
    text = llama("language_model.model.")

    for width, fires in ((32, False), (128, False), (48, True)):
        projector = {"multi_modal_projector.linear.weight": (64, width)}
        assert bool(examine(projector_dimension, {**shapes, **projector, **text})) is fires


def test_halving_between_two_layers_needs_a_gated_activation():
    halved = llava() | {"multi_modal_projector.linear_1.weight": (128, 32)}
    gated = llava_config() | {"model_type": "aya_vision", "downsample_factor": 1}

    (finding,) = examine(projector_dimension, halved, llava_config())
    assert "linear_2 reads 64 features, multi_modal_projector.linear_1 before it writes 128" in finding.message
    assert examine(projector_dimension, halved, gated) == ()


def test_fires_where_no_map_of_a_projector_writes_the_width_of_the_language_model():
    shapes = without(llava(), "multi_modal_projector")
    maps = {"projector.readout.0.weight": (96, 32), "projector.readout.2.weight": (96, 96)}

    (finding,) = examine(projector_dimension, shapes | maps, llava_config(model_type="video_llama_3"))
    assert "writes 96 features, the language model is 64 wide" in finding.message
    right = maps | {"projector.readout.2.weight": (64, 96)}
    assert examine(projector_dimension, shapes | right, llava_config(model_type="video_llama_3")) == ()


@pytest.mark.parametrize(("model_type", "read"), [("qwen2_audio", 32), ("voxtral", 128)])
def test_a_projector_of_sounds_reads_what_its_class_stacks(model_type: str, read: int):
    layers = {
        f"audio_tower.layers.{i}.self_attn.{name}.weight": (32, 32)
        for i in range(3)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj")
    }
    section = {"model_type": "whisper", "d_model": 32, "hidden_size": 32, "intermediate_size": 128}
    value = changed(llava_config(model_type=model_type, vision_config=None), audio_config=section)

    def found(features: int) -> int:
        projector = {"multi_modal_projector.linear_1.weight": (64, features)}
        tower = layers | {"audio_tower.conv1.weight": (32, 80, 3)}
        return len(examine(projector_dimension, tower | projector | llama("language_model.model."), value))

    assert found(read) == 0
    assert found(2 * read) == 1
