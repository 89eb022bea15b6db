"""Idefics 2, Idefics 3 and SmolVLM: a SigLIP tower whose table covers the largest image.

Smaller images take the positions that lie at the same fraction of the side (transformers
models/idefics3/modeling_idefics3.py, Idefics3VisionEmbeddings.forward).
"""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="idefics2",
        model_types=("idefics2",),
        text=text(),
        vision=vision(),
        extra_positions=0,
        interpolates=True,
    ),
    Family(
        name="idefics3",
        model_types=("idefics3", "smolvlm"),
        text=text(),
        vision=vision(),
        extra_positions=0,
        interpolates=True,
    ),
    Family(name="granite_docling", model_types=("granite_docling",), text=text(), vision=vision(), interpolates=True),
    Family(
        name="idefics",
        model_types=("idefics",),
        text=text(""),
        vision=vision("/vision_config", hidden_size=("embed_dim",)),
        extra_positions=1,
        interpolates=True,
    ),
)
