"""Which modules hold packed weights, and which method packed them, by the names, dtypes and shapes of companions.

Key names are those that the writers use: AutoGPTQ and GPTQModel `qweight qzeros scales g_idx` (nn_modules/qlinear),
AutoAWQ the same without `g_idx` (modules/linear/gemm.py), bitsandbytes `weight.absmax weight.quant_state...` and `SCB`
(nn/modules.py), compressed-tensors `weight_packed weight_scale weight_shape` (compressors), DeepSeek and transformers'
FineGrainedFP8 `weight_scale_inv`, ModelOpt `weight_scale_2 input_scale`, MLX `scales biases` beside a U32 weight,
HQQ `W_q`, EETQ `weight_scales`, quanto `weight._data`, torchao `_weight_qdata`, gpt-oss `_blocks _scales`.
"""

import re
from collections import Counter
from collections.abc import Mapping

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.quantisation import PackedModules

_COMPANION = re.compile(
    r"(?P<module>.*?)\.?(?P<sign>"
    r"qweight|qzeros|g_idx|scales|biases|qbiases"
    r"|weight_(?:packed|scale|scale_inv|scale_2|shape|zero_point|g_idx|global_scale|scales|format|bias)|scale_inv"
    r"|input_scale|input_global_scale|input_zero_point|SCB"
    r"|weight\.(?:absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.bitsandbytes__\w+)|absmax"
    r"|weight\._(?:data|scale|shift)|_?weight_qdata|_weight_(?:scale|zero_point|scale_and_zero)"
    r"|W_q|meta|codes|codebooks|q_weight|q_scale|q_scale_max|q_groups|q_perm|q_invperm|trellis|suh|svh"
    r"|Qidxs|SU|SV|dense_weights|tables2?|B_24|B_meta|indices|centroids|(?:gate_up_proj|down_proj)_(?:blocks|scales)"
    r")$"
)
"""A module and the suffix of what quantisation stores beside, or instead of, its weight."""

_UNMISTAKABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("weight_scale_inv", ("fp8",)),
    ("scale_inv", ("fp8",)),
    ("SCB", ("bitsandbytes",)),
    ("weight.absmax", ("bitsandbytes",)),
    ("absmax", ("bitsandbytes",)),
    ("weight_scale_2", ("modelopt", "nvfp4")),
    ("weight._data", ("quanto",)),
    ("_weight_qdata", ("torchao",)),
    ("weight_qdata", ("torchao",)),
    ("W_q", ("hqq", "sinq")),
    ("codebooks", ("aqlm",)),
    ("q_weight", ("exl2",)),
    ("trellis", ("exl3",)),
    ("Qidxs", ("quip",)),
    ("dense_weights", ("spqr",)),
    ("tables2", ("higgs",)),
    ("B_24", ("gptq",)),
    ("centroids", ("vptq",)),
    ("gate_up_proj_blocks", ("mxfp4",)),
    ("down_proj_blocks", ("mxfp4",)),
    ("weight_scales", ("eetq",)),
)
"""Signs that only one method (or a method and its renamings) writes."""


def packed_modules(checkpoint: Checkpoint) -> PackedModules:
    """The packed modules and the method that most of them agree on; no method where nothing is packed.

    Raises:
        NotApplicable: the file is GGUF, whose blocks say themselves what they are.
    """
    if checkpoint.files and all(file.kind == "GGUF" for file in checkpoint.files):
        raise NotApplicable("GGUF states the quantisation of every tensor")
    modules: dict[str, dict[str, Tensor]] = {}
    for name, tensor in checkpoint.tensors.items():
        match = _COMPANION.fullmatch(name)
        if match is not None:
            modules.setdefault(match["module"], {})[match["sign"]] = tensor
    methods: dict[str, tuple[str, ...]] = {}
    for module, signs in modules.items():
        implied = _methods(signs, checkpoint.tensors.get(f"{module}.weight"))
        if implied:
            methods[module] = implied
    return _agreed(modules, methods)


def _agreed(modules: Mapping[str, Mapping[str, Tensor]], methods: Mapping[str, tuple[str, ...]]) -> PackedModules:
    if not methods:
        return PackedModules(method=None)
    votes = Counter(methods.values())
    (first, *alternatives), _ = votes.most_common(1)[0]
    others = sorted({method for implied in votes for method in implied} - {first, *alternatives})
    signs = Counter(sign for module in methods for sign in modules[module])
    earliest = modules[next(iter(methods))]
    return PackedModules(
        method=first,
        alternatives=tuple(alternatives),
        mixed_with=tuple(others),
        modules=tuple(methods),
        signs=dict(signs),
        at=next(iter(earliest.values())).at,
    )


def _methods(signs: Mapping[str, Tensor], weight: Tensor | None) -> tuple[str, ...]:
    """The methods that one module's companions fit, the likeliest first; empty where they are no sign of packing."""
    for sign, methods in _UNMISTAKABLE:
        if sign in signs:
            return methods
    if any(sign.startswith("weight.quant_state") for sign in signs):
        return ("bitsandbytes",)
    if "qweight" in signs:
        return _of_qweight(signs)
    if "weight_packed" in signs:
        return _of_weight_packed(signs["weight_packed"])
    if weight is None:
        return ()
    if weight.dtype == "U32" and "scales" in signs:
        return ("metal", "mlx") if "qbiases" in signs else ("mlx", "metal")
    if "weight_scale" in signs:
        return _of_weight_scale(signs, weight)
    if weight.dtype == "U8" and len(weight.shape) == 2 and weight.shape[1] == 1 and weight.shape[0] > 1:
        return ("bitsandbytes",)
    return ()


def _of_qweight(signs: Mapping[str, Tensor]) -> tuple[str, ...]:
    """GPTQ packs along the input, (in / 8, out), AWQ's GEMM along the output, (in, out / 8); scales are (groups, out).

    AWQ's GEMV is (out, in / 8) with scales (out, groups).
    """
    packed, scales = signs["qweight"], signs.get("scales")
    if packed.dtype == "U8":
        return ("fp_quant", "auto-round")
    if "g_idx" in signs:
        return ("gptq",)
    if scales is None or len(packed.shape) != 2 or len(scales.shape) != 2:
        return ("gptq", "awq")
    if packed.dtype == "I16":
        return ("awq",)
    if packed.shape[1] == scales.shape[1]:
        return ("gptq",) if packed.shape[0] != scales.shape[0] else ("gptq", "awq")
    if packed.shape[1] < scales.shape[1] or packed.shape[0] == scales.shape[0]:
        return ("awq",)
    return ("gptq", "awq")


def _of_weight_packed(packed: Tensor) -> tuple[str, ...]:
    if packed.dtype == "U8":  # two FP4 values a byte: NVFP4 or MXFP4
        return ("compressed-tensors", "nvfp4")
    return ("compressed-tensors",)


def _of_weight_scale(signs: Mapping[str, Tensor], weight: Tensor) -> tuple[str, ...]:
    """A scale beside a weight of the same name: the methods share the names and differ in config.json only."""
    if weight.dtype in ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ"):
        return ("compressed-tensors", "fp8", "fbgemm_fp8", "modelopt", "quark", "mxfp8")
    if weight.dtype == "I8":
        return ("compressed-tensors", "quark", "modelopt", "gemma")
    if weight.dtype == "U8":
        return ("modelopt", "bitnet", "gemma", "quark", "mxfp4", "compressed-tensors")
    if weight.dtype in ("I32", "U32", "F4", "I4", "U4", "BOOL"):
        return ("quark", "compressed-tensors")
    return ()
