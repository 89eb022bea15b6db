"""LLaVA and its relatives: a vision tower, a small projector, a language model of any kind.

The `-hf` layout nests both configurations (transformers models/llava/configuration_llava.py). The original layout
keeps the language model's settings at the top level and names the tower by `mm_vision_tower` (haotian-liu/LLaVA).
"""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="llava",
        model_types=("llava", "llava_next", "llava_next_video", "llava_onevision", "vipllava", "video_llava"),
        classes=("LlavaForConditionalGeneration",),
        text=text("/text_config"),
        vision=vision("/vision_config"),
    ),
    Family(
        name="llava-original",
        model_types=("llava_llama", "llava_mistral", "llava_qwen", "llava_mpt", "mineru2_qwen"),
        classes=("LlavaLlamaForCausalLM", "LlavaMistralForCausalLM", "LlavaQwenForCausalLM", "Mineru2QwenForCausalLM"),
        text=text(""),
    ),
    Family(name="aya_vision", model_types=("aya_vision", "cohere2_vision"), text=text(), vision=vision()),
    Family(name="llava", model_types=("got_ocr2", "pp_chart2table"), text=text(), vision=vision()),
    Family(
        name="fast_vlm",
        model_types=("fast_vlm", "perception_lm"),
        text=text(),
        vision=vision(hidden_size=(), patch_size=(), image_size=()),
    ),
    Family(name="deepseek_vl", model_types=("deepseek_vl", "deepseek_vl_hybrid"), text=text(), vision=vision()),
    Family(name="janus", model_types=("janus",), text=text(), vision=vision()),
    Family(name="lfm2_vl", model_types=("lfm2_vl",), text=text(), vision=vision(image_size=())),
    Family(name="aria", model_types=("aria",), text=text(), vision=vision(), interpolates=True),
    Family(name="ovis2", model_types=("ovis2",), text=text(), vision=vision()),
)
