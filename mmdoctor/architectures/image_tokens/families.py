"""Which processor and image processor a model type goes with when its files do not name one.

transformers 5.23, models/auto/processing_auto.py and image_processing_auto.py.
"""

from collections.abc import Mapping

_QWEN = "Qwen2VLImageProcessor"

USUAL: Mapping[str, tuple[str, str]] = {
    "llava": ("LlavaProcessor", "CLIPImageProcessor"),
    "vipllava": ("LlavaProcessor", "CLIPImageProcessor"),
    "video_llava": ("VideoLlavaProcessor", "VideoLlavaImageProcessor"),
    "llava_next": ("LlavaNextProcessor", "LlavaNextImageProcessor"),
    "llava_next_video": ("LlavaNextVideoProcessor", "LlavaNextImageProcessor"),
    "llava_onevision": ("LlavaOnevisionProcessor", "LlavaOnevisionImageProcessor"),
    "qwen2_vl": ("Qwen2VLProcessor", _QWEN),
    "qwen2_5_vl": ("Qwen2_5_VLProcessor", _QWEN),
    "qwen3_vl": ("Qwen3VLProcessor", _QWEN),
    "qwen3_vl_moe": ("Qwen3VLProcessor", _QWEN),
    "qwen3_5": ("Qwen3VLProcessor", _QWEN),
    "qwen3_5_moe": ("Qwen3VLProcessor", _QWEN),
    "qwen2_5_omni_thinker": ("Qwen2_5OmniProcessor", _QWEN),
    "glm4v": ("Glm4vProcessor", "Glm4vImageProcessor"),
    "glm4v_moe": ("Glm4vProcessor", "Glm4vImageProcessor"),
    "glm46v": ("Glm46VProcessor", "Glm46VImageProcessor"),
    "mistral3": ("PixtralProcessor", "PixtralImageProcessor"),
    "internvl": ("InternVLProcessor", "GotOcr2ImageProcessor"),
    "aya_vision": ("AyaVisionProcessor", "GotOcr2ImageProcessor"),
    "cohere2_vision": ("Cohere2VisionProcessor", "Cohere2VisionImageProcessor"),
    "idefics2": ("Idefics2Processor", "Idefics2ImageProcessor"),
    "idefics3": ("Idefics3Processor", "Idefics3ImageProcessor"),
    "smolvlm": ("SmolVLMProcessor", "SmolVLMImageProcessor"),
    "paligemma": ("PaliGemmaProcessor", "SiglipImageProcessor"),
    "gemma3": ("Gemma3Processor", "Gemma3ImageProcessor"),
    "blip-2": ("Blip2Processor", "BlipImageProcessor"),
    "instructblip": ("InstructBlipProcessor", "BlipImageProcessor"),
    "mllama": ("MllamaProcessor", "MllamaImageProcessor"),
    "llama4": ("Llama4Processor", "Llama4ImageProcessor"),
}
"""`model_type` to (processor class, image processor class)."""
