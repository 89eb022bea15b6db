"""Image encoders and classifiers on their own, and single-stream models that read patches and words in one encoder.

Rows of the position table beyond one a patch: ViT, BEiT and DINOv2 have a class token, DeiT a distillation token too
(transformers models/deit/modeling_deit.py, DeiTEmbeddings); the registers of dinov2_with_registers have no position.
"""

from mmdoctor.architectures.family import Family, text, vision

FAMILIES = (
    Family(name="vit", model_types=("vit", "vit_mae", "vit_msn"), vision=vision(""), extra_positions=1),
    Family(name="deit", model_types=("deit",), vision=vision(""), extra_positions=2),
    Family(
        name="dinov2",
        model_types=("dinov2", "dinov2_with_registers"),
        vision=vision(""),
        extra_positions=1,
        interpolates=True,
    ),
    Family(name="dinov3", model_types=("dinov3_vit",), vision=vision(""), interpolates=True),
    Family(name="beit", model_types=("beit", "data2vec-vision"), vision=vision("")),
    Family(name="ijepa", model_types=("ijepa",), vision=vision(""), extra_positions=0),
    Family(
        name="pyramid",
        model_types=(
            (
                "swin",
                "swinv2",
                "donut-swin",
                "maskformer-swin",
                "convnext",
                "convnextv2",
                "resnet",
                "regnet",
                "cvt",
                "pvt",
                "pvt_v2",
                "segformer",
                "mobilevit",
                "mobilevitv2",
                "mobilenet_v1",
                "mobilenet_v2",
                "efficientnet",
                "focalnet",
                "dinat",
                "levit",
                "poolformer",
                "swiftformer",
                "hiera",
                "bit",
                "timm_wrapper",
            )
        ),
        vision=vision(
            "",
            hidden_size=(),
            num_hidden_layers=(),
            num_attention_heads=(),
            patch_size=(),
            intermediate_size=(),
        ),
        interpolates=True,
    ),
    Family(
        name="vilt",
        model_types=("vilt",),
        text=text("", decoder=False),
        vision=vision(""),
        extra_positions=1,
        interpolates=True,
    ),
    Family(
        name="layoutlmv3",
        model_types=("layoutlmv3",),
        text=text("", decoder=False),
        vision=vision(""),
        extra_positions=1,
    ),
    Family(
        name="bridgetower",
        model_types=("bridgetower",),
        text=text("/text_config", decoder=False),
        vision=vision("/vision_config"),
        extra_positions=1,
    ),
    Family(
        name="vision-encoder-decoder",
        model_types=("vision-encoder-decoder",),
        text=text("/decoder"),
        vision=vision("/encoder"),
    ),
    Family(
        name="trocr",
        model_types=("trocr",),
        text=text("", num_hidden_layers=("decoder_layers",), num_attention_heads=("decoder_attention_heads",)),
    ),
)
