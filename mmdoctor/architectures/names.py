"""Tensor names: wrappers, layer indices, and the words by which families call the parts of a model."""

import re

from mmdoctor.facts.parts import Role

WRAPPERS = (
    "module",
    "_orig_mod",
    "base_model",
    "state_dict",
    "student",
    "teacher",
    "ema",
    "model_ema",
    "net",
    "network",
    "thinker",
    "vlm",
    "mllm",
    "_forward_module",
    "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
)
"""First words that wrap the names of a whole model and say nothing about its parts."""

SAVING_WRAPPERS = ("module", "_orig_mod", "base_model", "state_dict", "_forward_module", "_fsdp_wrapped_module")
"""Wrappers that training code leaves in front of names and that no model class has itself."""

_INNER_WRAPPERS = re.compile(r"\b(?:_fsdp_wrapped_module|_checkpoint_wrapped_module|_orig_mod|base_layer)\.")

_WORDS_READ = 32
"""Words of a name that are looked at: real ones have a dozen, and a hostile one must not cost more."""

LAYER = re.compile(r"(?:(?<=\.)|(?<=_)|^)(layers?|blocks?|blk|resblocks|h|stages?|groups?|layer_list)\.([0-9]{1,6})\.")
"""A word before an index that counts layers, as in `layers.3.` (not `experts.3.`, not `mlp.0.`)."""

_ADAPTER = re.compile(r"(?:^|\.)(?:lora_|ia3_|vera_|hada_|lokr_|oft_|boft_|prompt_embeddings|modules_to_save)")

_PROJECTOR = re.compile(
    r"^(?:multi_?modal_projector|mm_projector\w*|mm_mlp\w*|mlp1|projector\w*|connector\w*|aligner\w*|resampler\w*|q_?former"
    r"|perceiver\w*|\w*abstractor|vision_projection|image_projection|visual_projection|text_projection|audio_projection\w*"
    r"|language_projection|vision_proj\w*|image_proj\w*|img_projection\w*|text_proj\w*|audio_proj\w*|speech_proj\w*"
    r"|image_to_\w*projection|text_to_\w*projection|modality_projection|vision_language_adapter|vision_adapter"
    r"|query_tokens|image_newline|view_sep\w*|visual_tokenizer_head|vision_tokenizer|embed_vision|embed_audio"
    r"|vision_to_\w+|enc_to_dec_proj|visn_fc|mm|sub_gn|glb_gn|patch_merger|linear_proj\w*|mlp_connector|mlp_ar|vte|proj_in|adapter|merger)$",
    re.IGNORECASE,
)
"""Parts between a tower and the language model."""

_INNER_PROJECTOR = re.compile(
    r"^(?:merger|deepstack_merger_list|merger_list|attn_pool|img_projection\w*|audio_projection\w*|image_projector"
    r"|image_pooling_2d|vision_adapter|sub_GN|glb_GN|multi_?modal_projector)$"
)
"""Parts that families keep inside the tower's module and that lead out of it."""

_VISION = re.compile(
    r"^(?:vision_(?:tower|model|encoder|backbone|transformer|branch|embed_tokens|embed\w*)\w*|visual\w*|vit\w*|vpm|image_"
    r"(?:encoder|model|tower|backbone|embed|vit|feature_extractor)\w*|img_(?:encoder|processor)\w*|sam_model|sam\d?|clip_vision\w*"
    r"|high_res_vision\w*|vision|video_(?:tower|encoder|model)\w*|vision_embeddings|siglip\w*|dinov?\d?\w*|intern_?vit\w*|eva\w*"
    r"|pixel_\w+|radio_model)$"
)
"""Vision towers."""

_AUDIO = re.compile(
    r"^(?:audio_(?:tower|model|encoder|embed|backbone|branch)\w*|speech_(?:encoder|tower|model)\w*|apm|sound_(?:tower|encoder)\w*"
    r"|wav2vec2\w*|hubert|wavlm|whisper|audio|conformer|audio_spectrogram_transformer)$"
)
"""Audio towers."""

_TEXT = re.compile(
    r"^(?:language_model|language|text_model|text_encoder|text_decoder|text|llm|lang_model|lang_encoder|language_decoder"
    r"|gpt|bert|roberta|distilbert|electra|albert|text_backbone|llama_model|llm_model|text_transformer|mpnet|xlm_roberta)$"
)
"""Language models and text encoders."""

