"""Tiny models of families that have no specimen: enough of model and processor to count tokens with."""

from collections.abc import Callable
from typing import Any

import transformers as t

from tests.specimens import speakers
from tests.specimens.configs import HIDDEN, SMALL, decoder, rope, siglip_tower
from tests.specimens.recipe import Made

EARS = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "num_mel_bins": 128}
FLAMINGO = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
FLAMINGO |= {"num_mel_bins": 128}
OMNI = ("<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|vision_bos|>", "<|vision_eos|>", "<|IMAGE|>", "<|VIDEO|>")

FURTHER: dict[str, Callable[[], Made]] = {}


def further(make: Callable[[], Made]) -> Callable[[], Made]:
    """Register a maker under its own name."""
    FURTHER[make.__name__] = make
    return make


def _qwen(*marks: str, **named: str) -> Any:
    return speakers.qwen(("<|endoftext|>", "<|im_start|>", "<|im_end|>", *marks), positions=32768, **named)


@further
def qwen3_omni_moe_thinker() -> Made:
    roles = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"}
    roles |= {"vision_bos_token": "<|vision_bos|>", "vision_eos_token": "<|vision_eos|>"}
    roles |= {"audio_bos_token": "<|audio_bos|>", "audio_eos_token": "<|audio_eos|>"}
    tokenizer = _qwen(*OMNI, **roles)
    ids = tokenizer.convert_tokens_to_ids
    section = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 1e6, "mrope_interleaved": True}
    text = decoder(tokenizer, "qwen3_omni_moe_text", head_dim=8, num_experts=4, num_experts_per_tok=2)
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": HIDDEN, "intermediate_size": 64, "num_heads": 2}
    vision |= {"patch_size": 16, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
    config = t.Qwen3OmniMoeThinkerConfig(
        text_config=text | {"moe_intermediate_size": 32, "rope_parameters": section},
        vision_config=vision,
        audio_config=EARS | {"output_dim": HIDDEN, "downsample_hidden_size": 8},
        audio_token_id=ids("<|AUDIO|>"),
        image_token_id=ids("<|IMAGE|>"),
        video_token_id=ids("<|VIDEO|>"),
        user_token_id=ids("user"),
    )
    processor = t.Qwen3OmniMoeProcessor(
        tokenizer=tokenizer,
        feature_extractor=t.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True),
        image_processor=t.Qwen2VLImageProcessor(patch_size=16),
        video_processor=t.Qwen2VLVideoProcessor(patch_size=16),
    )
    return Made(model=t.Qwen3OmniMoeThinkerForConditionalGeneration(config), processors=(processor,))


def _flamingo(name: str, token: str, *more: str) -> Made:
    tokenizer = _qwen(token, *more)
    text = decoder(tokenizer, "qwen2", **rope(1e4)) | {"tie_word_embeddings": False}
    ids = tokenizer.convert_tokens_to_ids
    config = getattr(t, f"{name}Config")(
        text_config=text, audio_config=FLAMINGO | {"model_type": f"{name.lower()}_encoder"}, audio_token_id=ids(token),
        **({"audio_bos_token_id": ids(more[0]), "audio_eos_token_id": ids(more[1])} if more else {}),
    )  # fmt: skip
    ears = t.WhisperFeatureExtractor(feature_size=128, return_attention_mask=True)
    processor = getattr(t, f"{name}Processor")(feature_extractor=ears, tokenizer=tokenizer, audio_token=token)
    return Made(model=getattr(t, f"{name}ForConditionalGeneration")(config), processors=(processor,))


@further
def audioflamingo3() -> Made:
    return _flamingo("AudioFlamingo3", "<sound>")


@further
def musicflamingo() -> Made:
    return _flamingo("MusicFlamingo", "<sound>", "<|sound_bos|>", "<|sound_eos|>")


@further
def glmasr() -> Made:
    return _flamingo("GlmAsr", "<|pad|>")


