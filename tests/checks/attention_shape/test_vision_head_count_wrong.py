"""ATT004 fires on widths and heads that are not the tower's own, even where no shape shows it."""

from typing import Any

import pytest

from mmdoctor.finding import Confidence
from mmdoctor_checks.attention_shape.vision_head_count_wrong import vision_head_count_wrong
from tests.architectures.made import clip_tower, examine, llava, llava_config


def test_silent_on_a_tower_as_configured():
    assert examine(vision_head_count_wrong, llava(), llava_config()) == ()


def test_fires_on_heads_that_do_not_share_out_the_width():
    (finding,) = examine(vision_head_count_wrong, llava(), llava_config(vision_config__num_attention_heads=14))

    assert "32 features cannot be shared out to 14" in finding.message
    assert finding.location.pointer == "/vision_config/num_attention_heads"


def test_fires_on_another_width():
    (finding,) = examine(vision_head_count_wrong, llava(), llava_config(vision_config__hidden_size=64))

    assert "32 features wide" in finding.message
    assert "hidden_size is 64" in finding.message


def test_fires_on_a_section_saved_in_part_and_says_that_a_default_applies():
    value = llava_config(vision_config__hidden_size=None, vision_config__num_attention_heads=None)

    (finding,) = examine(vision_head_count_wrong, llava(), value)
    assert "class default" in finding.message
    assert "768" in finding.message


def _so400m(heads: int) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    shapes: dict[str, tuple[int, ...]] = {"vision_model.embeddings.patch_embedding.weight": (1152, 3, 14, 14)}
    for i in range(27):
        layer = f"vision_model.encoder.layers.{i}."
        shapes |= {f"{layer}self_attn.{n}.weight": (1152, 1152) for n in ("q_proj", "k_proj", "v_proj", "out_proj")}
        shapes |= {f"{layer}mlp.fc1.weight": (4304, 1152), f"{layer}mlp.fc2.weight": (1152, 4304)}
    value = {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": heads,
        "patch_size": 14,
    }
    return shapes, value


def test_silent_on_the_published_so400m():
    shapes, value = _so400m(16)

    assert examine(vision_head_count_wrong, shapes, value) == ()


@pytest.mark.parametrize("heads", [12, 18, 8])
def test_fires_on_the_published_so400m_with_other_heads(heads: int):
    shapes, value = _so400m(heads)

    (finding,) = examine(vision_head_count_wrong, shapes, value)
    assert "SigLIP so400m" in finding.message
    assert "16 heads of 72" in finding.message
    assert finding.confidence is Confidence.LIKELY


def test_silent_on_twenty_five_heads_of_128():
    shapes = {f"vision_model.encoder.layers.{i}.attn.qkv.weight": (9600, 3200) for i in range(3)}
    shapes["vision_model.embeddings.patch_embedding.weight"] = (3200, 3, 14, 14)
    value = {
        "model_type": "internvl_chat",
        "vision_config": {"hidden_size": 3200, "num_attention_heads": 25, "num_hidden_layers": 3},
    }

    assert examine(vision_head_count_wrong, shapes, value) == ()


def test_silent_on_qwens_spelling():
    shapes = {f"visual.blocks.{i}.attn.qkv.weight": (96, 32) for i in range(3)}
    value = {
        "model_type": "qwen2_vl",
        "vision_config": {"embed_dim": 32, "num_heads": 4, "depth": 3, "hidden_size": 64},
    }

    assert examine(vision_head_count_wrong, shapes, value) == ()
    shapes_of_another = dict.fromkeys(shapes, (192, 64))
    (finding,) = examine(vision_head_count_wrong, shapes_of_another, value)
    assert finding.location.pointer == "/vision_config/embed_dim"


def test_silent_on_the_other_of_two_towers():
    sam = {f"model.sam_model.blocks.{i}.attn.qkv.weight": (2304, 768) for i in range(12)}
    sam["model.sam_model.patch_embed.proj.weight"] = (768, 3, 16, 16)

    assert examine(vision_head_count_wrong, llava() | sam, llava_config()) == ()


def test_silent_on_a_truncated_tower():
    shapes = {name: shape for name, shape in llava().items() if "encoder.layers.2" not in name}

    assert examine(vision_head_count_wrong, shapes, llava_config()) == ()


@pytest.mark.parametrize(("head_dim", "heads", "fires"), [(8, 4, False), (16, 4, True)])
def test_a_head_size_of_its_own(head_dim: int, heads: int, fires: bool):
    value = llava_config(vision_config__head_dim=head_dim, vision_config__num_attention_heads=heads)

    assert bool(examine(vision_head_count_wrong, llava(), value)) is fires


def test_silent_without_a_tower_in_the_checkpoint():
    assert examine(vision_head_count_wrong, clip_tower("unnamed."), llava_config()) == ()
