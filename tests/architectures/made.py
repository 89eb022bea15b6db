"""Checkpoints and configurations made by hand: names and shapes only, no files."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import mmdoctor.architectures as architectures
from mmdoctor.architectures import attention, describe, embeddings, packed, parts
from mmdoctor.check import Check
from mmdoctor.engine import Engine, NotApplicable, Ran
from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint, Tensor, WeightFile
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.dtypes import dtype as known_dtype
from mmdoctor.facts.model import AudioModel, ModelConfig, MultimodalModel, SpecialTokenIds, TextModel, VisionModel
from mmdoctor.facts.parts import AttentionBlocks, Description, Embeddings, LayerStacks, Parts, Role
from mmdoctor.facts.quantisation import PackedModules
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Finding

Shapes = Mapping[str, tuple[int, ...]]

PROVIDERS = {
    MultimodalModel: architectures.multimodal_model,
    TextModel: architectures.text_model,
    VisionModel: architectures.vision_model,
    AudioModel: architectures.audio_model,
    SpecialTokenIds: architectures.special_token_ids,
    Parts: parts.parts,
    LayerStacks: parts.layer_stacks,
    AttentionBlocks: attention.attention_blocks,
    Embeddings: embeddings.embeddings,
    Description: describe.describe,
    PackedModules: packed.packed_modules,
}


def tensor(name: str, shape: tuple[int, ...], dtype: str = "BF16") -> Tensor:
    size = int(math.prod(shape) * known_dtype(dtype).bits // 8)
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), file="model.safetensors", nbytes=size)


def checkpoint(shapes: Shapes, dtypes: Mapping[str, str] | None = None, file: str = "model.safetensors") -> Checkpoint:
    """A checkpoint of these tensors; `dtypes` names those that are not BF16."""
    made = {name: tensor(name, shape, (dtypes or {}).get(name, "BF16")) for name, shape in shapes.items()}
    weights = WeightFile(path=file, kind=FileKind.SAFETENSORS, size=0, tensors=tuple(made.values()))
    return Checkpoint(files=(weights,), tensors=made)


def config(value: Mapping[str, Any]) -> ModelConfig:
    """What config.json would be read as."""
    model_type, architectures_ = value.get("model_type"), value.get("architectures")
    return ModelConfig(
        document=JsonDocument(file="config.json", value=value),
        model_type=model_type if isinstance(model_type, str) else None,
        architectures=tuple(architectures_) if isinstance(architectures_, list) else (),
        transformers_version=value.get("transformers_version"),
    )


def engine(weights: Checkpoint, value: Mapping[str, Any] | None = None, *given: object) -> Engine:
    """An engine that knows these tensors and this configuration."""
    known: dict[type, object] = {Checkpoint: weights, CompleteCheckpoint: CompleteCheckpoint(checkpoint=weights)}
    if value is not None:
        known[ModelConfig] = config(value)
        known[Documents] = Documents(by_file={"config.json": config(value).document})
    known |= {type(fact): fact for fact in given}
    return Engine(PROVIDERS, known)


def examine(
    rule: Check[...], shapes: Shapes, value: Mapping[str, Any] | None = None, *given: object, **how: Any
) -> tuple[Finding, ...]:
    """What the rule finds in these tensors under this configuration; it must have run or not apply."""
    outcome = engine(checkpoint(shapes, **how), value, *given).run([rule])[rule.code]
    if isinstance(outcome, Ran):
        return outcome.findings
    assert not hasattr(outcome, "traceback"), outcome
    return ()


def parts_of(shapes: Shapes) -> Parts:
    return parts.parts(checkpoint(shapes))


def role_of(found: Parts, name: str) -> Role:
    """The role of the part that a tensor is in."""
    (role,) = {part.role for part in found.parts for t in part.tensors if t.name == name}
    return role


def blocks_of(shapes: Shapes) -> AttentionBlocks:
    return attention.attention_blocks(parts_of(shapes))


def or_none(call: Any, *arguments: Any) -> Any:
    """The provider's fact, or None where it does not apply."""
    try:
        return call(*arguments)
    except NotApplicable:
        return None


