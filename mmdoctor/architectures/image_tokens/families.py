"""Which processor and image processor a model type goes with when its files do not name one.

transformers 5.23, models/auto/processing_auto.py and image_processing_auto.py.
"""

from collections.abc import Mapping

from mmdoctor.architectures.image_tokens import features, fixed, pixels, placeholders, tiled
from mmdoctor.architectures.image_tokens.features import ModelClass
from mmdoctor.architectures.image_tokens.pixels import ImageClass
from mmdoctor.architectures.image_tokens.placeholders import ProcessorClass

IMAGES: Mapping[str, ImageClass] = {**pixels.CLASSES, **fixed.IMAGES, **tiled.IMAGES}
"""Image processor classes by name, without what only names their backend."""
PROCESSORS: Mapping[str, ProcessorClass] = {**placeholders.CLASSES, **fixed.PROCESSORS, **tiled.PROCESSORS}
"""Processor classes by name."""
MODELS: Mapping[str, ModelClass] = {**features.CLASSES, **fixed.MODELS, **tiled.MODELS}
"""Model classes by `model_type`."""

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
    "colpali": ("ColPaliProcessor", "SiglipImageProcessor"),
    "gemma3": ("Gemma3Processor", "Gemma3ImageProcessor"),
    "shieldgemma2": ("ShieldGemma2Processor", "Gemma3ImageProcessor"),
    "blip-2": ("Blip2Processor", "BlipImageProcessor"),
    "instructblip": ("InstructBlipProcessor", "BlipImageProcessor"),
    "mllama": ("MllamaProcessor", "MllamaImageProcessor"),
    "llama4": ("Llama4Processor", "Llama4ImageProcessor"),
    **fixed.USUAL,
    **tiled.USUAL,
}
"""`model_type` to (processor class, image processor class)."""
