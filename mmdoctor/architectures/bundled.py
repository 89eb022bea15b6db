"""mmdoctor's own reference model, as somebody's copy of it: `mmdoctor reference export`, `mmdoctor reference train`."""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="mmdoctor_reference",
        model_types=("mmdoctor_reference",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
)
