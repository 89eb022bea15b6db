"""Finds attention modules by the names that families give their projections."""

import re
from collections.abc import Iterator, Mapping

from mmdoctor.architectures.parts import split_layer
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.dtypes import dtype
from mmdoctor.facts.parts import AttentionBlock, AttentionBlocks, Parts, Role

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "q": (
        "q_proj",
        "query",
        "q_lin",
        "wq",
        "q",
        "to_q",
        "attn_q",
        "q_attn",
        "query_proj",
        "q_linear",
        "linear_q",
        "Wq",
    ),
    "k": ("k_proj", "key", "k_lin", "wk", "k", "to_k", "attn_k", "key_proj", "k_linear", "linear_k", "Wk"),
    "v": ("v_proj", "value", "v_lin", "wv", "v", "to_v", "attn_v", "value_proj", "v_linear", "linear_v", "Wv"),
    "o": (
        (
            "o_proj",
            "out_proj",
            "out_lin",
            "wo",
            "o",
            "to_out",
            "to_out.0",
            "attn_output",
            "output.dense",
            "dense",
            "c_proj",
            "proj",
            "projection",
            "projection_layer",
            "out",
            "linear_out",
            "Wo",
        )
    ),
    "qkv": (
        (
            "qkv",
            "Wqkv",
            "wqkv",
            "c_attn",
            "query_key_value",
            "qkv_proj",
            "in_proj",
            "in_proj_weight",
            "to_qkv",
            "attn_qkv",
            "att_proj",
            "c_qkv",
        )
    ),
    "kv": ("kv", "to_kv", "kv_proj", "key_value", "Wkv"),
    "q_norm": ("q_norm", "q_layernorm", "query_layernorm", "q_ln", "query_norm", "attn_q_norm", "norm_q"),
    "k_norm": ("k_norm", "k_layernorm", "key_layernorm", "k_ln", "key_norm", "attn_k_norm", "norm_k"),
    "latent": (
        (
            "q_a_proj",
            "q_b_proj",
            "kv_a_proj_with_mqa",
            "kv_b_proj",
            "kv_a_proj",
            "k_b_proj",
            "v_b_proj",
            "attn_q_a",
            "attn_kv_b",
            "attn_kv_a_mqa",
            "wkv_a",
            "wkv_b",
            "wq_a",
            "wq_b",
            "q_down_proj",
            "kv_down_proj",
            "kv_proj_with_mqa",
        )
    ),
}

_FIELD_OF = {name: field for field, names in _FIELDS.items() for name in names}

_MODULE = re.compile(
    r"^(?:\w*attn\w*|\w*attention\w*|\w*Attention|attn|attention|self|att|mha|mixer|q_?former)$",
)
"""Components that may hold the projections."""

_HALVES = ("self", "attention", "output", "self_attention")
"""BERT-like names divide one module into these."""

_CROSS = re.compile(
    r"cross|encoder_attn|EncDecAttention|encoder_attention|encoder_decoder|xattn|\bresampler\b|attn_pool|vision_tokenizer"
    r"|\bperceiver|\bprobe|head\.attention",
    re.IGNORECASE,
)

_GENERIC = {
    "q",
    "k",
    "v",
    "o",
    "proj",
    "dense",
    "out",
    "c_proj",
    "projection",
    "kv",
    "value",
    "key",
    "query",
    "in_proj",
}
"""Words that mean attention only below a module that is called attention."""

COMPANIONS = (
    "qweight",
    "qzeros",
    "scales",
    "g_idx",
    "weight_scale",
    "weight_scale_inv",
    "weight_zero_point",
    "weight_packed",
    "weight_shape",
    "absmax",
    "quant_map",
    "SCB",
    "weight_format",
    "biases",
    "nested_absmax",
    "weight_scale_2",
    "input_scale",
    "weight_global_scale",
    "_packed_params",
    "zero_point",
    "weight_g_idx",
    "blocks",
    "w_scale",
)
"""Suffixes of what quantisation stores beside, or instead of, a weight."""

_SUFFIX = re.compile(
    r"\.(?:"
    + "|".join(map(re.escape, COMPANIONS))
    + r"|quant_state[\w.]*|weight\.(?:absmax|quant_\w+|nested_\w+|quant_state\S*))$"
)


def module_of(name: str) -> tuple[str, str]:
    """A tensor name as (module, parameter), where the parameter is `weight`, `bias`, a companion or a bare name."""
    packed = _SUFFIX.search(name)
    if packed is not None:
        return name[: packed.start()], name[packed.start() + 1 :]
    module, _, parameter = name.rpartition(".")
    return module, parameter


