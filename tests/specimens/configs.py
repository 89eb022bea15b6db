"""Small configurations shared by many families, and transformers' names that changed between 4.x and 5.x."""

from typing import Any

import torch
import transformers

from tests.specimens.speakers import V5, rows

HIDDEN = 64
SMALL: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
"""The part that is not true to life: width and depth."""


def decoder(tokenizer: Any, model_type: str = "llama", **more: Any) -> dict[str, Any]:
    """A Llama-like text config for `tokenizer`, whose eos, bos and pad ids it takes over."""
    config = SMALL | {
        "model_type": model_type,
        "vocab_size": rows(tokenizer),
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    return config | more


def rope(theta: float, **scaling: Any) -> dict[str, Any]:
    """Rotary embedding parameters, in the layout of this transformers."""
    if V5:
        return {"rope_parameters": {"rope_type": "default"} | scaling | {"rope_theta": theta}}
    return {"rope_theta": theta} | ({"rope_scaling": scaling} if scaling else {})


def clip_tower(image_size: int, patch_size: int, **more: Any) -> dict[str, Any]:
    """CLIP's vision transformer: a class token, and one layer more than a `vision_feature_layer` of -2 uses."""
    return SMALL | {
        "model_type": "clip_vision_model",
        "num_hidden_layers": 3,
        "image_size": image_size,
        "patch_size": patch_size,
        "projection_dim": HIDDEN,
    } | more  # fmt: skip


def siglip_tower(image_size: int, patch_size: int, **more: Any) -> dict[str, Any]:
    """SigLIP's vision transformer: no class token, and no head when a language model reads it."""
    return SMALL | {
        "model_type": "siglip_vision_model",
        "image_size": image_size,
        "patch_size": patch_size,
        "vision_use_head": False,
    } | more  # fmt: skip


NOTHING = 1e-6
"""Below this a weight vanishes in float16."""


def kind(name: str) -> Any:
    """A class of transformers, or its `Fast` twin where only that exists."""
    return getattr(transformers, name, None) or getattr(transformers, name + "Fast")


def generation(model: Any, tokenizer: Any, eos: int | list[int] | None = None, **more: Any) -> Any:
    """`model` with a generation config that stops where the tokenizer says."""
    ids = {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    ids["eos_token_id"] = tokenizer.eos_token_id if eos is None else eos
    model.generation_config = transformers.GenerationConfig(**ids | more)
    return model


def refill(model: Any) -> Any:
    """`model` with noise where the initialisation left zeros or next to nothing, as training would have.

    A new Gemma 3 has an all-zero projector; BLIP-2's tower starts at 1e-10, which is zero in float16: no image would
    change their answer.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() and parameter.abs().max() < NOTHING:
                parameter.normal_(0, 0.02)
    return model
