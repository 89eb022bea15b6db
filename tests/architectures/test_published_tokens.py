"""Families whose code comes with the model: figures that their authors published, and code that is not theirs."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.image_tokens import count_image_tokens, image_token_counts
from mmdoctor.architectures.image_tokens.published import FAMILIES
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import TokenCount
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings

INTERNVL = {
    "model_type": "internvl_chat",
    "architectures": ["InternVLChatModel"],
    "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
    "dynamic_image_size": True,
    "use_thumbnail": True,
    "max_dynamic_patch": 12,
    "force_image_size": 448,
    "vision_config": {"image_size": 448, "patch_size": 14},
    "llm_config": {},
}
PHI = {"model_type": "phi3_v", "architectures": ["Phi3VForCausalLM"]}
MINICPM = {"model_type": "minicpmv", "architectures": ["MiniCPMV"], "query_num": 64}
MOLMO = {"model_type": "molmo", "architectures": ["MolmoForCausalLM"]}
KIMI = {"model_type": "kimi_vl", "architectures": ["KimiVLForConditionalGeneration"]}
DEEPSEEK = {
    "model_type": "deepseek_vl_v2",
    "architectures": ["DeepseekVLV2ForCausalLM"],
    "vision_config": {"image_size": 384, "patch_size": 14},
    "projector_config": {"downsample_ratio": 2},
}
WIDE = [[384 * w, 384 * h] for w in range(1, 10) for h in range(1, 10) if w * h <= 9]
PAIRED = {"candidate_resolutions": WIDE, "patch_size": 14, "downsample_ratio": 2}
OVIS = {
    "model_type": "ovis",
    "architectures": ["Ovis"],
    "visual_tokenizer_config": {"hidden_stride": 2, "backbone_config": {"image_size": 384, "patch_size": 14}},
}
LLAVA = {
    "model_type": "llava_llama",
    "architectures": ["LlavaLlamaForCausalLM"],
    "mm_vision_tower": "openai/clip-vit-large-patch14-336",
    "mm_vision_select_feature": "patch",
}
ANYRES = {
    **LLAVA,
    "image_aspect_ratio": "anyres",
    "mm_patch_merge_type": "spatial_unpad",
    "image_grid_pinpoints": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]],
}


def facts(config: dict[str, Any], images: dict[str, Any] | None, joint: dict[str, Any]) -> tuple[Any, ...]:
    document = JsonDocument(file="config.json", value=config)
    names = config.get("architectures")
    named = tuple(n for n in names if isinstance(n, str)) if isinstance(names, list) else ()
    model = multimodal_model(ModelConfig(document=document, model_type=config["model_type"], architectures=named))
    at = Settings(document=JsonDocument(file="preprocessor_config.json", value=images))
    joined = Settings(document=JsonDocument(file="processor_config.json", value=joint))
    return model, model.vision, ImageProcessor(settings=at) if images is not None else None, Processor(settings=joined)


def counted(config: dict[str, Any], width: int, height: int, **files: dict[str, Any]) -> TokenCount:
    return count_image_tokens(*facts(config, files.get("images"), files.get("joint", {})), width, height)


PUBLISHED: list[tuple[dict[str, Any], dict[str, Any], tuple[int, int], int]] = [
    # InternVL 1.5 (arXiv 2404.16821), 3.3: a tile of 448 x 448 is 256 tokens; 40 tiles and a thumbnail are 10,496.
    (INTERNVL, {}, (448, 448), 256),
    ({**INTERNVL, "max_dynamic_patch": 40}, {}, (4000, 2500), 10_496),
    # The same, figure 4: 800 x 1300 at most 12 tiles is cut 2 x 3, with a thumbnail.
    (INTERNVL, {}, (800, 1300), 256 * 7),
    # vLLM's examples of Phi-3-Vision (image_input_shape 1,3,1008,1344; image_feature_size 1921).
    (PHI, {"images": {"num_crops": 16}}, (1344, 1008), 1921),
    # Phi-3 (arXiv 2404.14219): 144 a crop of 336 after merging 2 by 2; one crop is the whole image again.
    (PHI, {"images": {"num_crops": 1}}, (336, 336), 2 * 144 + 1 + 2 * 12),
    # MiniCPM-V 2.6 model card: 640 tokens for an image of 1.8 million pixels (1344 x 1344).
    (MINICPM, {"images": {"image_feature_size": 64, "max_slice_nums": 9}}, (1344, 1344), 640),
    # MiniCPM-V (arXiv 2408.01800), 3.2: 96 queries a slice in 2.5, at most 9 slices and the whole image.
    ({**MINICPM, "query_num": 96}, {"images": {"image_feature_size": 96, "max_slice_nums": 9}}, (1344, 1344), 960),
    # Molmo (arXiv 2409.17146), 2: each crop of 336 becomes 12 x 12; one crop and the whole image.
    (MOLMO, {"images": {}}, (336, 336), 144 + 144),
    # Kimi-VL (arXiv 2504.07491), 2.1: native resolution, patches of 14 merged 2 by 2.
    (KIMI, {"images": {"pad_input": True}}, (448, 448), 256),
    # DeepSeek-VL2 (arXiv 2412.10302), 2: 210 + 1 + m x 14 x (n x 14 + 1) for m rows and n columns.
    (DEEPSEEK, {"joint": PAIRED}, (384, 384), 210 + 1 + 14 * 15),
    (DEEPSEEK, {"joint": PAIRED}, (768, 1152), 210 + 1 + 3 * 14 * (2 * 14 + 1)),
    # LLaVA-1.5 (arXiv 2310.03744): 576 tokens of CLIP ViT-L/336.
    (LLAVA, {}, (1024, 768), 576),
    # LLaVA-NeXT blog: a 2 x 2 grid of 672 pixels, five times 576; a line's end a row since the unpadding.
    (ANYRES, {}, (672, 672), 576 + 48 * 49),
    # LLaVA-NeXT with SigLIP: 27 x 27.
    ({**LLAVA, "mm_vision_tower": "google/siglip-so400m-patch14-384"}, {}, (384, 384), 729),
    # Ovis 1.6 (AIDC-AI/Ovis, image_padding): 27 patches padded to 28 and stacked by two.
    (OVIS, {}, (384, 384), 196),
]


@pytest.mark.parametrize(("config", "files", "size", "wanted"), PUBLISHED)
def test_published_figures(config: Any, files: Any, size: tuple[int, int], wanted: int) -> None:
    count = counted(config, *size, **files)

    assert (count.placeholders.count, count.features.count) == (wanted, wanted)


def test_the_tiling_does_not_come_from_a_file_of_clip() -> None:
    clip = {"crop_size": 448, "image_processor_type": "CLIPImageProcessor"}

    assert counted(INTERNVL, 1344, 448, images=clip).features.count == counted(INTERNVL, 1344, 448).features.count


def test_a_processor_of_another_resolution_is_told() -> None:
    count = counted(MINICPM, 1344, 1344, images={"image_feature_size": 96})

    assert (count.placeholders.count, count.features.count) == (960, 640)


def test_another_downsampling_is_told() -> None:
    count = counted(DEEPSEEK, 384, 384, joint={**PAIRED, "downsample_ratio": 1})

    assert count.features.count == 421
    assert not count.agree


@pytest.mark.parametrize("config", [INTERNVL, PHI, MINICPM, MOLMO, KIMI, LLAVA])
def test_code_of_somebody_else_is_not_guessed_at(config: dict[str, Any]) -> None:
    other = {**config, "architectures": ["OurOwnModel"], "auto_map": {"AutoModel": "ours.OurOwnModel"}}

    with pytest.raises(NotApplicable):
        image_token_counts(*facts(other, {}, {}))


def test_an_unknown_tower_is_not_guessed_at() -> None:
    with pytest.raises(UnknownValue, match="size of the tower"):
        counted({**LLAVA, "mm_vision_tower": "/data/checkpoints/tower"}, 336, 336)


def test_the_facts_name_the_code_that_counts() -> None:
    counts = image_token_counts(*facts(PHI, {"num_crops": 16}, {}))

    assert counts.processor_class == "the model's own code"
    assert [c.features.count for c in counts.counts] == [2509, 2353, 1921, 1921]


VALUES = st.recursive(
    st.one_of(st.integers(-2, 10**30), st.floats(), st.none(), st.text(max_size=3), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["image_size", "patch_size"]), inner),
    max_leaves=5,
)
KEYS = sorted({key for kind in FAMILIES.values() for key in (*kind.config, *kind.images, *kind.joint)})
SETTINGS = st.dictionaries(
    st.sampled_from([*KEYS, "candidate_resolutions", "visual_tokenizer_config"]), VALUES, max_size=4
)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from([INTERNVL, PHI, MINICPM, MOLMO, KIMI, DEEPSEEK, OVIS, LLAVA, ANYRES]),
    SETTINGS,
    SETTINGS,
    SETTINGS,
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_settings_without_sense(config: Any, own: Any, images: Any, joint: Any, width: int, height: int) -> None:
    given_facts = facts({**config, **own}, images, joint)

    with suppress(Refused, UnknownFamily, UnknownValue):
        count = count_image_tokens(*given_facts, width, height)
        assert count.features.count is None or count.features.count >= 0
    with suppress(NotApplicable, Unavailable):
        assert image_token_counts(*given_facts).counts is not None
