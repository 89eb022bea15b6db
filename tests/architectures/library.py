"""Models of transformers on the meta device: real names and shapes of any type, without memory."""

import json
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, CONFIG_MAPPING_NAMES

_MAPPINGS = [
    "MODEL_FOR_MULTIMODAL_LM_MAPPING",
    "MODEL_FOR_CAUSAL_LM_MAPPING",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING",
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING",
    "MODEL_FOR_MASKED_LM_MAPPING",
    "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING",
    "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING",
    "MODEL_FOR_PRETRAINING_MAPPING",
    "MODEL_MAPPING",
]


def types() -> Iterator[str]:
    """Every model type that the library has."""
    yield from CONFIG_MAPPING_NAMES


def build(model_type: str) -> tuple[dict[str, Any], Any]:
    """A type with its default sizes: what config.json would hold, and the model on the meta device.

    The width that a tower hands on is set to the language model's: the library's own defaults do not fit each other.

    Raises:
        LookupError: no class of the library builds this type.
    """
    config = CONFIG_MAPPING[model_type]()
    for part in (config, getattr(config, "thinker_config", None), getattr(config, "vlm_config", None)):
        _join(part, model_type)
    model_class = _class_of(config)
    make = getattr(model_class, "_from_config", model_class)
    with torch.device("meta"):
        model = make(config)
    value = json.loads(json.dumps(config.to_dict(), default=str))
    return {**value, "model_type": model_type, "architectures": [model_class.__name__]}, model


def _join(part: Any, model_type: str) -> None:
    text, vision = getattr(part, "text_config", None), getattr(part, "vision_config", None)
    width = getattr(text, "hidden_size", None)
    sound = getattr(part, "audio_config", None)
    if width is not None and hasattr(sound, "output_dim"):
        sound.output_dim = width
    if vision is None or width is None:
        return
    if hasattr(vision, "out_hidden_size"):
        vision.out_hidden_size = width
    if model_type == "janus":
        vision.projection_dim = width
    if model_type in ("qwen2_vl", "colqwen2"):
        vision.hidden_size = width
    if model_type == "molmo2":
        part.adapter_config.text_hidden_size = width


def _class_of(config: Any) -> Any:
    for name in _MAPPINGS:
        mapping = getattr(modeling_auto, name, None)
        try:
            found = mapping[type(config)] if mapping is not None else None
        except KeyError:
            continue
        if found is not None:
            return found[0] if isinstance(found, tuple) else found
    raise LookupError(f"transformers {transformers.__version__} has no model class for {config.model_type}")


def shapes_of(model: Any) -> dict[str, tuple[int, ...]]:
    """Names and shapes as they would be saved, tied tensors once."""
    tied = set(model.get_expanded_tied_weights_keys(all_submodels=True) or {})
    return {name: tuple(t.shape) for name, t in model.state_dict().items() if name not in tied}


def parts_by_module(model: Any) -> dict[str, str]:
    """Prefix of a submodule to `vision`, `audio` or `text`, by the section of the configuration it was built from."""
    sections = {
        id(getattr(owner, name)): kind
        for owner in (model.config, getattr(model.config, "thinker_config", None))
        for kind, name in (("vision", "vision_config"), ("audio", "audio_config"), ("text", "text_config"))
        if getattr(owner, name, None) is not None
    }
    found: dict[str, str] = {}
    for prefix, module in model.named_modules():
        kind = sections.get(id(getattr(module, "config", None)))
        inside = any(prefix.startswith(f"{p}.") for p in found)
        if kind and prefix and not inside and isinstance(module, transformers.PreTrainedModel):
            found[prefix] = kind
    return found