@further
def voxtral() -> Made:
    tokenizer = _qwen()
    text = decoder(tokenizer, "llama") | {"tie_word_embeddings": False}
    audio = {"hidden_size": 32, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = t.VoxtralConfig(text_config=text, audio_config=audio | {"num_mel_bins": 128}, audio_token_id=24)
    processor = t.VoxtralProcessor(feature_extractor=t.WhisperFeatureExtractor(feature_size=128), tokenizer=tokenizer)
    return Made(model=t.VoxtralForConditionalGeneration(config), processors=(processor,))


@further
def phi4_multimodal() -> Made:
    tokenizer = _qwen("<|image|>", "<|audio|>", image_token="<|image|>", audio_token="<|audio|>")
    ids = tokenizer.convert_tokens_to_ids
    text = {k: v for k, v in decoder(tokenizer).items() if k != "model_type"}
    vision = SMALL | {"image_size": 448, "patch_size": 14, "crop_size": 448, "image_token_id": ids("<|image|>")}
    audio = {"hidden_size": 32, "intermediate_size": 64, "num_blocks": 1, "num_attention_heads": 2, "feature_layer": -1}
    audio |= {"ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32, "nemo_conv_channels": 8}
    config = t.Phi4MultimodalConfig(
        **text,
        vision_config=vision,
        audio_config=audio | {"audio_token_id": ids("<|audio|>"), "bias_max_distance": 100},
    )
    processor = t.Phi4MultimodalProcessor(
        image_processor=t.Phi4MultimodalImageProcessor(),
        audio_processor=t.Phi4MultimodalFeatureExtractor(),
        tokenizer=tokenizer,
    )
    return Made(model=t.Phi4MultimodalForCausalLM(config), processors=(processor,))


@further
def audio_spectrogram_transformer() -> Made:
    config = t.ASTConfig(**SMALL, max_length=256, num_mel_bins=64)
    return Made(model=t.ASTModel(config), processors=(t.ASTFeatureExtractor(max_length=256, num_mel_bins=64),))


@further
def moonshine() -> Made:
    heads = {
        f"{side}_{what}": n
        for side in ("encoder", "decoder")
        for what, n in (("num_hidden_layers", 1), ("num_attention_heads", 2))
    }
    config = t.MoonshineConfig(hidden_size=32, intermediate_size=64, vocab_size=64, **heads)
    return Made(model=t.MoonshineForConditionalGeneration(config), processors=(_waves(),))


def _waves() -> Any:
    return t.Wav2Vec2FeatureExtractor(feature_size=1, sampling_rate=16000, return_attention_mask=False)


def _waveform(name: str, **more: Any) -> Made:
    narrow = {"conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    config = getattr(t, f"{name}Config")(**SMALL, **narrow, vocab_size=32, **more)
    return Made(model=getattr(t, f"{name}Model")(config), processors=(_waves(),))


@further
def wav2vec2_adapter() -> Made:
    return _waveform("Wav2Vec2", add_adapter=True, output_hidden_size=HIDDEN)


@further
def hubert() -> Made:
    return _waveform("Hubert")


@further
def wavlm() -> Made:
    return _waveform("WavLM", num_buckets=32)


@further
def data2vec_audio() -> Made:
    return _waveform("Data2VecAudio")


@further
def unispeech_sat() -> Made:
    return _waveform("UniSpeechSat")


@further
def wav2vec2_conformer() -> Made:
    return _waveform("Wav2Vec2Conformer")


@further
def deepseek_vl() -> Made:
    tokenizer = _qwen("<image_placeholder>", image_token="<image_placeholder>")
    config = t.DeepseekVLConfig(
        text_config=decoder(tokenizer),
        vision_config=siglip_tower(384, 16),
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
    )
    processor = t.DeepseekVLProcessor(t.DeepseekVLImageProcessor(), tokenizer)
    return Made(model=t.DeepseekVLForConditionalGeneration(config), processors=(processor,))


@further
def deepseek_vl_hybrid() -> Made:
    tokenizer = _qwen("<image_placeholder>", image_token="<image_placeholder>")
    large = {"hidden_size": 32, "output_channels": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_dim": 32}
    large |= {"image_size": 256, "patch_size": 16, "global_attn_indexes": [1], "window_size": 4}
    config = t.DeepseekVLHybridConfig(
        text_config=decoder(tokenizer),
        vision_config=siglip_tower(384, 16),
        high_res_vision_config=large,
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
    )
    images = t.DeepseekVLHybridImageProcessor(high_res_size={"height": 256, "width": 256})
    processor = t.DeepseekVLHybridProcessor(images, tokenizer)
    return Made(model=t.DeepseekVLHybridForConditionalGeneration(config), processors=(processor,))


@further
def ovis2() -> Made:
    marks = ("<image>", "<IMG_ATOM>", "<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>")
    tokenizer = _qwen(*marks)
    ids = tokenizer.convert_tokens_to_ids
    vision = SMALL | {"image_size": 112, "patch_size": 14, "hidden_stride": 2, "vocab_size": 64}
    config = t.Ovis2Config(
        text_config=decoder(tokenizer, "qwen2"),
        vision_config=vision,
        image_token_id=ids("<IMG_ATOM>"),
        visual_indicator_token_ids=[ids(m) for m in marks[2:]],
        vocab_size=speakers.rows(tokenizer),
        hidden_size=HIDDEN,
    )
    images = t.Ovis2ImageProcessor(size={"height": 112, "width": 112}, crop_to_patches=True, max_patches=9)
    processor = t.Ovis2Processor(images, tokenizer, image_seq_length=16)
    return Made(model=t.Ovis2ForConditionalGeneration(config), processors=(processor,))


@further
def lfm2_vl() -> Made:
    marks = ["<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"]
    marks += [f"<|img_row_{row}_col_{column}|>" for row in range(1, 11) for column in range(1, 11)]
    tokenizer = _qwen(*marks, image_token="<image>")
    text = decoder(tokenizer, "lfm2", layer_types=["conv", "full_attention"], block_auto_adjust_ff_dim=False)
    config = t.Lfm2VlConfig(
        text_config=text,
        vision_config=SMALL | {"model_type": "siglip2_vision_model", "num_patches": 256, "patch_size": 16},
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        projector_hidden_size=HIDDEN,
    )
    processor = t.Lfm2VlProcessor(t.Lfm2VlImageProcessor(), tokenizer)
    return Made(model=t.Lfm2VlForConditionalGeneration(config), processors=(processor,))
