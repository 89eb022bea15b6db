"""InternVL, in the original layout (`llm_config`, `force_image_size`) and in the `-hf` one.

The class token stands in the tower's position table (OpenGVLab/InternVL, modeling_intern_vit.py;
transformers models/internvl/modeling_internvl.py, InternVLVisionEmbeddings).
"""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(name="internvl", model_types=("internvl",), text=text(), vision=vision(), extra_positions=1),
    Family(
        name="internvl_chat",
        model_types=("internvl_chat",),
        classes=("InternVLChatModel",),
        text=text("/llm_config"),
        vision=vision("/vision_config"),
        extra_positions=1,
        interpolates=True,
    ),
    Family(
        name="internvl_chat",
        model_types=("intern_vit_6b",),
        classes=("InternVisionModel",),
        vision=vision(""),
        extra_positions=1,
        interpolates=True,
    ),
)
