import pytest

from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.zero_size_tensors_zero3 import zero_size_tensors_zero3
from tests.checks.integrity.made import loaded, tensor, weights


def checkpoint(*tensors):
    return loaded(weights("model.safetensors", *tensors))


def test_fires_on_partitioned_weights() -> None:
    empty = [tensor(f"model.layers.{i}.mlp.up_proj.weight", shape=(0,)) for i in range(3)]
    (problem,) = fires(zero_size_tensors_zero3, checkpoint(*empty, tensor("model.norm.weight")))

    assert "3 of 4 float tensors were saved with shape [0]" in problem.message
    assert "model.layers.0.mlp.up_proj.weight" in problem.message


def test_fires_on_an_empty_adapter() -> None:
    assert fires(zero_size_tensors_zero3, checkpoint(tensor("base_model.model.q_proj.lora_B.weight", shape=(0,))))


def test_one_lost_dimension_is_a_warning() -> None:
    (problem,) = fires(zero_size_tensors_zero3, checkpoint(tensor("classifier.weight", shape=(0, 768))))

    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("model.layers.0.self_attn.q_proj.g_idx", "I32"),
        ("model.layers.0.mlp.down_proj.bias", "F16"),
        ("model.rotary_emb.inv_freq", "F32"),
        ("model.layers.0.self_attn.q_proj.weight_zero_point", "F16"),
        ("model.layers.0.self_attn.q_proj.input_scale", "F32"),
        ("encoder.embed_positions.cos_cached", "F32"),
    ],
)
def test_silent_on_what_may_be_empty(name: str, dtype: str) -> None:
    silent(zero_size_tensors_zero3, checkpoint(tensor(name, shape=(0,), dtype=dtype), tensor("a.weight")))


def test_silent_on_scalars_and_on_small_files() -> None:
    silent(
        zero_size_tensors_zero3,
        checkpoint(tensor("logit_scale", shape=()), tensor("mm_projector.weight", shape=(1, 1))),
    )


def test_silent_on_what_may_be_configured_away() -> None:
    silent(
        zero_size_tensors_zero3,
        checkpoint(
            tensor("embeddings.register_tokens", shape=(1, 0, 384)),
            tensor("decoder.layers.0.cross_attn.attention_weights.weight", shape=(0, 256)),
        ),
    )