_FUSION = re.compile(
    r"^(?:multimodal_model|multimodal_encoder|fusion\w*|cross_modal_\w+|gated_cross_attn_layers|cross_encoder|multi_modal_encoder"
    r"|mm_encoder|co_attention\w*|unified\w*)$"
)
"""Encoders that read both modalities."""

_HEAD = re.compile(
    r"^(?:lm_head|output|embed_out|classifier\w*|score|cls|qa_outputs|logit_scale|logit_bias|logits?_\w+|pre_classifier|proj_out"
    r"|head|heads|head_dist|fc|vqa_\w+|itm_head|generator|lm_predictions|distillation_classifier|class_embed|bbox_embed|box_head"
    r"|class_head|predictions|mlm_\w+|itc_\w+|output_projection|final_logits_bias|task_heads?|\w+_head|vocab_\w+|temperature"
    r"|generator_\w+|embedding_proj_layer|custom_text_proj)$"
)
"""Heads, when they stand at the top of the model."""

_OTHER = re.compile(
    r"^(?:talker|token2wav|code2wav|tts|flow|vocoder|codec_model|vq\w*|generation_\w+|gen_\w+|mtp|image_codebook)$"
)


def strip_wrappers(name: str) -> str:
    """The name without what training code and containers put in front of it or in between."""
    name = _INNER_WRAPPERS.sub("", name)
    for _ in range(_WORDS_READ):
        first, dot, rest = name.partition(".")
        if not dot or first not in WRAPPERS or (first == "ema" and "." not in rest):
            break
        name = rest
    return name


def outermost(name: str) -> str:
    """The first word of a name that says something."""
    return strip_wrappers(name).removeprefix("model.").partition(".")[0]


def role_by_name(name: str) -> tuple[Role, str] | None:
    """The role that the words of a stripped name tell, from the outside in, and the name up to the word that tells it.

    None when no word tells one.
    """
    if _ADAPTER.search(name):
        return Role.ADAPTER, ""
    if name.startswith(_GGUF_VISION):
        return Role.VISION, "v."
    if name.startswith(_GGUF_AUDIO):
        return Role.AUDIO, "a."
    if name == "visual.proj":  # the original CLIP's projection into the space shared with text
        return Role.PROJECTOR, "visual."
    if _POOLING_HEAD.match(name):
        return None
    words = name.split(".", _WORDS_READ)[:_WORDS_READ]
    found: tuple[Role, int] | None = None
    outermost = True
    for position, word in enumerate(words):
        role = _word_role(word, found[0] if found else None, outermost=outermost)
        if role is not None:
            found = role, position
        outermost = outermost and word in _NEUTRAL
    return (found[0], ".".join(words[: found[1] + 1])) if found else None


_POOLING_HEAD = re.compile(r"^head\.(?:attention|probe|mlp|layernorm)")
"""SigLIP's tower pools by attention in a module that it calls `head`."""

_NEUTRAL = ("model", "transformer", "llava", "text_model", "language_model")
_GGUF_VISION = ("v.blk.", "v.patch_", "v.position_", "v.class_", "v.pre_ln", "v.post_ln", "v.norm", "v.conv")
_GGUF_AUDIO = ("a.blk.", "a.conv", "a.position_", "a.pre_ln", "a.post_ln")


def _word_role(word: str, role: Role | None, *, outermost: bool) -> Role | None:
    """What one more word changes, given the role of the words before it."""
    if role in (Role.VISION, Role.AUDIO):
        return Role.PROJECTOR if _INNER_PROJECTOR.match(word) else None
    if role is Role.TEXT:
        return Role.HEAD if word in ("lm_head", "embed_out") else None
    if role is not None:
        return None
    if outermost and _HEAD.match(word):
        return Role.HEAD
    return next((meaning for pattern, meaning in _WORDS if pattern.match(word)), None)


_WORDS = (
    (_OTHER, Role.OTHER),
    (_PROJECTOR, Role.PROJECTOR),
    (_FUSION, Role.FUSION),
    (_AUDIO, Role.AUDIO),
    (_VISION, Role.VISION),
    (_TEXT, Role.TEXT),
)
