"""INT010 fires on every kind of weight that would be random after loading, and on no legitimate gap."""

from typing import Any

import pytest

from mmdoctor.finding import Severity
from mmdoctor_checks.integrity.silently_uninitialised_weights import silently_uninitialised_weights
from tests.architectures.made import LLAMA, changed, clip_tower, examine, llama, llava, llava_config, renamed, without


def _problem(shapes: dict[str, tuple[int, ...]], value: dict[str, Any] | None = None, **how: Any) -> str:
    (finding,) = examine(silently_uninitialised_weights, shapes, value, **how)
    assert finding.severity is Severity.ERROR
    return finding.message


def test_silent_on_whole_models():
    for shapes, value in ((llama(), LLAMA), (llava(), llava_config())):
        assert examine(silently_uninitialised_weights, shapes, value) == ()
        assert examine(silently_uninitialised_weights, shapes) == ()


# ---------------------------------------------------------------------------------------------------- layers


def test_fires_on_layers_beyond_those_in_the_file():
    message = _problem(llama(layers=3), changed(LLAMA, num_hidden_layers=5))

    assert "layers {3,4} of `model.layers.`" in message
    assert "5 layers and 3 are there" in message


@pytest.mark.parametrize("value", [changed(LLAMA, num_hidden_layers=5), None])
def test_fires_on_a_layer_missing_between_others(value: dict[str, Any] | None):
    assert "layers 2 of" in _problem(without(llama(layers=5), "layers.2."), value)


def test_silent_on_a_layer_without_weights_between_two_kinds():
    shapes = {}  # EfficientFormer flattens between convolutions and attention
    for i in (0, 1, 2, 4, 5):
        words = ("qkv", "proj", "fc1", "fc2", "norm1", "norm2") if i > 3 else ("conv1", "conv2", "bn1", "bn2", "a", "b")
        shapes |= {f"stages.3.blocks.{i}.{word}.weight": (64, 64) for word in words}

    assert examine(silently_uninitialised_weights, shapes) == ()


def test_fires_on_missing_layers_of_a_tower():
    assert "vision_tower.encoder.layers." in _problem(
        llava(), llava_config(vision_config__num_hidden_layers=6, vision_feature_layer=-1)
    )


def test_silent_on_a_tower_without_the_layers_behind_the_selected_one():
    shapes = without(llava(), "encoder.layers.2.")

    assert examine(silently_uninitialised_weights, shapes, llava_config()) == ()
    assert _problem(shapes, llava_config(vision_feature_layer=-1))


def test_silent_on_prediction_layers_beyond_the_configured_ones():
    assert examine(silently_uninitialised_weights, llama(layers=4), LLAMA) == ()


def test_silent_on_layers_that_are_run_several_times():
    value = {"model_type": "albert", "num_hidden_layers": 12, "vocab_size": 100, "hidden_size": 64}
    shapes = {
        "albert.embeddings.word_embeddings.weight": (100, 64),
        "albert.encoder.albert_layer_groups.0.albert_layers.0.ffn.weight": (64, 64),
    }

    assert examine(silently_uninitialised_weights, shapes, value) == ()


def test_encoder_and_decoder_count_apart():
    value = {
        "model_type": "bart",
        "encoder_layers": 2,
        "decoder_layers": 3,
        "d_model": 64,
        "vocab_size": 100,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
    }
    shapes: dict[str, tuple[int, ...]] = {"model.shared.weight": (100, 64)}
    for half, count in (("encoder", 2), ("decoder", 3)):
        for i in range(count):
            layer = f"model.{half}.layers.{i}."
            shapes |= {f"{layer}self_attn.{n}.weight": (64, 64) for n in ("q_proj", "k_proj", "v_proj", "out_proj")}
            shapes |= {f"{layer}fc1.weight": (128, 64), f"{layer}fc2.weight": (64, 128)}

    assert examine(silently_uninitialised_weights, shapes, value) == ()
    assert "model.decoder.layers." in _problem(without(shapes, "decoder.layers.2."), value)


def test_a_smaller_encoder_beside_the_text_encoder_counts_for_itself():
    value = {"model_type": "seamless_m4t", "encoder_layers": 3, "decoder_layers": 3, "vocab_size": 100}
    shapes: dict[str, tuple[int, ...]] = {"shared.weight": (100, 64)}
    for stack, count in (("text_encoder", 3), ("text_decoder", 3), ("t2u_model.model.encoder", 2)):
        for i in range(count):
            layer = f"{stack}.layers.{i}."
            shapes |= {f"{layer}self_attn.{n}.weight": (64, 64) for n in ("q_proj", "k_proj", "v_proj", "out_proj")}
            shapes |= {f"{layer}ffn.fc1.weight": (128, 64), f"{layer}ffn.fc2.weight": (64, 128)}

    assert examine(silently_uninitialised_weights, shapes, value) == ()


