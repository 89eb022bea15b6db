"""Numbers that the published checkpoints of a family carry in their preprocessor."""

from typing import Any

OPENAI = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
"""OpenAI CLIP, and all that stand on its tower: openai/clip-vit-base-patch32, preprocessor_config.json."""

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
"""ImageNet statistics: facebook/dinov2-base, OpenGVLab/InternVL3-1B-hf, microsoft/Florence-2-base."""

HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
"""Pixels to [-1, 1]: google/siglip-base-patch16-224, google/vit-base-patch16-224, google/gemma-3-4b-it."""

BILINEAR, BICUBIC = 2, 3
"""`PIL.Image.Resampling`."""


def square(side: int) -> dict[str, int]:
    """A fixed size in pixels."""
    return {"height": side, "width": side}


def shortest(side: int, crop: int | None = None) -> dict[str, Any]:
    """Resize the shorter side, then cut the centre out."""
    return {"size": {"shortest_edge": side}, "crop_size": square(crop or side), "resample": BICUBIC}
