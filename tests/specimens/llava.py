"""LLaVA and its relatives: a vision tower, a projector, a language model, `<image>` repeated once a feature."""

from typing import Any

import transformers as t

from tests.specimens import speakers, templates
from tests.specimens.configs import SMALL, clip_tower, decoder, generation, kind, rope, siglip_tower
from tests.specimens.constants import BICUBIC, HALVES, OPENAI, shortest, square
from tests.specimens.recipe import Made, recipe

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat"}
TOWER = {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1}
"""The processor's side of CLIP ViT-L/14 at 336 pixels, of which the class token is dropped."""


def _llava() -> Made:
    tokenizer = speakers.llama(("<image>", "<pad>"), image_token="<image>")
    config = t.LlavaConfig(
        vision_config=clip_tower(336, 14),
        text_config=decoder(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        image_seq_length=576,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    images = t.CLIPImageProcessor(**shortest(336), **OPENAI)
    processor = t.LlavaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=templates.VICUNA, **TOWER)
    return Made(model=generation(t.LlavaForConditionalGeneration(config), tokenizer), processors=(processor,))


recipe("llava", **CHAT, dtype="float16")(_llava)
recipe("llava-sharded", **CHAT, dtype="float16", max_shard_size="150KB")(_llava)


@recipe("vipllava", **CHAT, dtype="float16")
def vipllava() -> Made:
    """Five layers of a deeper tower, side by side."""
    tokenizer = speakers.llama(("<image>", "<pad>"), image_token="<image>")
    config = t.VipLlavaConfig(
        vision_config=clip_tower(336, 14, num_hidden_layers=12, hidden_size=32, intermediate_size=64),
        text_config=decoder(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        image_seq_length=576,
        vision_feature_layers=[-2, -5, -8, -11, 6],
    )
    images = t.CLIPImageProcessor(**shortest(336), **OPENAI)
    processor = t.LlavaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=templates.VIP, **TOWER)
    return Made(model=generation(t.VipLlavaForConditionalGeneration(config), tokenizer), processors=(processor,))


PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]


