"""Which modules hold packed weights, and which method packed them, by the names, dtypes and shapes of companions.

Key names are those that the writers use: AutoGPTQ and GPTQModel `qweight qzeros scales g_idx` (nn_modules/qlinear),
AutoAWQ the same without `g_idx` (modules/linear/gemm.py), bitsandbytes `weight.absmax weight.quant_state...` and `SCB`
(nn/modules.py), compressed-tensors `weight_packed weight_scale weight_shape` (compressors), DeepSeek and transformers'
FineGrainedFP8 `weight_scale_inv`, ModelOpt `weight_scale_2 input_scale`, MLX `scales biases` beside a U32 weight,
HQQ `W_q`, EETQ `weight_scales`, quanto `weight._data`, torchao `_weight_qdata`, gpt-oss `_blocks _scales`.
"""

from collections import Counter
from collections.abc import Mapping

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.quantisation import PackedModules

_SIGNS = frozenset(
    {"qweight", "qzeros", "g_idx", "scales", "biases", "qbiases", "weight_packed", "weight_scale", "weight_scale_inv"}
    | {"weight_scale_2", "weight_shape", "weight_zero_point", "weight_g_idx", "weight_global_scale", "weight_scales"}
    | {"weight_format", "input_scale", "input_global_scale", "SCB", "absmax", "_weight_qdata", "weight_qdata", "W_q"}
    | {"codes", "codebooks", "q_weight", "q_scale", "trellis", "suh", "svh", "Qidxs", "SU", "SV", "dense_weights"}
    | {"tables2", "B_24", "B_meta", "indices", "centroids"}
)
"""Last words of the names of what quantisation stores beside, or instead of, a weight."""
_BELOW_WEIGHT = frozenset(
    {"absmax", "quant_map", "nested_absmax", "nested_quant_map", "_data", "_scale", "_shift", "_qdata"}
)
"""The same, where they stand below `weight.` (bitsandbytes, quanto)."""

_UNMISTAKABLE: tuple[tuple[frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"weight_scale_inv"}), ("fp8",)),
    (frozenset({"SCB"}), ("bitsandbytes",)),
    (frozenset({"weight.absmax"}), ("bitsandbytes",)),
    (frozenset({"absmax"}), ("bitsandbytes",)),
    (frozenset({"weight.quant_state"}), ("bitsandbytes",)),
    (frozenset({"weight_scale_2"}), ("modelopt", "nvfp4")),
    (frozenset({"weight._data"}), ("quanto",)),
    (frozenset({"_weight_qdata"}), ("torchao",)),
    (frozenset({"weight_qdata"}), ("torchao",)),
    (frozenset({"codes", "codebooks"}), ("aqlm",)),
    (frozenset({"q_weight", "q_scale"}), ("exl2",)),
    (frozenset({"trellis", "suh"}), ("exl3",)),
    (frozenset({"Qidxs"}), ("quip",)),
    (frozenset({"dense_weights"}), ("spqr",)),
    (frozenset({"tables2", "scales"}), ("higgs",)),
    (frozenset({"B_24", "B_meta"}), ("gptq",)),
    (frozenset({"indices", "centroids"}), ("vptq",)),
    (frozenset({"_blocks", "_scales"}), ("mxfp4",)),
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
        module, sign = _split(name)
        if sign:
            modules.setdefault(module, {})[sign] = tensor
    methods: dict[str, tuple[str, ...]] = {}
    for module, signs in modules.items():
        implied = _methods(signs, checkpoint.tensors.get(f"{module}.weight"))
        if implied:
            methods[module] = implied
    return _agreed(modules, methods)


def _split(name: str) -> tuple[str, str]:
    """A companion's name as (module, sign); the sign is empty for any other tensor."""
    module, _, last = name.rpartition(".")
    if module.endswith(".weight") and last in _BELOW_WEIGHT:
        return module.removesuffix(".weight"), f"weight.{last}"
    if last in _SIGNS:
        return module, last
    if last.startswith("bitsandbytes__") and module.endswith(".weight.quant_state"):
        return module.removesuffix(".weight.quant_state"), "weight.quant_state"
    for suffix in ("_blocks", "_scales", "_scale_inv"):
        if last.endswith(suffix):
            return name.removesuffix(suffix), suffix if suffix != "_scale_inv" else "weight_scale_inv"
    return "", ""


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
    for telling, methods in _UNMISTAKABLE:
        if telling <= signs.keys():
            return methods
    if "W_q" in signs and not signs["W_q"].is_float:
        return ("hqq", "sinq")
    if "qweight" in signs:
        return _of_qweight(signs)
    if "weight_packed" in signs:
        return _of_weight_packed(signs["weight_packed"])
    if weight is None:
        return ()
    if weight.dtype == "U32" and "scales" in signs:
        return ("metal", "mlx") if "qbiases" in signs else ("mlx", "metal")
    if "weight_scale" in signs:
        return _of_weight_scale(weight)
    return ("eetq",) if "weight_scales" in signs and weight.dtype == "I8" else ()


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


def _of_weight_scale(weight: Tensor) -> tuple[str, ...]:
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
