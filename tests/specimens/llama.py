"""Llama 3.2 Vision (cross-attention) and Llama 4 (early fusion, experts)."""

import transformers as t

from tests.specimens import speakers, templates
from tests.specimens.configs import HIDDEN, decoder, generation, kind, rope
from tests.specimens.constants import BILINEAR, HALVES, OPENAI, square
from tests.specimens.recipe import Made, recipe
from tests.specimens.speakers import V5

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat", "dtype": "bfloat16"}
TILES = [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]]
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}


@recipe("mllama", **CHAT)
def mllama() -> Made:
    """Up to four tiles of 560 pixels; `<|image|>` is the first of eight rows behind the text vocabulary."""
    tokenizer = speakers.llama3(("<|image|>",))
    ids = tokenizer.convert_tokens_to_ids
    ends = [ids("<|end_of_text|>"), ids("<|eom_id|>"), ids("<|eot_id|>")]
    text = decoder(tokenizer, "mllama_text_model", max_position_embeddings=131072)
    text |= {
        "vocab_size": len(tokenizer) - 1,
        "cross_attention_layers": [1, 3],
        "num_hidden_layers": 4,
        "eos_token_id": ends,
    }
    text |= rope(5e5, rope_type="llama3", **LLAMA3)
    vision = {"hidden_size": 32, "attention_heads": 2, "num_hidden_layers": 2, "num_global_layers": 1}
    vision |= {"intermediate_size": 64, "intermediate_layers_indices": [0], "vision_output_dim": 32 * 2}
    config = t.MllamaConfig(
        vision_config=vision
        | {"image_size": 560, "patch_size": 14, "max_num_tiles": 4, "supported_aspect_ratios": TILES},
        text_config=text,
        image_token_index=ids("<|image|>"),
    )
    images = t.MllamaImageProcessor(size=square(560), max_image_tiles=4, resample=BILINEAR, **OPENAI)
    template = templates.llama("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    processor = t.MllamaProcessor(image_processor=images, tokenizer=tokenizer, chat_template=template)
    model = generation(t.MllamaForConditionalGeneration(config), tokenizer, eos=ends)
    return Made(model=model, processors=(processor,))


LLAMA4 = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|header_start|>", "<|header_end|>", "<|eom|>", "<|eot|>",
    "<|image_start|>", "<|image_end|>", "<|tile_x_separator|>", "<|tile_y_separator|>", "<|image|>", "<|patch|>",
    "<|finetune_right_pad|>",
)  # fmt: skip


@recipe("llama4", **CHAT)
def llama4() -> Made:
    """Tiles of 336 pixels, 576 patches shuffled down to 144 tokens, experts in each layer, no rope in the fourth."""
    from tests.specimens import vocabulary

    backend = vocabulary.byte_level()
    backend.add_special_tokens(list(LLAMA4))
    vocabulary.starting_with(backend, "<|begin_of_text|>")
    special = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot|>", "pad_token": "<|finetune_right_pad|>"}
    tokenizer = speakers.speaker(backend, **special, model_max_length=10485760, padding_side="left")
    ids = tokenizer.convert_tokens_to_ids
    ends = [ids("<|end_of_text|>"), ids("<|eom|>"), ids("<|eot|>")]
    text = decoder(
        tokenizer, "llama4_text", eos_token_id=ends, head_dim=16, num_hidden_layers=4, attention_chunk_size=8192
    )
    text |= {"intermediate_size": 32, "intermediate_size_mlp": 64, "num_local_experts": 4, "num_experts_per_tok": 1}
    text |= {"interleave_moe_layer_step": 1, "no_rope_layers": [1, 1, 1, 0], "max_position_embeddings": 10485760}
    text |= rope(5e5, rope_type="llama3", **LLAMA3 | {"factor": 16.0})
    vision = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 128}
    vision |= {"projector_input_dim": HIDDEN, "projector_output_dim": HIDDEN, "vision_output_dim": HIDDEN}
    vision |= {"image_size": 336, "patch_size": 14, "pixel_shuffle_ratio": 0.5}
    if V5:
        vision |= rope(1e4)
    else:
        vision["rope_theta"] = 10000
    config = t.Llama4Config(
        vision_config=vision,
        text_config=text,
        boi_token_index=ids("<|image_start|>"),
        eoi_token_index=ids("<|image_end|>"),
        image_token_index=ids("<|patch|>"),
        tie_word_embeddings=False,
    )
    images = kind("Llama4ImageProcessor")(
        size=square(336), max_patches=16, resize_to_max_canvas=False, resample=BILINEAR, **HALVES
    )
    template = templates.llama("<|header_start|>", "<|header_end|>", "<|eot|>")
    processor = t.Llama4Processor(
        image_processor=images, tokenizer=tokenizer, patch_size=14, pixel_shuffle_ratio=0.5, chat_template=template
    )
    model = generation(t.Llama4ForConditionalGeneration(config), tokenizer, eos=ends)
    return Made(model=model, processors=(processor,))