@recipe("llava_next", **CHAT, dtype="float16")
def llava_next() -> Made:
    """LLaVA 1.6 on Mistral: the image at a low resolution and in tiles."""
    tokenizer = speakers.llama(("<image>", "<pad>"), image_token="<image>")
    config = t.LlavaNextConfig(
        vision_config=clip_tower(336, 14),
        text_config=decoder(tokenizer, "mistral", sliding_window=None, max_position_embeddings=32768, **rope(1e6)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=PINPOINTS,
        image_seq_length=576,
    )
    images = t.LlavaNextImageProcessor(**shortest(336), **OPENAI, image_grid_pinpoints=PINPOINTS)
    processor = t.LlavaNextProcessor(image_processor=images, tokenizer=tokenizer, chat_template=templates.INST, **TOWER)
    return Made(model=generation(t.LlavaNextForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("llava_next_video", **CHAT, dtype="bfloat16", video=True)
def llava_next_video() -> Made:
    """Frames pooled two by two."""
    tokenizer = speakers.llama(("<video>", "<image>", "<pad>"), image_token="<image>", video_token="<video>")
    config = t.LlavaNextVideoConfig(
        vision_config=clip_tower(336, 14),
        text_config=decoder(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=PINPOINTS,
        spatial_pool_stride=2,
        spatial_pool_mode="average",
        image_seq_length=576,
        video_seq_length=288,
    )
    processor = t.LlavaNextVideoProcessor(
        image_processor=t.LlavaNextImageProcessor(**shortest(336), **OPENAI, image_grid_pinpoints=PINPOINTS),
        video_processor=t.LlavaNextVideoVideoProcessor(**shortest(336), **OPENAI),
        tokenizer=tokenizer,
        chat_template=templates.VICUNA,
        **TOWER,
    )
    return Made(model=generation(t.LlavaNextVideoForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("llava_onevision", **CHAT, dtype="float16", video=True)
def llava_onevision() -> Made:
    """SigLIP at 384 pixels, every patch kept, Qwen2."""
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    tokenizer = speakers.qwen(specials, positions=32768, image_token="<image>", video_token="<video>")
    pinpoints = [[384 * high, 384 * wide] for high in range(1, 7) for wide in range(1, 7)]
    text = decoder(
        tokenizer,
        "qwen2",
        tie_word_embeddings=True,
        use_sliding_window=False,
        max_position_embeddings=32768,
        **rope(1e6),
    )
    config = t.LlavaOnevisionConfig(
        vision_config=siglip_tower(384, 14),
        text_config=text | {"bos_token_id": tokenizer.pad_token_id},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
        tie_word_embeddings=True,
    )
    frame = {"size": square(384), "resample": BICUBIC, **HALVES}
    processor = t.LlavaOnevisionProcessor(
        image_processor=t.LlavaOnevisionImageProcessor(**frame, image_grid_pinpoints=pinpoints),
        video_processor=t.LlavaOnevisionVideoProcessor(**frame),
        tokenizer=tokenizer,
        num_image_tokens=729,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
        chat_template=templates.chatml("<image>", "<video>"),
    )
    model = generation(t.LlavaOnevisionForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))


@recipe("video_llava", auto="VideoLlavaForConditionalGeneration", feed="chat", dtype="float16", video=True)
def video_llava() -> Made:
    """A tower for images and one for eight frames."""
    tokenizer = speakers.llama(("<image>", "<video>", "<pad>"), image_token="<image>", video_token="<video>")
    config = t.VideoLlavaConfig(
        vision_config=clip_tower(224, 14),
        text_config=decoder(tokenizer),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        pad_token_id=tokenizer.pad_token_id,
        image_seq_length=256,
        video_seq_length=2056,
    )
    parts: dict[str, Any] = {"image_processor": t.VideoLlavaImageProcessor(**shortest(224), **OPENAI)}
    if hasattr(t, "VideoLlavaVideoProcessor"):
        parts["video_processor"] = t.VideoLlavaVideoProcessor(**shortest(224), **OPENAI)
    processor = t.VideoLlavaProcessor(tokenizer=tokenizer, chat_template=templates.VICUNA, **parts, **TOWER)
    return Made(model=generation(t.VideoLlavaForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("aya_vision", **CHAT, dtype="float16")
def aya_vision() -> Made:
    """SigLIP 2 at 364 pixels, pixel shuffle by two, Cohere 2, tiles."""
    tokenizer = speakers.speaker(
        _aya_backend(),
        "CohereTokenizer",
        bos_token="<BOS_TOKEN>",
        eos_token="<|END_OF_TURN_TOKEN|>",
        pad_token="<PAD>",
        unk_token="<UNK>",
        model_max_length=8192,
        padding_side="left",
    )
    config = t.AyaVisionConfig(
        vision_config=siglip_tower(364, 14),
        text_config=decoder(tokenizer, "cohere2", layer_types=["sliding_attention", "full_attention"], **rope(5e4)),
        image_token_index=tokenizer.convert_tokens_to_ids("<|IMG_PATCH|>"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        downsample_factor=2,
        adapter_layer_norm_eps=1e-6,
        alignment_intermediate_size=SMALL["hidden_size"] * 4,
    )
    images = kind("GotOcr2ImageProcessor")(
        size=square(364), resample=BICUBIC, **HALVES, crop_to_patches=True, min_patches=1, max_patches=12
    )
    processor = t.AyaVisionProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=28,
        img_size=364,
        image_token="<image>",
        downsample_factor=1,
        chat_template=templates.AYA,
    )
    return Made(model=generation(t.AyaVisionForConditionalGeneration(config), tokenizer), processors=(processor,))


def _aya_backend() -> Any:
    from tests.specimens import vocabulary

    tokenizer = vocabulary.byte_level(("<PAD>", "<UNK>", "<BOS_TOKEN>", "<EOS_TOKEN>"))
    turns = ["<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>", "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>"]
    tiles = ["<image>", "<|START_OF_IMG|>", "<|END_OF_IMG|>", "<|IMG_LINE_BREAK|>", "<|IMG_PATCH|>", "TILE_GLOBAL"]
    tokenizer.add_special_tokens([*turns, *tiles, *(f"TILE_{number}" for number in range(1, 13))])
    return vocabulary.starting_with(tokenizer, "<BOS_TOKEN>")
