"""Weights that a model of this kind cannot be without, by patterns: layers, halves of modules, whole parts."""

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from mmdoctor.architectures.attention import COMPANIONS, module_of
from mmdoctor.architectures.normalise import LIBRARY
from mmdoctor.architectures.parts import split_layer
from mmdoctor.architectures.roles import TOKEN_TABLE
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import MultimodalModel, TextModel
from mmdoctor.facts.parts import AttentionBlock, LayerStack, Part, Parts, Role
from mmdoctor.location import Location, Reading

_BASIC = re.compile(
    r"(?:^|\.)(?:[qkvo]_proj|out_proj|qkv|qkv_proj|query|key|value|query_key_value|c_attn|gate_proj|up_proj|down_proj"
    r"|gate_up_proj|fc1|fc2|linear_fc[12]|dense|c_fc|c_proj|proj|input_layernorm|post_attention_layernorm"
    r"|layer_norm[12]"
    r"|layernorm_(?:before|after)|norm[12]|ln_[12]|attn_(?:q|k|v|output|norm)|ffn_(?:up|down|gate|norm)|w[qkvo123]"
    r"|self_attn_layer_norm|final_layer_norm|attention_norm|(?:pre|post)_feedforward_layernorm)$"
)
"""Modules that no layer of a transformer has by chance."""

_OPTIONAL = re.compile(
    r"cross|encoder_attn|EncDec|bias_table|relative|experts|rotary|inv_freq|lora_|gate_attn|gate_ffn"
)
_KEYS_AND_VALUES = re.compile(r"(?:^|\.)(?:k_proj|v_proj|k_norm|v_norm|attn_k|attn_v|attn_k_norm|key|value)$")
_HALVES = (
    (frozenset({"gate_proj", "up_proj"}), "down_proj"),
    (frozenset({"gate_up_proj"}), "down_proj"),
    (frozenset({"down_proj"}), "up_proj"),
    (frozenset({"fc1"}), "fc2"),
    (frozenset({"fc2"}), "fc1"),
    (frozenset({"linear_fc1"}), "linear_fc2"),
    (frozenset({"linear_fc2"}), "linear_fc1"),
    (frozenset({"dense_h_to_4h"}), "dense_4h_to_h"),
    (frozenset({"dense_4h_to_h"}), "dense_h_to_4h"),
)
"""Weights of a feed-forward block that cannot be all it has, and what is missing then."""

_FEED_FORWARD = re.compile(r"^(?:mlp|ffn|feed_forward|ff)(?=\.)")


def modules_of(members: Mapping[str, Tensor]) -> frozenset[str]:
    """Modules with weights below a layer: packed ones under the names that they had before."""
    found = set()
    for name in members:
        module, parameter = module_of(name)
        if (
            parameter == "weight"
            or parameter.split(".")[0] in COMPANIONS
            or parameter.startswith(("quant_state", "weight."))
        ):
            found.add(module)
        elif parameter != "bias" and not parameter.startswith("rel_pos"):
            found.add(name)
    return frozenset(found)


def holes(stack: LayerStack, expected: Reading[int] | None) -> tuple[int, ...]:
    """Layer indices that are missing: up to the configured number, or without one between those present."""
    present = set(stack.indices)
    if expected is not None:
        return tuple(i for i in range(min(expected.value, 100_000)) if i not in present)
    first, last = min(present), max(present)
    return tuple(i for i in range(first, last) if i not in present) if last - first < 100_000 else ()


class Thin(msgspec.Struct, frozen=True, kw_only=True):
    """Layers that lack modules which their siblings have."""

    stack: LayerStack
    layers: tuple[int, ...]
    missing: tuple[str, ...]
    sibling: int


def thin_layers(stack: LayerStack, text: TextModel | None) -> Iterator[Thin]:
    """Layers whose modules are some of those of other layers, and lack basic ones."""
    kinds: dict[frozenset[str], list[int]] = {}
    for index in stack.indices:
        kinds.setdefault(modules_of(stack.members[index]), []).append(index)
    for kind, layers in kinds.items():
        fuller = [(other, others) for other, others in kinds.items() if kind < other and len(layers) <= len(others)]
        if not fuller:
            continue
        other, others = max(fuller, key=lambda pair: len(pair[1]))
        missing = {m for m in other - kind if not _OPTIONAL.search(m)}
        if _shares_keys(missing, layers, stack, text) or (missing == {"attn_norm"} and "mlp_norm" in kind):
            continue  # ModernBERT's first layer has no norm of its own
        lone = len(layers) == 1 and len(others) >= _ENOUGH
        if any(_BASIC.search(m) and (_is_partial(m, kind) or (lone and _BLOCK.match(m))) for m in missing):
            yield Thin(stack=stack, layers=tuple(layers), missing=tuple(sorted(missing)), sibling=others[0])


