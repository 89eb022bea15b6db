"""Families whose code comes with the model, not with transformers: fields as their own configuration files name them.

Sources: the configuration_*.py beside each model; Phi-3-Vision and MiniCPM-V keep the tower's settings in code, so only
what the file states is read.
"""

from mmdoctor.architectures.family import Family, audio, text, vision

_NOTHING: dict[str, tuple[str, ...]] = {
    "hidden_size": (),
    "intermediate_size": (),
    "num_hidden_layers": (),
    "num_attention_heads": (),
    "num_channels": (),
}

FAMILIES = (
    Family(
        name="phi3_v",
        model_types=("phi3_v",),
        classes=("Phi3VForCausalLM",),
        text=text(""),
        vision=vision("/img_processor", spelling=_NOTHING, patch_size=(), image_size=()),
        interpolates=True,
    ),
    Family(
        name="phi4_multimodal",
        model_types=("phi4_multimodal", "phi4mm"),
        text=text(""),
        vision=vision("/vision_config"),
        audio=audio("/audio_config"),
        interpolates=True,
    ),
    Family(
        name="minicpmv",
        model_types=("minicpmv", "minicpmo"),
        classes=("MiniCPMV", "MiniCPMO"),
        text=text(""),
        vision=vision("/vision_config", "", spelling=_NOTHING),
        audio=audio("/audio_config"),
        interpolates=True,
    ),
    Family(
        name="molmo",
        model_types=("molmo",),
        classes=("MolmoForCausalLM",),
        text=text("", vocab_size=("embedding_size", "vocab_size")),
        interpolates=True,
        extra_positions=1,
    ),
    Family(
        name="deepseek_vl2",
        model_types=("deepseek_vl_v2", "deepseek_vl2"),
        text=text("/language_config"),
        vision=vision("/vision_config", image_size=()),
        interpolates=True,
    ),
    Family(
        name="kimi_vl",
        model_types=("kimi_vl",),
        text=text("/text_config"),
        vision=vision("/vision_config", image_size=()),
        interpolates=True,
    ),
    Family(
        name="ovis",
        model_types=("ovis", "ovis2_5"),
        text=text("/llm_config"),
        vision=vision("/visual_tokenizer_config/backbone_config", "/vit_config"),
        interpolates=True,
    ),
    Family(
        name="fuyu",
        model_types=("fuyu",),
        text=text("/text_config", "", model_type="persimmon"),
        vision=vision("", spelling=_NOTHING, image_size=()),
        interpolates=True,
    ),
    Family(
        name="bailingmm",
        model_types=("bailingmm",),
        text=text("/llm_config"),
        vision=vision("/vision_config"),
        audio=audio("/audio_config"),
        interpolates=True,
        token_keys={"image": ("image_patch_token",)},
    ),
    Family(
        name="xgenmm",
        model_types=("xgenmm",),
        text=text("/text_config"),
        vision=vision("/vision_encoder_config"),
        interpolates=True,
    ),
    Family(
        name="infimm",
        model_types=("infimm-zephyr", "infimm-vicuna"),
        text=text("/language"),
        vision=vision("/visual", hidden_size=("width",)),
        interpolates=True,
    ),
)