# ------------------------------------------------------------------------------------- modules in a layer


@pytest.mark.parametrize("module", ["self_attn.o_proj", "mlp.down_proj", "input_layernorm", "post_attention_layernorm"])
@pytest.mark.parametrize("value", [LLAMA, None])
def test_fires_on_a_layer_without_a_module_of_its_siblings(module: str, value: dict[str, Any] | None):
    message = _problem(without(llama(), f"layers.1.{module}"), value)

    assert f"model.layers.1.{module}" in message


@pytest.mark.parametrize("layers", [1, 2])
def test_fires_on_half_a_triple_in_every_layer(layers: int):
    message = _problem(without(llama(layers=layers), "v_proj"), changed(LLAMA, num_hidden_layers=layers))

    assert "q_proj and k_proj but no values" in message


def test_fires_on_half_a_feed_forward_block_in_every_layer():
    assert "fc1 but no fc2" in _problem(without(llava(), "mlp.fc2"), llava_config())


def test_fires_where_biases_of_the_missing_weights_are_left():
    shapes = without(llama(), "layers.1.self_attn.v_proj") | {"model.layers.1.self_attn.v_proj.bias": (32,)}

    assert "v_proj" in _problem(shapes, LLAMA)


def test_silent_on_cross_attention_in_some_layers():
    shapes = llama(layers=4)
    for i in (1, 3):
        shapes |= {
            f"model.layers.{i}.cross_attn.{n}.weight": (64, 64) for n in ("q_proj", "k_proj", "v_proj", "o_proj")
        }

    assert examine(silently_uninitialised_weights, shapes, changed(LLAMA, num_hidden_layers=4)) == ()


def test_silent_on_a_bias_table_in_the_first_layer_only():
    shapes = llama() | {"model.layers.0.self_attn.relative_attention_bias.weight": (32, 4)}

    assert examine(silently_uninitialised_weights, shapes, LLAMA) == ()


@pytest.mark.parametrize("value", [changed(LLAMA, num_hidden_layers=6, num_kv_shared_layers=2), None])
def test_silent_where_the_last_layers_share_keys_and_values(value: dict[str, Any] | None):
    names = [f"layers.{i}.self_attn.{n}" for i in (4, 5) for n in ("k_proj", "v_proj")]

    assert examine(silently_uninitialised_weights, without(llama(layers=6), *names), value) == ()


def test_silent_on_pruned_models_that_leave_out_whole_blocks():
    names = [f"layers.{i}.self_attn" for i in (2, 4, 5)]

    assert examine(silently_uninitialised_weights, without(llama(layers=8), *names)) == ()


def test_silent_on_dense_layers_before_those_with_experts():
    shapes = without(llama(layers=4), "layers.1.mlp", "layers.2.mlp", "layers.3.mlp")
    for i in (1, 2, 3):
        shapes[f"model.layers.{i}.mlp.gate.weight"] = (4, 64)
        for e in range(4):
            expert = f"model.layers.{i}.mlp.experts.{e}."
            shapes |= {f"{expert}gate_proj.weight": (32, 64), f"{expert}up_proj.weight": (32, 64)}
            shapes[f"{expert}down_proj.weight"] = (64, 32)

    assert examine(silently_uninitialised_weights, shapes, changed(LLAMA, num_hidden_layers=4)) == ()


def test_silent_where_the_queries_alone_are_packed():
    shapes = without(llama(), "q_proj")
    for i in range(3):
        queries = f"model.layers.{i}.self_attn.q_proj."
        shapes |= {f"{queries}qweight": (8, 64), f"{queries}scales": (1, 64), f"{queries}qzeros": (1, 8)}

    assert examine(silently_uninitialised_weights, shapes, LLAMA) == ()


def test_silent_on_packed_weights_in_some_layers():
    shapes = without(llama(), "layers.1.mlp.up_proj")
    shapes |= {f"model.layers.1.mlp.up_proj.{n}": (8, 64) for n in ("qweight", "qzeros", "scales", "g_idx")}

    assert examine(silently_uninitialised_weights, shapes, LLAMA) == ()


# ----------------------------------------------------------------------------------------- parts and ends


def test_fires_on_a_described_tower_that_is_not_there():
    shapes = without(llava(), "vision_tower")

    assert "describes a vision tower" in _problem(shapes, llava_config())
    (finding,) = examine(silently_uninitialised_weights, shapes, llava_config())
    assert [e.at.file for e in finding.evidence if e.at] == ["config.json", "model.safetensors"]


def test_fires_on_a_missing_projector_even_where_a_newline_vector_is_left():
    shapes = without(llava(), "multi_modal_projector") | {"image_newline": (64,)}

    assert "describes a projector" in _problem(shapes, llava_config())


