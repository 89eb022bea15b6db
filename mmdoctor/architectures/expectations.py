"""What a model type expects beside its weights: processor parts, placeholder tokens, a chat template."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import Expectations


class _Table(msgspec.Struct):
    source: str
    """The library and version that the table was taken from."""
    types: dict[str, list[str]]
    """Letters (i image, v video, a sound, t tokenizer) to model types; written by tools/processor_expectations.py."""


@cache
def _table() -> _Table:
    return msgspec.json.decode((Path(__file__).parent / "expectations.json").read_bytes(), type=_Table)


@cache
def _by_type() -> dict[str, str]:
    listed = {model_type: letters for letters, types in _table().types.items() for model_type in types}
    return {**listed, **_UNLISTED}


_UNLISTED: Mapping[str, str] = {
    # Joined by transformers from two models of any type, so in no mapping.
    "vision-encoder-decoder": "it",
    "speech-encoder-decoder": "at",
    # A class of the processor in transformers 4.57, no longer in the mapping of 5.23.
    "kosmos-2": "it",
    "kosmos-2.5": "it",
    # Parts of a larger model that are saved and served alone, with its processor.
    "qwen2_5_omni_thinker": "aitv",
    "qwen3_omni_moe_thinker": "aitv",
    # mmdoctor's own, of which no library knows.
    "mmdoctor_reference": "it",
}
"""Types beside the library's mappings."""


def expectations(model: MultimodalModel) -> Expectations:
    """What the model's processor classes load and write, as far as the library's mappings know the type.

    A video processor is no need of its own: without its file the image processor's is read
    (transformers 5.23, video_processing_utils.py).
    """
    model_type = model.config.model_type or ""
    letters = _by_type().get(model_type, "")
    return Expectations(
        known=bool(letters),
        image="i" in letters,
        audio="a" in letters,
        tokenizer="t" in letters,
        placeholders=next((texts for types, texts in _PLACEHOLDERS if model_type in types), {}),
        role_keys={**_ROLE_KEYS, **_OWN_ROLE_KEYS.get(model_type, {})},
        hides_placeholders=model_type in _HIDES_PLACEHOLDERS,
        chat=True if model_type in _ALWAYS_CHAT else False if model_type in _NEVER_CHAT else None,
        base_models_exist=model_type in _NAMED_BASE,
        turn_ends=_TURN_ENDS,
        source=_table().source,
    )


_PLACEHOLDERS: tuple[tuple[tuple[str, ...], Mapping[str, str]], ...] = (
    (
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe", "exaone4_5"),
        {
            "image": "<|image_pad|>",
            "video": "<|video_pad|>",
            "vision_start": "<|vision_start|>",
            "vision_end": "<|vision_end|>",
        },
    ),
    (("llava", "llava_next", "vipllava", "granite4_vision", "lfm2_vl", "ovis2"), {"image": "<image>"}),
    (("idefics2", "idefics3", "smolvlm", "blip-2", "instructblip"), {"image": "<image>"}),
    (("paligemma", "colpali", "chameleon", "florence2"), {"image": "<image>"}),
    (("llava_next_video", "llava_onevision", "video_llava"), {"image": "<image>", "video": "<video>"}),
    (("mistral3", "pixtral"), {"image": "[IMG]"}),
    (("glm4v", "glm4v_moe", "glm46v"), {"image": "<|image|>", "video": "<|video|>"}),
    (("gemma3", "gemma3n"), {"image": "<image_soft_token>"}),
    (("mllama",), {"image": "<|image|>"}),
    (("llama4",), {"image": "<|patch|>"}),
    (("aya_vision",), {"image": "<|IMG_PATCH|>"}),
    (("internvl",), {"image": "<IMG_CONTEXT>"}),
    (("got_ocr2",), {"image": "<imgpad>"}),
    (("fuyu",), {"image": "|SPEAKER|"}),
    (("qwen2_audio",), {"audio": "<|AUDIO|>"}),
    (
        ("qwen2_5_omni", "qwen2_5_omni_thinker"),
        {"image": "<|IMAGE|>", "video": "<|VIDEO|>", "audio": "<|AUDIO|>"},
    ),
    (("granite_speech", "ultravox"), {"audio": "<|audio|>"}),
)
"""Default placeholders of the processor classes (transformers 5.23, models/*/processing_*.py). For Pixtral inside
LLaVA, whose token is `[IMG]`, the tokenizer's or the processor's own setting decides."""

_ROLE_KEYS: Mapping[str, tuple[str, ...]] = {
    "image": ("context_image_token", "patch_token", "img_patch_token", "image_token", "image_placeholder"),
    "video": ("video_token",),
    "audio": ("audio_token", "audio_placeholder"),
    "vision_start": ("vision_start_token", "start_image_token", "vision_bos_token"),
    "vision_end": ("vision_end_token", "end_image_token", "vision_eos_token"),
    "boi": ("boi_token",),
    "eoi": ("eoi_token",),
    "boa": ("boa_token",),
    "eoa": ("eoa_token",),
}
"""Settings of processor_config.json and names of the tokenizer that hold a role's token."""

_OWN_ROLE_KEYS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "llama4": {"image": ("patch_token",)},
    "aya_vision": {"image": ("img_patch_token",)},
}
"""Types whose `image_token` stands in the prompt only, and is replaced by another token for each feature."""

_ALWAYS_CHAT = frozenset(
    {"llava", "llava_next", "llava_next_video", "llava_onevision", "vipllava", "video_llava", "qwen2_vl", "qwen2_5_vl"}
    | {"qwen3_vl", "qwen3_vl_moe", "qwen2_5_omni", "qwen3_omni_moe", "internvl", "smolvlm", "idefics3", "aya_vision"}
    | {"cohere2_vision", "glm4v", "glm4v_moe", "glm46v", "ovis2", "lfm2_vl", "phi4_multimodal", "pixtral"}
    | {"janus", "mistral3"}
)
"""Types whose published models are all tuned for chat, so that a missing template is an omission."""

_NAMED_BASE = frozenset({"mistral3"})
"""Those of them of which base models are published too, with Base in their names."""

_NEVER_CHAT = frozenset(
    {"blip", "blip-2", "instructblip", "instructblipvideo", "paligemma", "colpali", "git", "kosmos-2", "kosmos-2.5"}
    | {"florence2", "fuyu", "pix2struct", "whisper", "clip", "siglip", "siglip2", "vision-encoder-decoder", "trocr"}
    | {"donut-swin", "udop", "got_ocr2", "chameleon", "moonshine", "speech_to_text", "t5", "bart", "nougat", "vilt"}
    | {"colqwen2", "colmodernvbert"}
)
"""Types whose prompt is built by the processor, or that have none."""

_TURN_ENDS = frozenset(
    {"<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|end_of_turn|>", "<|eot|>"}
    | {"<end_of_utterance>", "<|END_OF_TURN_TOKEN|>", "<|return|>", "<|eom|>", "<|user|>", "<|endofturn|>"}
)
"""Tokens that close a turn of a conversation: a model that stops at one was tuned for chat."""

_HIDES_PLACEHOLDERS = frozenset({"paligemma", "gemma3", "gemma3n", "ultravox", "granite_speech", "kimi_k25"})
"""Types whose code replaces placeholder ids before it looks them up, so that these may lie past the embedding
(transformers 5.23, `llm_input_ids[special_image_mask] = 0` in modeling_paligemma.py, modeling_gemma3.py ...)."""
