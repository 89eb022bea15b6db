"""Qwen's multimodal models, and those built on its language model and its ways: GLM-4V, InternVL."""

from typing import Any

import transformers as t

from tests.specimens import speakers, templates
from tests.specimens.configs import HIDDEN, SMALL, decoder, generation, kind, rope
from tests.specimens.constants import BICUBIC, HALVES, IMAGENET, OPENAI, square
from tests.specimens.recipe import Made, recipe
from tests.specimens.speakers import V5

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat", "dtype": "bfloat16", "video": True}
PATCHES = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
TEMPLATE = templates.chatml(
    "<|vision_start|><|image_pad|><|vision_end|>", "<|vision_start|><|video_pad|><|vision_end|>"
)
AREA = {"shortest_edge": 56 * 56, "longest_edge": 28 * 28 * 16384}
"""Pixels of the smallest and the largest image of Qwen2-VL and Qwen2.5-VL: 4 to 16384 tokens of 28x28."""


def vision_ids(tokenizer: Any) -> dict[str, int]:
    """The ids that Qwen's configs name."""
    ids = tokenizer.convert_tokens_to_ids
    return {
        "image_token_id": ids("<|image_pad|>"),
        "video_token_id": ids("<|video_pad|>"),
        "vision_start_token_id": ids("<|vision_start|>"),
        "vision_end_token_id": ids("<|vision_end|>"),
    }


def text(tokenizer: Any, model_type: str, theta: float = 1e6, tied: bool = True, **more: Any) -> dict[str, Any]:
    """A text config with multimodal rotary sections that cover half of a head of 16."""
    sections = {"mrope_section": [2, 3, 3]} | more.pop("sections", {})
    if not V5:
        sections |= (
            {"type": "mrope"} if model_type in ("qwen2_vl_text", "qwen2_5_vl_text") else {"rope_type": "default"}
        )
    ids = {"bos_token_id": tokenizer.pad_token_id, "rms_norm_eps": 1e-6, "tie_word_embeddings": tied}
    return decoder(tokenizer, model_type, max_position_embeddings=128000) | ids | rope(theta, **sections) | more


def processors(area: dict[str, int], constants: dict[str, Any], patch: int = 14) -> dict[str, Any]:
    """Qwen2-VL's processors for images and videos."""
    cut = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2, "resample": BICUBIC}
    return {
        "image_processor": t.Qwen2VLImageProcessor(**_area(area), **cut, **constants),
        "video_processor": t.Qwen2VLVideoProcessor(size=area, **cut, **constants),
    }


def _area(area: dict[str, int]) -> dict[str, Any]:
    if V5:
        return {"size": area}
    return {"min_pixels": area["shortest_edge"], "max_pixels": area["longest_edge"]}


@recipe("qwen2_vl", **CHAT)
def qwen2_vl() -> Made:
    """Any resolution, two by two patches to a token."""
    tokenizer = speakers.qwen(positions=32768)
    config = t.Qwen2VLConfig(
        text_config=text(tokenizer, "qwen2_vl_text"),
        vision_config=PATCHES | {"depth": 2, "embed_dim": 32, "hidden_size": HIDDEN, "num_heads": 2, "mlp_ratio": 4},
        tie_word_embeddings=True,
        **vision_ids(tokenizer),
    )
    processor = t.Qwen2VLProcessor(tokenizer=tokenizer, chat_template=TEMPLATE, **processors(AREA, OPENAI))
    return Made(model=stopping(t.Qwen2VLForConditionalGeneration(config), tokenizer), processors=(processor,))


def stopping(model: Any, tokenizer: Any) -> Any:
    """Qwen's generation config: the end of the turn or of the text."""
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return generation(model, tokenizer, eos=ends, bos_token_id=tokenizer.pad_token_id)


def _qwen2_5_vl() -> Made:
    tokenizer = speakers.qwen()
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": HIDDEN, "intermediate_size": 64, "num_heads": 2}
    vision |= PATCHES | {"window_size": 112, "fullatt_block_indexes": [1], "tokens_per_second": 2}
    config = t.Qwen2_5_VLConfig(
        text_config=text(tokenizer, "qwen2_5_vl_text"),
        vision_config=vision,
        tie_word_embeddings=True,
        **vision_ids(tokenizer),
    )
    processor = t.Qwen2_5_VLProcessor(tokenizer=tokenizer, chat_template=TEMPLATE, **processors(AREA, OPENAI))
    return Made(model=stopping(t.Qwen2_5_VLForConditionalGeneration(config), tokenizer), processors=(processor,))


