"""Eyes alone."""

import transformers as t

from tests.specimens.configs import SMALL
from tests.specimens.constants import BICUBIC, BILINEAR, HALVES, IMAGENET, square
from tests.specimens.recipe import Made, recipe

LABELS = {0: "cat", 1: "dog", 2: "train"}
NAMES = {"id2label": LABELS, "label2id": {name: number for number, name in LABELS.items()}}
CLASSIFIES = {"auto": "AutoModelForImageClassification", "feed": "pixels", "dtype": "float32"}
EMBEDS = {"auto": "AutoModel", "feed": "pixels", "dtype": "float32"}
HEADS = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}


@recipe("vit", **CLASSIFIES)
def vit() -> Made:
    """224 pixels, patches of 16."""
    config = t.ViTConfig(**SMALL, image_size=224, patch_size=16, **NAMES)
    images = t.ViTImageProcessor(size=square(224), resample=BILINEAR, **HALVES)
    return Made(model=t.ViTForImageClassification(config), processors=(images,))


@recipe("deit", **CLASSIFIES)
def deit() -> Made:
    """A class token and a distillation token, resized to 256 and cropped to 224."""
    config = t.DeiTConfig(**SMALL, image_size=224, patch_size=16, **NAMES)
    images = t.DeiTImageProcessor(size=square(256), crop_size=square(224), resample=BICUBIC, **IMAGENET)
    return Made(model=t.DeiTForImageClassificationWithTeacher(config), processors=(images,))


def _dino_images() -> t.BitImageProcessor:
    return t.BitImageProcessor(size={"shortest_edge": 256}, crop_size=square(224), resample=BICUBIC, **IMAGENET)


@recipe("dinov2", **EMBEDS)
def dinov2() -> Made:
    """Positions for 518 pixels, used at 224: they are interpolated, and that is as published."""
    config = t.Dinov2Config(**HEADS, mlp_ratio=2, image_size=518, patch_size=14)
    return Made(model=t.Dinov2Model(config), processors=(_dino_images(),))


@recipe("dinov2_with_registers", **EMBEDS)
def dinov2_with_registers() -> Made:
    """Four tokens more that hold nothing of the image."""
    config = t.Dinov2WithRegistersConfig(**HEADS, mlp_ratio=2, image_size=518, patch_size=14, num_register_tokens=4)
    return Made(model=t.Dinov2WithRegistersModel(config), processors=(_dino_images(),))
