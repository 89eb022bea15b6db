"""INT017 notes buffers that are ignored, and nothing else."""

import pytest

from mmdoctor.finding import Severity
from mmdoctor_checks.integrity.benign_extra_keys import benign_extra_keys
from tests.architectures.made import examine, llama


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("text_model.embeddings.position_ids", (1, 77)),
        ("model.layers.0.self_attn.rotary_emb.inv_freq", (8,)),
        ("transformer.h.0.attn.masked_bias", ()),
        ("transformer.h.0.attn.bias", (1, 1, 1024, 1024)),
        ("swin.layers.0.blocks.0.attn.relative_position_index", (49, 49)),
        ("bert.embeddings.token_type_ids", (1, 512)),
    ],
)
def test_fires_as_a_note(name: str, shape: tuple[int, ...]):
    (finding,) = examine(benign_extra_keys, {**llama(), name: shape}, dtypes={name: "I64"})

    assert finding.severity is Severity.NOTE
    assert finding.location.tensor == name
    assert "ignored" in finding.message


def test_many_are_one_note():
    extra = {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": (8,) for i in range(3)}

    (finding,) = examine(benign_extra_keys, {**llama(), **extra})
    assert finding.location.tensor == "model.layers.{0..2}.self_attn.rotary_emb.inv_freq"


def test_says_where_position_ids_were_rounded():
    (finding,) = examine(benign_extra_keys, {**llama(), "embeddings.position_ids": (1, 77)})

    assert "stored as BF16" in finding.message


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("visual.blocks.0.attn.bias", (96,)),
        ("bn1.num_batches_tracked", ()),
        ("embeddings.token_type_embeddings.weight", (2, 64)),
        ("embeddings.position_embeddings", (1, 197, 64)),
    ],
)
def test_silent_on_weights_and_expected_buffers(name: str, shape: tuple[int, ...]):
    assert examine(benign_extra_keys, {**llama(), name: shape}) == ()