recipe("qwen2_5_vl", **CHAT)(_qwen2_5_vl)
recipe("qwen2_5_vl-sharded", **CHAT, max_shard_size="120KB")(_qwen2_5_vl)

QWEN3 = (*speakers.QWEN_SPECIALS, "<tool_call>", "</tool_call>", "<think>", "</think>")
QWEN3_VISION = {
    "depth": 3,
    "hidden_size": 32,
    "out_hidden_size": HIDDEN,
    "intermediate_size": 64,
    "num_heads": 2,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [0, 1],
}


def _qwen3_processor(tokenizer: Any) -> Any:
    parts = processors({"shortest_edge": 256 * 256, "longest_edge": 4096 * 4096}, HALVES, patch=16)
    video = {"shortest_edge": 64 * 64, "longest_edge": 25165824}
    cut = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "resample": BICUBIC}
    parts["video_processor"] = t.Qwen3VLVideoProcessor(size=video, **cut, **HALVES)
    return t.Qwen3VLProcessor(tokenizer=tokenizer, chat_template=TEMPLATE, **parts)


@recipe("qwen3_vl", **CHAT)
def qwen3_vl() -> Made:
    """Patches of 16, features of several layers, time stamps in the text."""
    tokenizer = speakers.qwen(QWEN3, positions=262144)
    interleaved = {"sections": {"mrope_interleaved": True}, "head_dim": 16}
    config = t.Qwen3VLConfig(
        text_config=text(tokenizer, "qwen3_vl_text", 5e6, **interleaved),
        vision_config=QWEN3_VISION,
        tie_word_embeddings=True,
        **vision_ids(tokenizer),
    )
    model = stopping(t.Qwen3VLForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(_qwen3_processor(tokenizer),))


@recipe("qwen3_vl_moe", **CHAT)
def qwen3_vl_moe() -> Made:
    """Four experts, two of them used."""
    tokenizer = speakers.qwen(QWEN3, positions=262144)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
    interleaved = {"sections": {"mrope_interleaved": True}, "head_dim": 16}
    config = t.Qwen3VLMoeConfig(
        text_config=text(tokenizer, "qwen3_vl_moe_text", 5e6, tied=False, **interleaved, **experts),
        vision_config=QWEN3_VISION,
        tie_word_embeddings=False,
        **vision_ids(tokenizer),
    )
    model = stopping(t.Qwen3VLMoeForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(_qwen3_processor(tokenizer),))


OMNI = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>")


@recipe("qwen2_5_omni_thinker", auto="Qwen2_5OmniThinkerForConditionalGeneration", feed="chat", dtype="bfloat16")
def qwen2_5_omni_thinker() -> Made:
    """The thinking half of Qwen2.5-Omni: images, video and sound in, text out."""
    roles = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"}
    roles |= {"vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>"}
    roles |= {"audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}
    tokenizer = speakers.qwen(("<|endoftext|>", "<|im_start|>", "<|im_end|>", *OMNI), positions=32768, **roles)
    ids = tokenizer.convert_tokens_to_ids
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": HIDDEN, "intermediate_size": 64, "num_heads": 2}
    vision |= PATCHES | {"window_size": 112, "fullatt_block_indexes": [1], "tokens_per_second": 25}
    audio = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
    config = t.Qwen2_5OmniThinkerConfig(
        text_config=text(tokenizer, "qwen2_5_omni_text", tied=False),
        vision_config=vision,
        audio_config=audio | {"num_mel_bins": 128, "output_dim": HIDDEN, "n_window": 100},
        audio_token_index=ids("<|AUDIO|>"),
        image_token_index=ids("<|IMAGE|>"),
        video_token_index=ids("<|VIDEO|>"),
        vision_start_token_id=ids("<|vision_bos|>"),
        vision_end_token_id=ids("<|vision_eos|>"),
        audio_start_token_id=ids("<|audio_bos|>"),
        audio_end_token_id=ids("<|audio_eos|>"),
        user_token_id=ids("user"),
        position_id_per_seconds=25,
        tie_word_embeddings=False,
    )
    template = templates.chatml(
        "<|vision_bos|><|IMAGE|><|vision_eos|>",
        "<|vision_bos|><|VIDEO|><|vision_eos|>",
        "<|audio_bos|><|AUDIO|><|audio_eos|>",
    )
    processor = t.Qwen2_5OmniProcessor(
        tokenizer=tokenizer,
        feature_extractor=t.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True),
        chat_template=template,
        **processors(AREA, OPENAI),
    )
    model = stopping(t.Qwen2_5OmniThinkerForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))