MAX_BLOCKS = 20_000
"""Attention modules looked at, for bounded time; the deepest models have a few hundred."""


def attention_blocks(parts: Parts) -> AttentionBlocks:
    """Every attention module of the checkpoint, in order of appearance.

    Raises:
        NotApplicable: no name or shape tells of one.
        Unavailable: there are more than `MAX_BLOCKS`.
    """
    found: dict[str, dict[str, Tensor]] = {}
    roles: dict[str, Role] = {}
    packed: set[str] = set()
    for part in parts.parts:
        if part.role is Role.ADAPTER:
            continue
        for tensor in part.tensors:
            place = _place(tensor)
            if place is None:
                continue
            prefix, field, parameter = place
            if parameter in ("weight", "in_proj_weight"):
                found.setdefault(prefix, {}).setdefault(field, tensor)
                roles.setdefault(prefix, part.role)
                if dtype(tensor.dtype).kind not in ("float", "quantised"):
                    packed.add(prefix)
            elif parameter != "bias":
                packed.add(prefix)
                roles.setdefault(prefix, part.role)
    if len(found) > MAX_BLOCKS:
        raise Unavailable(f"there are {len(found):,} attention modules, more than the {MAX_BLOCKS:,} of any model")
    blocks = tuple(_blocks(found, roles, packed))
    if not blocks:
        raise NotApplicable("no attention projections among the tensors")
    return AttentionBlocks(blocks=blocks)


def _place(tensor: Tensor) -> tuple[str, str, str] | None:
    """(block prefix, field, parameter) of a projection; None for any other tensor."""
    module, parameter = module_of(tensor.name)
    if parameter.startswith("in_proj_"):
        return f"{module}.", "qkv", parameter.replace("in_proj_bias", "bias")
    above, _, leaf = module.rpartition(".")
    field = _FIELD_OF.get(leaf)
    if leaf == "0" and above.endswith("to_out"):
        above, field = above.rpartition(".")[0], "o"
    if field is None:
        return None
    words = above.split(".")
    if leaf in _GENERIC and not (words and _MODULE.match(words[-1])) and not _is_bert_output(words, leaf):
        return None
    if leaf in ("out_proj", "in_proj") and not (words and _MODULE.match(words[-1])):
        return None
    if leaf == "in_proj" and words[-1] == "mixer":  # a state space layer
        return None
    if field in ("q_norm", "k_norm", "o") and len(tensor.shape) not in (1, 2):
        return None
    while len(words) > 1 and words[-1] in _HALVES and _MODULE.match(words[-2]):
        words.pop()
    return ".".join(words) + ".", field, parameter


def _is_bert_output(words: list[str], leaf: str) -> bool:
    return leaf == "dense" and len(words) > 1 and words[-1] == "output" and bool(_MODULE.match(words[-2]))


def _blocks(
    found: Mapping[str, Mapping[str, Tensor]], roles: Mapping[str, Role], packed: set[str]
) -> Iterator[AttentionBlock]:
    for prefix, tensors in found.items():
        latent = "latent" in tensors
        if not (latent or "qkv" in tensors or "q" in tensors or ("k" in tensors and "v" in tensors)):
            continue
        place = split_layer(prefix + "x")
        qkv, kv, q = tensors.get("qkv"), tensors.get("kv"), tensors.get("q")
        cross = bool(_CROSS.search(prefix.rpartition("layers.")[2] if place is None else place[2])) or (
            _CROSS.search(prefix) is not None and roles[prefix] is Role.PROJECTOR
        )
        if cross and qkv is not None and q is not None:  # GPT-2's cross-attention calls keys and values `c_attn`
            qkv, kv = None, qkv
        yield AttentionBlock(
            role=roles[prefix],
            prefix=prefix,
            layer=place[1] if place else None,
            cross=cross,
            q=q,
            k=tensors.get("k"),
            v=tensors.get("v"),
            o=tensors.get("o"),
            qkv=qkv,
            kv=kv,
            q_norm=tensors.get("q_norm"),
            k_norm=tensors.get("k_norm"),
            latent=latent,
            transposed=_is_conv1d(tensors),
            quantised=prefix in packed,
        )


def _is_conv1d(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the weights are (in, out), as in GPT-2's Conv1D.

    Its fused weight is called `c_attn`, as only Qwen 1's and GPT-BigCode's are, which have more rows than columns.
    """
    fused = tensors.get("qkv")
    if fused is None or not fused.name.endswith("c_attn.weight") or len(fused.shape) != 2:
        return False
    return fused.shape[0] < fused.shape[1]