def llama(
    prefix: str = "model.",
    *,
    layers: int = 3,
    hidden: int = 64,
    heads: int = 4,
    kv: int = 2,
    size: int = 16,
    vocabulary: int = 100,
    head: str | None = "lm_head.weight",
    norms: bool = False,
) -> dict[str, tuple[int, ...]]:
    """A Llama-like language model."""
    shapes: dict[str, tuple[int, ...]] = {f"{prefix}embed_tokens.weight": (vocabulary, hidden)}
    for i in range(layers):
        layer = f"{prefix}layers.{i}."
        shapes |= {
            f"{layer}self_attn.q_proj.weight": (heads * size, hidden),
            f"{layer}self_attn.k_proj.weight": (kv * size, hidden),
            f"{layer}self_attn.v_proj.weight": (kv * size, hidden),
            f"{layer}self_attn.o_proj.weight": (hidden, heads * size),
            f"{layer}mlp.gate_proj.weight": (2 * hidden, hidden),
            f"{layer}mlp.up_proj.weight": (2 * hidden, hidden),
            f"{layer}mlp.down_proj.weight": (hidden, 2 * hidden),
            f"{layer}input_layernorm.weight": (hidden,),
            f"{layer}post_attention_layernorm.weight": (hidden,),
        }
        if norms:
            shapes |= {f"{layer}self_attn.q_norm.weight": (size,), f"{layer}self_attn.k_norm.weight": (size,)}
    shapes[f"{prefix}norm.weight"] = (hidden,)
    if head is not None:
        shapes[head] = (vocabulary, hidden)
    return shapes


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 100,
    "tie_word_embeddings": False,
}


def clip_tower(
    prefix: str = "vision_tower.", *, layers: int = 3, width: int = 32, patch: int = 14, positions: int = 17
) -> dict[str, tuple[int, ...]]:
    """A CLIP vision tower; 17 positions are 56 pixels in patches of 14 and a class token."""
    shapes: dict[str, tuple[int, ...]] = {
        f"{prefix}embeddings.class_embedding": (width,),
        f"{prefix}embeddings.patch_embedding.weight": (width, 3, patch, patch),
        f"{prefix}embeddings.position_embedding.weight": (positions, width),
        f"{prefix}pre_layrnorm.weight": (width,),
        f"{prefix}post_layernorm.weight": (width,),
    }
    for i in range(layers):
        layer = f"{prefix}encoder.layers.{i}."
        shapes |= {
            f"{layer}self_attn.{name}.weight": (width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")
        }
        shapes |= {f"{layer}mlp.fc1.weight": (2 * width, width), f"{layer}mlp.fc2.weight": (width, 2 * width)}
        shapes |= {f"{layer}layer_norm1.weight": (width,), f"{layer}layer_norm2.weight": (width,)}
    return shapes


def llava() -> dict[str, tuple[int, ...]]:
    """LLaVA 1.5 in small."""
    return {
        **clip_tower(),
        "multi_modal_projector.linear_1.weight": (64, 32),
        "multi_modal_projector.linear_2.weight": (64, 64),
        **llama("language_model.model.", head="language_model.lm_head.weight"),
    }


def llava_config(**changes: Any) -> dict[str, Any]:
    """The configuration of `llava()`; a key like `vision_config__image_size` is a nested value, None removes it."""
    value: dict[str, Any] = {
        "model_type": "llava",
        "architectures": ["LlavaForConditionalGeneration"],
        "image_token_index": 99,
        "vision_feature_layer": -2,
        "tie_word_embeddings": False,
        "text_config": {k: v for k, v in LLAMA.items() if k != "architectures"},
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
        },
    }
    return changed(value, **changes)


def changed(value: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy with other values; `a__b` is b in the section a, and None takes the key away."""
    copy = {k: dict(v) if isinstance(v, dict) else v for k, v in value.items()}
    for path, new in changes.items():
        *sections, key = path.split("__")
        place = copy
        for section in sections:
            place = place[section]
        if new is None:
            place.pop(key, None)
        else:
            place[key] = new
    return copy


def without(shapes: Shapes, *fragments: str) -> dict[str, tuple[int, ...]]:
    """The tensors whose names contain none of the fragments; each fragment must have matched."""
    assert all(any(f in name for name in shapes) for f in fragments), fragments
    return {name: shape for name, shape in shapes.items() if not any(f in name for f in fragments)}


def renamed(shapes: Shapes, old: str, new: str) -> dict[str, tuple[int, ...]]:
    """The tensors with a part of their names replaced."""
    return {name.replace(old, new): shape for name, shape in shapes.items()}


def each_role(found: Parts) -> Iterator[tuple[str, Role]]:
    """(tensor name, role) of every tensor."""
    for part in found.parts:
        for t in part.tensors:
            yield t.name, part.role
