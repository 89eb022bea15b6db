"""Mistral's readers of images: Pixtral's tower in LLaVA's frame, and Mistral 3."""

from typing import Any

import transformers as t

from tests.specimens import speakers, templates, vocabulary
from tests.specimens.configs import SMALL, decoder, generation, rope
from tests.specimens.constants import BICUBIC, OPENAI
from tests.specimens.recipe import Made, recipe
from tests.specimens.speakers import V5

CHAT = {"auto": "AutoModelForImageTextToText", "feed": "chat", "dtype": "bfloat16"}
FRONT = (
    "<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
    "[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]",
)  # fmt: skip


def _tokenizer() -> Any:
    backend = vocabulary.starting_with(vocabulary.byte_level(FRONT), "<s>")
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return speakers.speaker(backend, **special, model_max_length=131072, padding_side="left")


def _tower(image_size: int, patch_size: int) -> dict[str, Any]:
    tower = SMALL | {"model_type": "pixtral", "head_dim": 16, "image_size": image_size, "patch_size": patch_size}
    return tower | (rope(1e4) if V5 else {"rope_theta": 10000.0})


@recipe("pixtral", **CHAT)
def pixtral() -> Made:
    """Pixtral 12B: native resolution up to 1024 pixels, patches of 16, rows ended by `[IMG_BREAK]`."""
    tokenizer = _tokenizer()
    config = t.LlavaConfig(
        vision_config=_tower(1024, 16),
        text_config=decoder(
            tokenizer, "mistral", head_dim=16, sliding_window=None, max_position_embeddings=1024000, **rope(1e9)
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_seq_length=1,
    )
    images = t.PixtralImageProcessor(
        size={"longest_edge": 1024}, patch_size={"height": 16, "width": 16}, resample=BICUBIC, **OPENAI
    )
    processor = t.PixtralProcessor(
        image_processor=images, tokenizer=tokenizer, patch_size=16, chat_template=templates.PIXTRAL
    )
    return Made(model=generation(t.LlavaForConditionalGeneration(config), tokenizer), processors=(processor,))


@recipe("mistral3", **CHAT)
def mistral3() -> Made:
    """Mistral Small 3.1: up to 1540 pixels, patches of 14 merged two by two."""
    tokenizer = _tokenizer()
    text = decoder(tokenizer, "mistral", head_dim=16, sliding_window=None, max_position_embeddings=131072, **rope(1e9))
    config = t.Mistral3Config(
        vision_config=_tower(1540, 14),
        text_config=text | {"tie_word_embeddings": False},
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        vision_feature_layer=-1,
        spatial_merge_size=2,
        projector_hidden_act="gelu",
        multimodal_projector_bias=False,
        tie_word_embeddings=False,
    )
    images = t.PixtralImageProcessor(size={"longest_edge": 1540}, patch_size=14, resample=BICUBIC, **OPENAI)
    processor = t.PixtralProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=templates.PIXTRAL,
    )
    model = generation(t.Mistral3ForConditionalGeneration(config), tokenizer)
    return Made(model=model, processors=(processor,))
