"""Image and text encoders trained against each other: CLIP, SigLIP and their relatives, also with audio.

Positions: a class token in CLIP's tower (transformers models/clip/modeling_clip.py, CLIPVisionEmbeddings), none in
SigLIP's (models/siglip/modeling_siglip.py, SiglipVisionEmbeddings).
"""

from mmdoctor.architectures.family import Family, audio, text, vision

FAMILIES = (
    Family(
        name="clip",
        model_types=("clip", "chinese_clip", "altclip", "metaclip_2", "xclip"),
        classes=("CLIPModel",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="clip",
        model_types=("clip_text_model", "siglip_text_model", "siglip2_text_model"),
        classes=("CLIPTextModel", "CLIPTextModelWithProjection", "SiglipTextModel"),
        text=text("/text_config", "", decoder=False),
    ),
    Family(
        name="clip",
        model_types=("clip_vision_model",),
        classes=("CLIPVisionModel", "CLIPVisionModelWithProjection"),
        vision=vision("/vision_config", ""),
        extra_positions=1,
    ),
    Family(
        name="clipseg",
        model_types=("clipseg",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=1,
        interpolates=True,
    ),
    Family(
        name="siglip",
        model_types=("siglip",),
        classes=("SiglipModel",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=0,
    ),
    Family(
        name="siglip",
        model_types=("siglip_vision_model",),
        classes=("SiglipVisionModel",),
        vision=vision("/vision_config", ""),
        extra_positions=0,
    ),
    Family(
        name="groupvit",
        model_types=("groupvit",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config", num_hidden_layers=()),
        extra_positions=0,
    ),
    Family(
        name="siglip2",
        model_types=("siglip2", "siglip2_vision_model"),
        classes=("Siglip2Model",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config", "", image_size=()),
        extra_positions=0,
        interpolates=True,
    ),
    Family(
        name="align",
        model_types=("align",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config", patch_size=(), image_size=()),
    ),
    Family(
        name="owlvit",
        model_types=("owlvit", "owlv2"),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=1,
        interpolates=True,
    ),
    Family(
        name="flava",
        model_types=("flava",),
        text=text("/text_config", decoder=False),
        vision=vision("/image_config"),
        extra_positions=1,
    ),
    Family(
        name="clap",
        model_types=("clap",),
        text=text("/text_config", decoder=False),
        audio=audio("/audio_config", hidden_size=("hidden_size",), num_hidden_layers=(), num_attention_heads=()),
    ),
    Family(
        name="dual-encoder",
        model_types=("vision-text-dual-encoder",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
    ),
)
