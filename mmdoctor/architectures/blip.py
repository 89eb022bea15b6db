"""BLIP, BLIP-2, InstructBLIP (a Q-Former between tower and language model), Kosmos-2, GIT, Florence-2, Pix2Struct."""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(
        name="blip",
        model_types=("blip",),
        text=text("/text_config"),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="blip-2",
        model_types=("blip-2", "instructblip", "instructblipvideo"),
        text=text("/text_config"),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="kosmos-2",
        model_types=("kosmos-2",),
        text=text(
            "/text_config",
            hidden_size=("embed_dim",),
            num_attention_heads=("attention_heads",),
            num_hidden_layers=("layers",),
        ),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="kosmos-2.5",
        model_types=("kosmos-2.5",),
        text=text(
            "/text_config",
            hidden_size=("embed_dim",),
            num_attention_heads=("attention_heads",),
            num_hidden_layers=("layers",),
        ),
        vision=vision("/vision_config", image_size=(), patch_size=("patch_size",)),
        interpolates=True,
    ),
    Family(
        name="git",
        model_types=("git",),
        text=text(""),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="florence2",
        model_types=("florence2",),
        text=text("/text_config", model_type="bart"),
        vision=vision(
            "/vision_config",
            hidden_size=(),
            num_hidden_layers=(),
            num_attention_heads=(),
            patch_size=(),
            image_size=(),
        ),
        interpolates=True,
    ),
    Family(
        name="pix2struct",
        model_types=("pix2struct",),
        text=text("/text_config"),
        vision=vision("/vision_config", image_size=()),
        interpolates=True,
    ),
)
