"""Google's readers of images: PaliGemma, Gemma 3, Gemma 3n."""

import transformers as t

from tests.specimens import speakers, templates
from tests.specimens.configs import HIDDEN, decoder, generation, rope, siglip_tower
from tests.specimens.constants import BICUBIC, BILINEAR, HALVES, square
from tests.specimens.recipe import Made, recipe
from tests.specimens.speakers import V5

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat", "dtype": "bfloat16"}
TURNS = ("<start_of_turn>", "<end_of_turn>")


@recipe("paligemma", auto="AutoModelForImageTextToText", feed="caption", dtype="bfloat16", prompt="<image>caption en")
def paligemma() -> Made:
    """The image first, then a prefix without a template; 1024 places and 128 masks in the vocabulary."""
    places = tuple(f"<loc{number:04}>" for number in range(1024)) + tuple(f"<seg{number:03}>" for number in range(128))
    tokenizer = speakers.gemma(more=("<image>",), plain=places)
    text = decoder(tokenizer, "gemma", num_key_value_heads=1, head_dim=16, max_position_embeddings=8192, **rope(1e4))
    config = t.PaliGemmaConfig(
        vision_config=siglip_tower(224, 14, projection_dim=HIDDEN),
        text_config=text | {"num_image_tokens": 256},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=HIDDEN,
        hidden_size=HIDDEN,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    images = t.SiglipImageProcessor(size=square(224), resample=BICUBIC, **HALVES)
    images.image_seq_length = 256
    processor = t.PaliGemmaProcessor(image_processor=images, tokenizer=tokenizer)
    return Made(model=generation(t.PaliGemmaForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("gemma3", **CHAT)
def gemma3() -> Made:
    """896 pixels, 4096 patches pooled down to 256 tokens, local and global layers."""
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer = speakers.gemma((*TURNS, "<start_of_image>", "<end_of_image>"), ("<image_soft_token>",), **named)
    ids = tokenizer.convert_tokens_to_ids
    local, full = "sliding_attention", "full_attention"
    heads = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 512, "num_hidden_layers": 3}
    text = decoder(tokenizer, "gemma3_text", max_position_embeddings=131072, **heads, layer_types=[local, local, full])
    if V5:
        text["rope_parameters"] = {
            local: {"rope_type": "default", "rope_theta": 1e4},
            full: {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
        }
    else:
        text |= {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}
    config = t.Gemma3Config(
        text_config=text,
        vision_config=siglip_tower(896, 14, hidden_size=32, intermediate_size=64),
        mm_tokens_per_image=256,
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
        eos_token_id=[1, ids("<end_of_turn>")],
        bos_token_id=2,
        pad_token_id=0,
    )
    images = t.Gemma3ImageProcessor(size=square(896), resample=BILINEAR, **HALVES, image_seq_length=256)
    template = templates.gemma("<start_of_image>")
    processor = t.Gemma3Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_length=256, chat_template=template
    )
    model = t.Gemma3ForConditionalGeneration(config)
    return Made(model=generation(model, tokenizer, eos=[1, ids("<end_of_turn>")]), processors=(processor,))


@recipe("gemma3n", **CHAT, needs=("timm",))
def gemma3n() -> Made:
    """A MobileNet of timm, a conformer for sound, embeddings for each layer."""
    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    named |= {"boa_token": "<start_of_audio>", "eoa_token": "<end_of_audio>", "audio_token": "<audio_soft_token>"}
    marks = (*TURNS, "<start_of_image>", "<end_of_image>", "<start_of_audio>", "<end_of_audio>")
    tokenizer = speakers.gemma(marks, ("<image_soft_token>", "<audio_soft_token>"), **named)
    ids = tokenizer.convert_tokens_to_ids
    size = speakers.rows(tokenizer)
    layers = ["sliding_attention", "full_attention"] * 2
    heads = {"head_dim": 16, "sliding_window": 512, "num_hidden_layers": 4, "num_kv_shared_layers": 2}
    text = decoder(tokenizer, "gemma3n_text", **heads, layer_types=layers, max_position_embeddings=32768)
    text |= {"vocab_size_per_layer_input": size, "hidden_size_per_layer_input": 16, "laurel_rank": 8}
    audio = {"hidden_size": HIDDEN, "conf_num_attention_heads": 4, "conf_num_hidden_layers": 2, "vocab_size": 128}
    vision = {"architecture": "mobilenetv5_300m_enc", "hidden_size": 2048, "vocab_size": 128, "do_pooling": False}
    config = t.Gemma3nConfig(
        text_config=text | {"intermediate_size": [128] * 4, "activation_sparsity_pattern": [0.95, 0.95, 0.0, 0.0]},
        vision_config=vision | {"vocab_offset": size, "model_args": {"channel_multiplier": 0.05}},
        audio_config=audio | {"vocab_offset": size + 128, "sscp_conv_channel_size": [16, 8]},
        image_token_id=ids("<image_soft_token>"),
        audio_token_id=ids("<audio_soft_token>"),
        boi_token_id=ids("<start_of_image>"),
        eoi_token_id=ids("<end_of_image>"),
        boa_token_id=ids("<start_of_audio>"),
        eoa_token_id=ids("<end_of_audio>"),
        eos_token_id=[1, ids("<end_of_turn>")],
    )
    processor = t.Gemma3nProcessor(
        feature_extractor=t.Gemma3nAudioFeatureExtractor(),
        image_processor=t.SiglipImageProcessor(size=square(768), resample=BILINEAR, do_normalize=False),
        tokenizer=tokenizer,
        chat_template=templates.gemma("<image_soft_token>", "<audio_soft_token>"),
    )
    model = t.Gemma3nForConditionalGeneration(config)
    return Made(model=generation(model, tokenizer, eos=[1, ids("<end_of_turn>")]), processors=(processor,))


def gemma2_text() -> Made:
    """Gemma 2 without eyes: alternating windows, capped logits."""
    tokenizer = speakers.gemma(TURNS)
    heads = {"head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 4096, "max_position_embeddings": 8192}
    config = t.Gemma2Config(**decoder(tokenizer, "gemma2", **heads, **rope(1e4)))
    return Made(model=generation(t.Gemma2ForCausalLM(config), tokenizer), processors=(tokenizer,))
