"""Google's PaliGemma and Gemma 3: a SigLIP tower, one linear projector, a Gemma with its own head_dim."""

from mmdoctor.architectures.family import Family, audio, text, vision

FAMILIES = (
    Family(name="paligemma", model_types=("paligemma",), text=text(), vision=vision(), extra_positions=0),
    Family(
        name="colpali",
        model_types=("colpali",),
        text=text("/vlm_config/text_config"),
        vision=vision("/vlm_config/vision_config"),
        extra_positions=0,
    ),
    Family(
        name="gemma3",
        model_types=("gemma3", "shieldgemma2"),
        classes=("Gemma3ForConditionalGeneration",),
        text=text(),
        vision=vision(),
        extra_positions=0,
    ),
    Family(
        name="gemma3n",
        model_types=("gemma3n", "gemma4", "gemma4_unified"),
        text=text(),
        vision=vision(),
        audio=audio("/audio_config"),
        interpolates=True,
    ),
)
