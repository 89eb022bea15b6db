"""What a configuration means: sections, spellings, lists and dictionaries, defaults, and nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.architectures import audio_model, multimodal_model, special_token_ids, text_model, vision_model
from mmdoctor.architectures.registry import known_types
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from tests.architectures.made import LLAMA, config, llava_config


def normalised(value: Any) -> MultimodalModel:
    return multimodal_model(config(value))


# ------------------------------------------------------------------------------------------------- sections


@pytest.mark.parametrize(
    ("value", "section"),
    [
        ({"model_type": "llava", "text_config": LLAMA}, "/text_config"),
        ({"model_type": "internvl_chat", "llm_config": LLAMA}, "/llm_config"),
        ({"model_type": "deepseek_vl_v2", "language_config": LLAMA}, "/language_config"),
        ({"model_type": "qwen2_5_omni", "thinker_config": {"text_config": LLAMA}}, "/thinker_config/text_config"),
        ({**LLAMA, "model_type": "qwen2_vl", "vision_config": {}}, ""),
        ({"model_type": "qwen2_vl", "text_config": LLAMA}, "/text_config"),
        ({"model_type": "vision-encoder-decoder", "decoder": LLAMA, "encoder": {}}, "/decoder"),
        ({"model_type": "never_seen", "llm_config": LLAMA}, "/llm_config"),
        ({**LLAMA, "model_type": "never_seen"}, ""),
    ],
)
def test_the_text_section(value: dict[str, Any], section: str):
    text = text_model(normalised(value))

    assert text.section == section
    assert text.hidden_size is not None
    assert text.hidden_size.value == 64
    assert text.hidden_size.at.pointer == f"{section}/hidden_size"


def test_types_that_nobody_knows_say_so():
    assert not normalised({"model_type": "never_seen", **LLAMA, "model_type_": 1} | {"model_type": "never_seen"}).known
    assert normalised(LLAMA).known
    assert normalised(llava_config()).family == "llava"


def test_class_names_tell_the_family_where_no_type_does():
    assert normalised({"architectures": ["InternVLChatModel"], "llm_config": LLAMA}).family == "internvl_chat"
    assert normalised({"model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"]}).family == "llava"


def test_parts_that_a_model_does_not_have():
    model = normalised(LLAMA)

    with pytest.raises(NotApplicable, match="vision tower"):
        vision_model(model)
    with pytest.raises(NotApplicable, match="audio tower"):
        audio_model(model)
    with pytest.raises(NotApplicable, match="no text part"):
        text_model(normalised({"model_type": "vit", "hidden_size": 32}))


# ------------------------------------------------------------------------------------------------ spellings


@pytest.mark.parametrize(
    "value",
    [
        {"model_type": "gpt2", "n_embd": 64, "n_head": 4, "n_layer": 3},
        {"model_type": "mpt", "d_model": 64, "n_heads": 4, "n_layers": 3},
        {"model_type": "distilbert", "dim": 64, "n_heads": 4, "n_layers": 3},
        {"model_type": "t5", "d_model": 64, "num_heads": 4, "num_layers": 3},
        {
            "model_type": "whisper",
            "d_model": 64,
            "decoder_attention_heads": 4,
            "decoder_layers": 3,
            "encoder_layers": 9,
        },
        {"model_type": "trocr", "d_model": 64, "decoder_attention_heads": 4, "decoder_layers": 3},
        {"model_type": "mistral-original", "dim": 64, "n_heads": 4, "n_layers": 3},
    ],
)
def test_spellings_of_a_language_model(value: dict[str, Any]):
    text = text_model(normalised(value))

    assert [r.value for r in (text.hidden_size, text.num_attention_heads, text.num_hidden_layers) if r] == [64, 4, 3]


@pytest.mark.parametrize(
    "value",
    [
        {"model_type": "qwen2_vl", "vision_config": {"embed_dim": 32, "num_heads": 4, "depth": 3, "hidden_size": 64}},
        {"model_type": "qwen2_5_vl", "vision_config": {"hidden_size": 32, "num_heads": 4, "depth": 3}},
        {"model_type": "qwen", "visual": {"width": 32, "heads": 4, "layers": 3}},
        {"model_type": "mllama", "vision_config": {"hidden_size": 32, "attention_heads": 4, "num_hidden_layers": 3}},
    ],
)
def test_spellings_of_a_vision_tower(value: dict[str, Any]):
    vision = vision_model(normalised(value))

    assert [r.value for r in (vision.hidden_size, vision.num_attention_heads, vision.num_hidden_layers) if r] == [
        32,
        4,
        3,
    ]


@pytest.mark.parametrize("size", [56, [56, 56], {"height": 56, "width": 56}])
def test_sizes_are_numbers_lists_or_dictionaries(size: Any):
    vision = vision_model(normalised(llava_config(vision_config__image_size=size, vision_config__patch_size=[14, 14])))

    assert vision.image_size is not None
    assert vision.image_size.value == 56
    assert vision.image_shape == (56, 56)
    assert vision.patch_shape == (14, 14)


def test_a_size_that_is_not_square_keeps_its_shape_only():
    vision = vision_model(normalised(llava_config(vision_config__image_size=[56, 84])))

    assert vision.image_size is None
    assert vision.image_shape == (56, 84)


def test_llava_that_names_its_tower():
    model = normalised({**LLAMA, "model_type": "llava_llama", "mm_vision_tower": "openai/clip"})

    assert model.vision is None
    assert model.external_tower is not None
    assert model.external_tower.value == "openai/clip"


@pytest.mark.parametrize(
    ("value", "factor"),
    [
        ({"model_type": "internvl", "downsample_ratio": 0.5}, 2),
        ({"model_type": "internvl"}, 2),
        ({"model_type": "idefics3", "scale_factor": 4}, 4),
        ({"model_type": "mistral3", "spatial_merge_size": 2}, 2),
        ({"model_type": "qwen2_vl", "vision_config": {"spatial_merge_size": 3}}, 3),
        ({"model_type": "internvl", "downsample_ratio": 0.3}, None),
    ],
)
def test_patches_stacked_before_the_projector(value: dict[str, Any], factor: int | None):
    shuffle = normalised(value).shuffle

    assert (shuffle.value if shuffle else None) == factor


# ------------------------------------------------------------------------------------------------- defaults


def test_a_class_default_says_that_it_is_one():
    text = text_model(normalised({"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}}))

    assert text.hidden_size is not None
    assert text.hidden_size.value == 4096
    assert text.hidden_size.at.pointer == "/text_config"
    assert "hidden_size" in text.by_default
    assert "vocab_size" not in text.by_default


def test_null_is_not_absent():
    text = text_model(normalised({"model_type": "mistral", "num_key_value_heads": None}))

    assert text.num_key_value_heads is None
    assert text_model(normalised({"model_type": "mistral"})).num_key_value_heads is not None


@pytest.mark.parametrize(
    ("value", "ties"),
    [
        ({"model_type": "llama"}, False),
        ({"model_type": "gemma"}, True),
        ({"model_type": "llava", "text_config": {"model_type": "llama"}}, False),
        ({"model_type": "paligemma", "text_config": {"model_type": "gemma"}}, True),
        ({"model_type": "internvl", "text_config": {"model_type": "qwen2"}}, None),
        ({"model_type": "never_seen"}, None),
    ],
)
def test_what_the_class_does_about_the_head(value: dict[str, Any], ties: bool | None):
    assert normalised(value).ties_by_default is ties


# --------------------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize("key", ["image_token_id", "image_token_index", "media_placeholder_token_id"])
def test_placeholder_ids(key: str):
    assert normalised({"model_type": "llava", key: 7}).token_ids["image"].value == 7


def test_special_ids_come_from_all_levels_and_lists():
    value = {"model_type": "llava", "pad_token_id": 1, "text_config": {"eos_token_id": [2, 3]}}
    read = config(value)
    generation = JsonDocument(file="generation_config.json", value={"bos_token_id": 4, "eos_token_id": True})
    documents = Documents(by_file={"generation_config.json": generation})

    ids = special_token_ids(documents, read, multimodal_model(read)).ids

    assert [(name, r.value) for name, r in ids] == [
        ("pad_token_id", 1),
        ("eos_token_id", 2),
        ("eos_token_id", 3),
        ("bos_token_id", 4),
    ]
    assert ids[2][1].at.pointer == "/text_config/eos_token_id/1"


# ------------------------------------------------------------------------------------------------- nonsense

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        "hidden_size",
        "num_attention_heads",
        "vocab_size",
        "patch_size",
        "image_size",
        "text_config",
        "vision_config",
        "downsample_ratio",
        "encoder",
        "vision_feature_layer",
        "image_token_id",
        "auto_map",
        "head_dim",
        "tie_word_embeddings",
        "model_type",
        "per_layer_config",
        "decoder",
        "num_key_value_heads",
        "audio_config",
    ]
)


@given(
    value=st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=5), max_size=8),
    kind=st.sampled_from([None, *known_types()]),
)
def test_no_configuration_breaks_a_family(value: dict[str, Any], kind: str | None):
    if kind is not None:
        value["model_type"] = kind
    model = normalised(value)

    for part in (model.text, model.vision):
        if part is not None and part.hidden_size is not None:
            assert 0 < part.hidden_size.value < 2**40


@given(value=JSON)
def test_a_configuration_that_is_no_object_has_nothing(value: Any):
    read = ModelConfig(document=JsonDocument(file="config.json", value=value))

    assert multimodal_model(read).text is None or isinstance(value, dict)


def test_two_spellings_with_two_values_mean_nothing_where_nobody_knows_the_family() -> None:
    tower = {"hidden_size": 3584, "embed_dim": 1280, "patch_size": 14, "depth": 32, "num_layers": 32}

    unknown, known = (
        normalised({"model_type": kind, "vision_config": tower}).vision for kind in ("new_vl", "qwen2_vl")
    )

    assert unknown is not None
    assert unknown.hidden_size is None
    assert unknown.num_hidden_layers is not None
    assert known is not None
    assert known.hidden_size is not None
    assert known.hidden_size.value == 1280
