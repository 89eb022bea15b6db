"""Qwen's multimodal models.

Qwen2-VL spells the tower's width `embed_dim` and means the width handed on by `hidden_size`; from Qwen2.5-VL on they
are `hidden_size` and `out_hidden_size` (transformers models/qwen2_vl and qwen2_5_vl, configuration files). Files saved
before transformers 4.52 have the text settings at the top level.
"""

from mmdoctor.architectures.family import Family, audio, text, vision

FAMILIES = (
    Family(
        name="qwen2_vl",
        model_types=("qwen2_vl",),
        text=text("/text_config", "", model_type="qwen2_vl_text"),
        vision=vision(
            "/vision_config", model_type="qwen2_vl_vision", hidden_size=("embed_dim",), output_size=("hidden_size",)
        ),
        interpolates=True,
    ),
    Family(
        name="qwen2_5_vl",
        model_types=("qwen2_5_vl",),
        text=text("/text_config", "", model_type="qwen2_5_vl_text"),
        vision=vision("/vision_config", model_type="qwen2_5_vl_vision"),
        interpolates=True,
    ),
    Family(
        name="qwen3_vl",
        model_types=("qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe"),
        text=text("/text_config", ""),
        vision=vision("/vision_config"),
        interpolates=True,
    ),
    Family(
        name="qwen2_5_omni",
        model_types=("qwen2_5_omni", "qwen3_omni_moe"),
        text=text("/thinker_config/text_config"),
        vision=vision("/thinker_config/vision_config"),
        audio=audio("/thinker_config/audio_config"),
        interpolates=True,
    ),
    Family(
        name="qwen2_5_omni",
        model_types=("qwen2_5_omni_thinker", "qwen3_omni_moe_thinker"),
        text=text("/text_config"),
        vision=vision("/vision_config"),
        audio=audio("/audio_config"),
        interpolates=True,
    ),
    Family(name="qwen2_audio", model_types=("qwen2_audio",), text=text("/text_config"), audio=audio("/audio_config")),
    Family(
        name="colqwen2",
        model_types=("colqwen2",),
        text=text("/vlm_config/text_config", "/vlm_config", model_type="qwen2_vl_text"),
        vision=vision(
            "/vlm_config/vision_config",
            model_type="qwen2_vl_vision",
            hidden_size=("embed_dim",),
            output_size=("hidden_size",),
        ),
        interpolates=True,
    ),
    Family(
        name="qwen-vl",
        model_types=("qwen",),
        classes=("QWenLMHeadModel",),
        text=text(""),
        vision=vision("/visual"),
        extra_positions=0,
        interpolates=True,
    ),
    Family(
        name="glm4v",
        model_types=("glm4v", "glm4v_moe", "glm46v", "glm_ocr"),
        text=text("/text_config", ""),
        vision=vision("/vision_config"),
        extra_positions=0,
        interpolates=True,
    ),
    Family(
        name="video_llama_3",
        model_types=("video_llama_3", "hunyuan_vl", "paddleocr_vl", "ernie4_5_vl_moe", "kimi_k25"),
        text=text("/text_config", ""),
        vision=vision("/vision_config"),
        interpolates=True,
    ),
)