_BLOCK = re.compile(r"(?:self_attn|attn|attention|self_attention|mlp|feed_forward|ffn)\.")
_ENOUGH = 3
"""Siblings that make one layer without a whole block suspicious; pruned models leave blocks out in many layers."""


def _is_partial(module: str, kind: frozenset[str]) -> bool:
    """Whether the layer has other modules of the same block, or the missing one is a norm of the layer itself."""
    parent, _, _ = module.rpartition(".")
    block = {"output": "intermediate", "intermediate": "output"}.get(parent, parent)  # BERT's feed-forward block
    return not parent or any(m.startswith((f"{parent}.", f"{block}.")) for m in kind)


def _shares_keys(missing: set[str], layers: list[int], stack: LayerStack, text: TextModel | None) -> bool:
    """Whether the layers only lack keys and values and take them from others: the last ones, or as configured."""
    if not missing or not all(_KEYS_AND_VALUES.search(m) for m in missing):
        return False
    if text is not None and text.kv_shared_layers is not None:
        return True
    tail = stack.indices[-len(layers) :]
    both = {bool(re.search(r"k_|key", m)) for m in missing}
    return tuple(layers) == tail and len(both) == 2 and len(layers) > 1


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """A module of which a part is missing."""

    module: str
    """Name of the module, with a trailing dot."""
    has: str
    lacks: str
    at: Location


def half_modules(
    blocks: Iterable[AttentionBlock], stacks: Iterable[LayerStack], text: TextModel | None
) -> Iterator[Half]:
    """Attention with two of queries, keys and values, and feed-forward blocks with one of their two layers."""
    keys_are_values = text is not None and (text.model_type or "").startswith(("gemma4", "embedding_gemma"))
    for block in blocks:
        present = {field: getattr(block, field) for field in ("q", "k", "v")}
        have = [field for field, tensor in present.items() if tensor is not None]
        if len(have) != 2 or block.o is None or block.latent or block.quantised:
            continue
        if block.qkv is not None or block.kv is not None:
            continue
        lacking = next(field for field in present if field not in have)
        if lacking == "v" and keys_are_values:
            continue
        yield Half(
            module=block.prefix,
            has=" and ".join(_leaf(present[field]) for field in have),
            lacks={"q": "queries", "k": "keys", "v": "values"}[lacking],
            at=block.at,
        )
    for stack in stacks:
        for members in stack.members.values():
            yield from _half_feed_forwards(members)


def _leaf(tensor: Tensor) -> str:
    return module_of(tensor.name)[0].rpartition(".")[2]


def _half_feed_forwards(members: Mapping[str, Tensor]) -> Iterator[Half]:
    parents: dict[str, dict[str, Tensor]] = {}
    for name, tensor in members.items():
        module, parameter = module_of(name)
        block = _FEED_FORWARD.search(module)
        if block is not None and parameter != "bias":
            parents.setdefault(module[: block.end()], {})[module[block.end() :].split(".")[1]] = tensor
    for parent, leaves in parents.items():
        linear = frozenset(leaf for leaf, tensor in leaves.items() if len(tensor.shape) == 2)
        for has, lacks in _HALVES:
            if linear == has:
                tensor = leaves[min(has)]
                prefix = tensor.name[: tensor.name.rfind(f"{parent}.") + len(parent) + 1]
                yield Half(module=prefix, has=" and ".join(sorted(has)), lacks=lacks, at=tensor.at)


def main_stack(stacks: Iterable[LayerStack], role: Role, word: str | None = None) -> LayerStack | None:
    """The largest stack of a role, of those with a word such as `decoder` or `text_decoder` if one is given."""
    fitting = [s for s in stacks if s.role is role and (word is None or is_half(s.prefix, word))]
    return max(
        fitting,
        key=lambda s: (len(s.members), sum(t.numel for m in s.members.values() for t in m.values())),
        default=None,
    )


def is_half(name: str, word: str) -> bool:
    """Whether the name leads through a module that is called `word`, or something before it, as in `text_encoder`."""
    return any(w == word or w.endswith(f"_{word}") for w in name.split("."))


