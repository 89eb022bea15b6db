"""Prefixes that keep a loader from finding the weights."""

from collections import Counter
from collections.abc import Mapping

import msgspec

from mmdoctor.architectures.names import SAVING_WRAPPERS, role_by_name
from mmdoctor.architectures.normalise import LIBRARY
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import MultimodalModel

_NEARLY_ALL = 0.9
"""Share of the names that a prefix must start for it to be a wrapper."""

_ROOTS = (
    "model",
    "language_model",
    "vision_tower",
    "visual",
    "multi_modal_projector",
    "lm_head",
    "text_model",
    "vision_model",
    "transformer",
    "encoder",
    "decoder",
    "embeddings",
)
"""First words of the names of a model that transformers itself saves."""

_TWICE = {"pixio": "encoder", "shieldgemma2": "model"}
"""Types of which a class names a module like the one around it (PixioBackbone, ShieldGemma2ForImageClassification)."""

_AVERAGES = ("student", "teacher", "ema", "model_ema")
"""Copies of a model inside a training checkpoint."""


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """A prefix in front of the names, and how many have it."""

    prefix: str
    count: int
    total: int
    example: Tensor
    replacement: str = ""
    """What should stand there instead."""


def wrapped(tensors: Mapping[str, Tensor], model: MultimodalModel | None) -> Wrapped | None:
    """The prefix that hides all names from a loader, or None.

    What training code leaves (`module.`, `_orig_mod.`) is one anywhere. A word that no model has at its root, or the
    same word twice, is one where config.json says which class of transformers is to be loaded.
    """
    if not tensors:
        return None
    firsts = Counter(name.partition(".")[0] for name in tensors if "." in name)
    if not firsts:
        return None
    first, count = firsts.most_common(1)[0]
    if count < _NEARLY_ALL * len(tensors):
        return None
    example = next(t for name, t in tensors.items() if name.startswith(f"{first}."))
    if first in SAVING_WRAPPERS or first in _AVERAGES:
        prefix = "base_model.model." if example.name.startswith("base_model.model.") else f"{first}."
        return Wrapped(prefix=prefix, count=count, total=len(tensors), example=example)
    if model is None or model.remote_code or model.config.model_type not in class_defaults():
        return None
    inner = Counter(name.split(".")[1] for name in tensors if name.startswith(f"{first}.") and name.count(".") > 1)
    if inner[first] >= _NEARLY_ALL * len(tensors) and _TWICE.get(str(model.config.model_type)) != first:
        return Wrapped(
            prefix=f"{first}.{first}.",
            count=inner[first],
            total=len(tensors),
            example=next(t for name, t in tensors.items() if name.startswith(f"{first}.{first}.")),
            replacement=f"{first}.",
        )
    if not model.known or model.family == LIBRARY or not _is_alien(first, model):
        return None
    if all(_is_alien(word, model) for word in inner):
        return None
    return Wrapped(prefix=f"{first}.", count=count, total=len(tensors), example=example)


def _is_alien(word: str, model: MultimodalModel) -> bool:
    """Whether no class of the library calls its outermost module so."""
    if word in _ROOTS or role_by_name(word) is not None:
        return False
    types = {str(model.config.model_type), *(p.model_type or "" for p in (model.text, model.vision, model.audio) if p)}
    plain = {t.replace("-", "_").replace(".", "_") for t in types}
    bases = {t.replace("-", "_") for t in class_defaults()} | {
        "backbone",
        "vlm",
        "deberta",
        "timm_model",
        "thinker",
        "donut",
    }
    return word not in plain and word not in bases
