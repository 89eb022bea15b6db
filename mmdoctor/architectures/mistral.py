"""Pixtral and Mistral 3: a tower with rotary positions (no table), a patch merger in Mistral 3."""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="mistral3",
        model_types=("mistral3", "lighton_ocr"),
        classes=("Mistral3ForConditionalGeneration",),
        text=text(),
        vision=vision(),
        interpolates=True,
    ),
    Family(
        name="pixtral", model_types=("pixtral",), classes=("PixtralVisionModel",), vision=vision(""), interpolates=True
    ),
    Family(
        name="mistral-original",
        model_types=("mistral-original",),
        text=text(""),
        vision=vision("/vision_encoder"),
        interpolates=True,
    ),
)