_NORMED_FIRST = re.compile(r"^(?:input_layernorm|attention_norm|attn_norm|ln_1)$")
_NORM = re.compile(r"norm|(?:^|\.)ln_")


def lacks_final_norm(stack: LayerStack, part: Part) -> bool:
    """Whether the layers of a text model normalise first and no norm stands outside the layers."""
    layer = stack.members[stack.indices[0]]
    if not any(_NORMED_FIRST.match(module) for module in modules_of(layer)):
        return False
    outside = [t.name for t in part.tensors if split_layer(t.name) is None and not t.name.endswith(".bias")]
    if any("tokens_embed" in name for name in outside):  # GPT-1 normalises last and calls it `ln_1` all the same
        return False
    return any(TOKEN_TABLE.search(name) for name in outside) and not any(_NORM.search(name) for name in outside)


def lacks_embedding(parts: Parts, vocabulary: int) -> bool:
    """Whether the text has layers but no token table, neither by name nor by its rows."""
    tensors = [t for role in (Role.TEXT, Role.FUSION) for part in parts.of(role) for t in part.tensors]
    if any(TOKEN_TABLE.search(t.name) for t in tensors):
        return False
    tables = (t for t in tensors if len(t.shape) == 2 and split_layer(t.name) is None and "pos" not in t.name)
    return not any(vocabulary <= t.shape[0] <= vocabulary + _PADDED for t in tables)


_PADDED = 1024
"""Rows by which a table may exceed the vocabulary."""


def lacks_patches(part: Part) -> bool:
    """Whether a vision tower has layers but nothing that reads pixels."""
    return not any(len(t.shape) >= 4 or "patch" in t.name or "conv" in t.name for t in part.tensors)


_GENERATES = ("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq")
_WITHOUT_PROJECTOR = (
    "blip",
    "fuyu",
    "granite_docling",
    "ovis2",
    "pix2struct",
    "speech_to_text",
    "whisper",
    "vision-encoder-decoder",
    "speech-encoder-decoder",
    "trocr",
    "mistral-original",
    "llava-original",
    "molmo",
    "ovis",
    "bailingmm",
    "xgenmm",
    "infimm",
)
"""Families in which nothing stands between tower and language model, or in files or under names of its own."""


_CONTRASTIVE = ("clip", "siglip", "siglip2", "flava", "dual-encoder", "clap", "align", "owlvit", "clipseg", "groupvit")
"""Families whose whole model has an encoder for each modality."""


def _needs_all(architecture: str, model: MultimodalModel) -> bool:
    """Whether a class has every part that the configuration describes."""
    if model.family in _CONTRASTIVE:
        return not re.search(r"Text|Vision|Audio|Image", architecture.removeprefix("VisionTextDualEncoder"))
    return architecture.endswith(_GENERATES)


def generates(model: MultimodalModel) -> bool:
    """Whether the class that the configuration names writes text."""
    return any(name.endswith(_GENERATES) for name in model.config.architectures)


def missing_parts(parts: Parts, model: MultimodalModel) -> Iterator[tuple[str, Location]]:
    """Parts that the configuration describes and the checkpoint has nothing of, with the place of the description."""
    if not model.known or not any(_needs_all(name, model) for name in model.config.architectures):
        return
    if model.config.model_type in ("gemma3_text", "mllama_text_model") or _text_class(model):
        return
    described = (
        (Role.VISION, model.vision.section if model.vision else ""),
        (Role.AUDIO, model.audio.section if model.audio else ""),
        (Role.TEXT, model.text.section if model.text else ""),
    )
    present = {part.role for part in parts.parts if any(len(t.shape) > 1 for t in part.tensors)}
    for role, section in described:
        if model.family == LIBRARY and section != "/vision_config":
            continue
        if section and role not in present and not (role is Role.VISION and model.external_tower is not None):
            yield str(role), model.config.document.at(section)
    tower = present & {Role.VISION, Role.AUDIO}
    joined = model.family not in (LIBRARY, *_WITHOUT_PROJECTOR) and tower and Role.TEXT in present
    if joined and generates(model) and Role.PROJECTOR not in present:
        yield str(Role.PROJECTOR), model.config.document.at()


def _text_class(model: MultimodalModel) -> bool:
    """Whether the class that is to be loaded is the language model alone."""
    text_only = (
        "Gemma3ForCausalLM",
        "MllamaForCausalLM",
        "Llama4ForCausalLM",
        "Gemma3nForCausalLM",
        "Gemma4ForCausalLM",
    )
    return any(name in text_only for name in model.config.architectures)
