"""Idefics2, Idefics3, SmolVLM: SigLIP, a resampler or a pixel shuffle, images cut into a grid."""

from typing import Any

import transformers as t

from tests.specimens import speakers, templates, vocabulary
from tests.specimens.configs import HIDDEN, SMALL, decoder, generation, rope
from tests.specimens.constants import BILINEAR, HALVES
from tests.specimens.recipe import Made, recipe

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat", "dtype": "bfloat16"}
LANCZOS = 1
GRID = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
MARKS = ("<fake_token_around_image>", "<image>", "<end_of_utterance>")


@recipe("idefics2", **CHAT)
def idefics2() -> Made:
    """Native aspect ratio up to 980 pixels, a perceiver that leaves 64 tokens."""
    named = {"image_token": "<image>", "image_boundary_token": MARKS[0], "end_of_utterance_token": MARKS[2]}
    tokenizer = speakers.llama(("<pad>", *MARKS), positions=32768, **named)
    config = t.Idefics2Config(
        vision_config=SMALL | {"image_size": 980, "patch_size": 14, "hidden_size": 32, "intermediate_size": 64},
        text_config=decoder(tokenizer, "mistral", sliding_window=None, max_position_embeddings=32768, **rope(1e4)),
        perceiver_config={
            "hidden_size": HIDDEN,
            "resampler_n_latents": 64,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 16,
            "num_key_value_heads": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    size = {"shortest_edge": 378, "longest_edge": 980}
    images = t.Idefics2ImageProcessor(size=size, do_image_splitting=True, resample=BILINEAR, **HALVES)
    template = templates.idefics("<s>")
    processor = t.Idefics2Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_len=64, chat_template=template
    )
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_utterance>")]
    model = generation(t.Idefics2ForConditionalGeneration(config), tokenizer, eos=ends)
    return Made(model=model, processors=(processor,))


def _byte_level(bos: str, *more: str) -> Any:
    backend = vocabulary.byte_level()
    backend.add_special_tokens([bos, *more, *MARKS, "<global-img>", *GRID])
    return vocabulary.starting_with(backend, bos)


@recipe("idefics3", **CHAT)
def idefics3() -> Made:
    """Tiles of 364 pixels, 676 patches shuffled down to 169 tokens, Llama 3."""
    backend = _byte_level("<|begin_of_text|>", "<|end_of_text|>")
    special = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>", "pad_token": "<|end_of_text|>"}
    tokenizer = speakers.speaker(backend, **special, model_max_length=131072, padding_side="left")
    config = t.Idefics3Config(
        vision_config=SMALL | {"image_size": 364, "patch_size": 14},
        text_config=decoder(tokenizer, max_position_embeddings=131072, **rope(5e5)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
    )
    images = t.Idefics3ImageProcessor(
        size={"longest_edge": 4 * 364},
        max_image_size={"longest_edge": 364},
        do_image_splitting=True,
        resample=LANCZOS,
        **HALVES,
    )
    template = templates.idefics("<|begin_of_text|>")
    processor = t.Idefics3Processor(
        image_processor=images, tokenizer=tokenizer, image_seq_len=169, chat_template=template
    )
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_utterance>")]
    model = generation(t.Idefics3ForConditionalGeneration(config), tokenizer, eos=ends)
    return Made(model=model, processors=(processor,))


@recipe("smolvlm", **CHAT, needs=("num2words",))
def smolvlm() -> Made:
    """SmolVLM2 500M: tiles of 512 pixels, patches of 16, 64 tokens a tile, SmolLM2."""
    backend = _byte_level("<|im_start|>", "<|endoftext|>")
    named = {"image_token": "<image>", "fake_image_token": MARKS[0], "global_image_token": "<global-img>"}
    named["end_of_utterance_token"] = "<end_of_utterance>"
    special = {"bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>", "pad_token": "<|endoftext|>"}
    tokenizer = speakers.speaker(backend, "GPT2Tokenizer", named, **special, model_max_length=8192, padding_side="left")
    config = t.SmolVLMConfig(
        vision_config=SMALL | {"image_size": 512, "patch_size": 16, "hidden_size": 32, "intermediate_size": 64},
        text_config=decoder(tokenizer, max_position_embeddings=8192, **rope(1e5)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=4,
    )
    side = {"size": {"longest_edge": 4 * 512}, "max_image_size": {"longest_edge": 512}, "resample": LANCZOS}
    processor = t.SmolVLMProcessor(
        image_processor=t.SmolVLMImageProcessor(**side, do_image_splitting=True, **HALVES),
        video_processor=t.SmolVLMVideoProcessor(**side | {"size": {"longest_edge": 512}}, **HALVES),
        tokenizer=tokenizer,
        image_seq_len=64,
        chat_template=templates.idefics("<|im_start|>"),
    )
    model = generation(t.SmolVLMForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))