@recipe("internvl", **CHAT)
def internvl() -> Made:
    """448 pixels, 1024 patches shuffled down to 256 tokens, ImageNet's colours."""
    specials = (*speakers.QWEN_SPECIALS, "<img>", "</img>", "<IMG_CONTEXT>", "<video>")
    tokenizer = speakers.qwen(
        specials,
        positions=16384,
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    decoding = decoder(
        tokenizer, "qwen2", bos_token_id=tokenizer.pad_token_id, max_position_embeddings=32768, **rope(1e6)
    )
    config = t.InternVLConfig(
        vision_config=SMALL | {"image_size": [448, 448], "patch_size": [14, 14], "attention_bias": True},
        text_config=decoding | {"tie_word_embeddings": False, "use_sliding_window": False},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=256,
        downsample_ratio=0.5,
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",
        tie_word_embeddings=False,
    )
    frame = {"size": square(448), "resample": BICUBIC, **IMAGENET}
    processor = t.InternVLProcessor(
        image_processor=kind("GotOcr2ImageProcessor")(**frame, crop_to_patches=False, min_patches=1, max_patches=12),
        video_processor=t.InternVLVideoProcessor(**frame),
        tokenizer=tokenizer,
        image_seq_length=256,
        chat_template=templates.chatml("<IMG_CONTEXT>\n", "<video>\n"),
    )
    return Made(model=generation(t.InternVLForConditionalGeneration(config), tokenizer), processors=(processor,))


GLM = (
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>",
    "<|observation|>", "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>",
    "<|begin_of_audio|>", "<|end_of_audio|>", "<|image|>", "<|video|>",
)  # fmt: skip


@recipe("glm4v", **CHAT)
def glm4v() -> Made:
    """GLM-4.1V: Qwen's patches and positions, another tower."""
    from tests.specimens import vocabulary

    backend = vocabulary.byte_level()
    backend.add_special_tokens(list(GLM))
    named = {"image_token": "<|image|>", "video_token": "<|video|>"}
    pad = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "padding_side": "left"}
    tokenizer = speakers.speaker(backend, "PreTrainedTokenizer", named, **pad, model_max_length=128000)
    ids = tokenizer.convert_tokens_to_ids
    ends = [ids("<|endoftext|>"), ids("<|user|>")]
    sections = {"mrope_section": [2, 1, 1], "partial_rotary_factor": 0.5}
    turning = {
        "partial_rotary_factor": 0.5,
        "rope_theta": 1e4,
        "rope_scaling": {"type": "default", "mrope_section": [2, 1, 1]},
    }
    vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "out_hidden_size": HIDDEN, "intermediate_size": 128}
    config = t.Glm4vConfig(
        text_config=decoder(tokenizer, "glm4v_text", eos_token_id=ends, max_position_embeddings=65536)
        | (rope(1e4, **sections) if V5 else turning),
        vision_config=vision | PATCHES | {"image_size": 336},
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"),
        image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"),
        video_end_token_id=ids("<|end_of_video|>"),
        tie_word_embeddings=False,
    )
    cut = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, "resample": BICUBIC, **OPENAI}
    processor = t.Glm4vProcessor(
        image_processor=t.Glm4vImageProcessor(size={"shortest_edge": 12544, "longest_edge": 9633792}, **cut),
        video_processor=t.Glm4vVideoProcessor(size={"shortest_edge": 12544, "longest_edge": 47040000}, **cut),
        tokenizer=tokenizer,
        chat_template=templates.GLM,
    )
    model = generation(t.Glm4vForConditionalGeneration(config), tokenizer, eos=ends)
    return Made(model=model, processors=(processor,))
