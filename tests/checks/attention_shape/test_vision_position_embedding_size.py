"""ATT005 fires on patch kernels and position tables of another size than the configured image makes."""

from typing import Any

import pytest

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.tokenizer import ImageProcessor, Settings
from mmdoctor_checks.attention_shape.vision_position_embedding_size import vision_position_embedding_size
from tests.architectures.made import changed, clip_tower, examine, llava, llava_config


def _processor(size: dict[str, int], crop: dict[str, int] | None = None, **settings: Any) -> ImageProcessor:
    value = {"size": size, **({"crop_size": crop} if crop else {}), **settings}
    document = JsonDocument(file="preprocessor_config.json", value=value)
    return ImageProcessor(settings=Settings(document=document), size=size, crop_size=crop or {})


def test_silent_with_a_class_token():
    assert examine(vision_position_embedding_size, llava(), llava_config()) == ()


def test_fires_on_another_image_size_and_says_which_the_table_is_for():
    (finding,) = examine(vision_position_embedding_size, llava(), llava_config(vision_config__image_size=84))

    assert "17 rows" in finding.message
    assert "84x84 pixels in patches of 14 make 36 and 1" in finding.message
    assert "the table is for 56 pixels" in finding.message
    assert finding.location.pointer == "/vision_config/image_size"


@pytest.mark.parametrize("rows", [16, 18])
def test_fires_one_row_beside(rows: int):
    shapes = llava() | {"vision_tower.embeddings.position_embedding.weight": (rows, 32)}

    assert examine(vision_position_embedding_size, shapes, llava_config())


def test_the_patch_kernel_comes_first():
    (finding,) = examine(vision_position_embedding_size, llava(), llava_config(vision_config__patch_size=16))

    assert "14x14 pixels" in finding.message
    assert "patch_size is 16" in finding.message
    assert finding.location.pointer == "/vision_config/patch_size"


SIGLIP = {"model_type": "siglip_vision_model", "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3}


def test_silent_on_siglip_without_a_class_token_and_with_a_remainder():
    shapes = clip_tower("vision_model.", positions=27 * 27)

    assert examine(vision_position_embedding_size, shapes, {**SIGLIP, "image_size": 384, "patch_size": 14}) == ()
    assert examine(vision_position_embedding_size, shapes, {**SIGLIP, "image_size": 400, "patch_size": 14})


@pytest.mark.parametrize(
    ("model_type", "rows"), [("vit", 197), ("deit", 198), ("dinov2", 197), ("dinov2_with_registers", 197)]
)
def test_silent_on_the_extra_rows_of_each_kind(model_type: str, rows: int):
    shapes = {
        f"{model_type}.embeddings.position_embeddings": (1, rows, 32),
        f"{model_type}.embeddings.patch_embeddings.projection.weight": (32, 3, 16, 16),
    }
    value = {"model_type": model_type, "image_size": 224, "patch_size": 16, "hidden_size": 32}

    assert examine(vision_position_embedding_size, shapes, value) == ()
    wrong = {name: (1, rows + 1, 32) if len(shape) == 3 else shape for name, shape in shapes.items()}
    assert examine(vision_position_embedding_size, wrong, value)


def test_silent_on_lists_and_images_that_are_not_square():
    value = {"model_type": "vit", "image_size": [224, 160], "patch_size": [16, 16], "hidden_size": 32}
    shapes = {
        "embeddings.position_embeddings": (1, 14 * 10 + 1, 32),
        "embeddings.patch_embeddings.projection.weight": (32, 3, 16, 16),
    }

    assert examine(vision_position_embedding_size, shapes, value) == ()


def test_silent_on_llama_vision_whose_tables_count_tiles_too():
    shapes = {
        "vision_model.patch_embedding.weight": (32, 3, 14, 14),
        "vision_model.gated_positional_embedding.embedding": (17, 32),
        "vision_model.gated_positional_embedding.tile_embedding.weight": (9, 4 * 17 * 32),
    }
    value = {"model_type": "mllama", "vision_config": {"image_size": 56, "patch_size": 14, "hidden_size": 32}}

    assert examine(vision_position_embedding_size, shapes, value) == ()
    assert examine(vision_position_embedding_size, shapes, changed(value, vision_config__image_size=28))


def test_silent_on_rotary_towers_without_a_table():
    shapes = {"vision_tower.patch_conv.weight": (32, 3, 14, 14)}
    value = {"model_type": "pixtral", "image_size": 1024, "patch_size": 14, "hidden_size": 32}

    assert examine(vision_position_embedding_size, shapes, value) == ()


def test_a_stated_number_of_positions_counts():
    shapes = {
        "model.visual.patch_embed.proj.weight": (32, 3, 2, 16, 16),
        "model.visual.pos_embed.weight": (64, 32),
        **{f"model.visual.blocks.{i}.attn.qkv.weight": (96, 32) for i in range(3)},
    }
    value: dict[str, Any] = {
        "model_type": "qwen3_vl",
        "vision_config": {"hidden_size": 32, "patch_size": 16, "num_position_embeddings": 64},
    }

    assert examine(vision_position_embedding_size, shapes, value) == ()
    wrong = changed(value, vision_config__num_position_embeddings=2304)
    (finding,) = examine(vision_position_embedding_size, shapes, wrong)
    assert "64 rows" in finding.message
    assert "2304" in finding.message


def test_silent_on_a_type_that_nobody_knows():
    value = {"model_type": "pathoduet", "image_size": 224, "patch_size": 16, "hidden_size": 32}
    shapes = {
        "pos_embed": (1, 198, 32),
        "patch_embed.proj.weight": (32, 3, 16, 16),
    }

    assert examine(vision_position_embedding_size, shapes, value) == ()


def test_silent_where_the_processor_sends_what_the_tower_takes():
    processor = _processor({"shortest_edge": 56}, {"height": 56, "width": 56})

    assert examine(vision_position_embedding_size, llava(), llava_config(), processor) == ()


def test_fires_where_the_processor_sends_another_size():
    processor = _processor({"shortest_edge": 352}, {"height": 352, "width": 352})

    (finding,) = examine(vision_position_embedding_size, llava(), llava_config(), processor)
    assert "352x352 pixels" in finding.message
    assert "56x56" in finding.message
    assert finding.location.pointer == "/crop_size"


@pytest.mark.parametrize(
    "processor",
    [
        _processor({"shortest_edge": 800}),
        _processor({"height": 800, "width": 800}, do_resize=False),
        _processor({"min_pixels": 3136, "max_pixels": 12845056}),
    ],
)
def test_silent_where_the_size_sent_is_not_fixed(processor: ImageProcessor):
    assert examine(vision_position_embedding_size, llava(), llava_config(), processor) == ()


@pytest.mark.parametrize("model_type", ["dinov2", "vilt"])
def test_silent_on_towers_that_interpolate_their_table(model_type: str):
    value = {"model_type": model_type, "image_size": 224, "patch_size": 16, "hidden_size": 32}
    shapes = {
        "embeddings.position_embeddings": (1, 197, 32),
        "embeddings.patch_embeddings.projection.weight": (32, 3, 16, 16),
    }

    assert examine(vision_position_embedding_size, shapes, value, _processor({"height": 384, "width": 384})) == ()
