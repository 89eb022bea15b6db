"""Meta's multimodal models: Llama 3.2 Vision (cross-attention, eight extra embedding rows) and Llama 4."""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="mllama",
        model_types=("mllama",),
        classes=("MllamaForConditionalGeneration",),
        text=text("/text_config"),
        vision=vision("/vision_config", num_attention_heads=("attention_heads", "num_attention_heads")),
        extra_positions=1,
    ),
    Family(
        name="mllama", model_types=("mllama_text_model",), classes=("MllamaForCausalLM",), text=text("/text_config", "")
    ),
    Family(
        name="llama4",
        model_types=("llama4",),
        text=text("/text_config"),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
)