def test_fires_on_a_contrastive_model_without_its_text_half():
    value = {
        "model_type": "clip",
        "architectures": ["CLIPModel"],
        "text_config": {"hidden_size": 64, "vocab_size": 100},
        "vision_config": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
    }

    assert "describes a text model" in _problem(clip_tower("vision_model."), value)
    value["architectures"] = ["CLIPVisionModelWithProjection"]
    assert examine(silently_uninitialised_weights, clip_tower("vision_model."), value) == ()


def test_silent_on_a_tower_that_comes_from_elsewhere():
    value = {**LLAMA, "model_type": "llava_llama", "mm_vision_tower": "openai/clip-vit-large-patch14-336"}

    assert examine(silently_uninitialised_weights, llama(), value) == ()


def test_silent_on_the_language_model_alone():
    value = changed(llava_config(), architectures=["LlavaModel"])

    assert examine(silently_uninitialised_weights, llama("language_model.model."), value) == ()


@pytest.mark.parametrize(
    ("fragment", "says"), [("embed_tokens", "no token embedding"), ("model.norm", "no norm after the layers")]
)
def test_fires_on_missing_ends_of_a_language_model(fragment: str, says: str):
    assert says in _problem(without(llama(), fragment), LLAMA)


def test_fires_on_a_tower_without_a_patch_embedding():
    assert "no patch embedding" in _problem(without(llava(), "patch_embedding"), llava_config())


def test_silent_on_a_table_under_a_name_of_its_own():
    shapes = renamed(llama(), "embed_tokens", "input_embedding")

    assert examine(silently_uninitialised_weights, shapes, LLAMA) == ()


# ------------------------------------------------------------------------------------------------ prefixes


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "state_dict.", "student.", "base_model.model."])
def test_fires_on_what_training_code_leaves_and_says_how_to_rename(prefix: str):
    shapes = {prefix + name: shape for name, shape in llama().items()}

    (finding,) = examine(silently_uninitialised_weights, shapes, LLAMA)
    assert f"start with `{prefix}`" in finding.message
    assert finding.fix is not None
    assert "becomes `model.embed_tokens.weight`" in finding.fix.text


def test_a_bare_file_with_a_prefix_is_only_a_note():
    shapes = {f"module.{name}": shape for name, shape in llama().items()}

    (finding,) = examine(silently_uninitialised_weights, shapes)
    assert finding.severity is Severity.NOTE


def test_fires_on_a_word_that_no_model_has():
    assert "`wrapped.`" in _problem({f"wrapped.{n}": s for n, s in llava().items()}, llava_config())


def test_fires_on_a_doubled_prefix():
    assert "`model.model.`" in _problem({f"model.{n}": s for n, s in llama(head=None).items()}, LLAMA)


def test_silent_on_classes_that_name_two_modules_alike():
    shapes = {f"encoder.encoder.layer.{i}.norm{n}.weight": (64,) for i in range(3) for n in (1, 2)}
    value = {"model_type": "pixio", "architectures": ["PixioBackbone"], "hidden_size": 64, "num_hidden_layers": 3}

    assert examine(silently_uninitialised_weights, shapes, value) == ()


@pytest.mark.parametrize("prefix", ["model.", "thinker.", "vlm."])
def test_silent_on_prefixes_that_models_have(prefix: str):
    shapes = {f"{prefix}{n}": s for n, s in llava().items()}

    assert examine(silently_uninitialised_weights, shapes, llava_config()) == ()


def test_silent_on_a_word_that_only_code_beside_the_model_knows():
    value = {**LLAMA, "model_type": "xgenmm", "auto_map": {"AutoModel": "modeling.X"}}

    assert examine(silently_uninitialised_weights, {f"wrapped.{n}": s for n, s in llama().items()}, value) == ()


# --------------------------------------------------------------------------------------- what is left alone


def test_silent_on_one_shard_of_many():
    shapes = {n: s for n, s in llama(layers=6).items() if "layers.3" in n or "layers.4.mlp.down_proj" in n}

    assert examine(silently_uninitialised_weights, shapes, file="model-00002-of-00003.safetensors") == ()


def test_silent_on_an_adapter():
    module = "base_model.model.model.layers.{}.self_attn.q_proj"
    shapes = {f"{module.format(i)}.lora_{side}.weight": (8, 64) for i in range(3) for side in "AB"}

    assert examine(silently_uninitialised_weights, shapes) == ()
    assert examine(silently_uninitialised_weights, shapes, LLAMA) == ()


@pytest.mark.parametrize("names", [("body.0.weight", "body.2.weight"), ("a", "b.c", "layers.x.weight")])
def test_silent_on_anything_else(names: tuple[str, ...]):
    assert examine(silently_uninitialised_weights, dict.fromkeys(names, (3, 3))) == ()
