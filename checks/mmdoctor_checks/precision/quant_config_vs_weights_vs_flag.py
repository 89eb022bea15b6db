"""PRE011."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import CompleteCheckpoint
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.quantisation import PackedModules, QuantisationConfig
from mmdoctor.finding import Confidence, Evidence, Fix, Problem, Severity

ALIASES = {
    "gptq_marlin": "gptq",
    "gptq_marlin_24": "gptq",
    "marlin": "gptq",
    "gptqmodel": "gptq",
    "awq_marlin": "awq",
    "autoawq": "awq",
    "moe_wna16": "gptq",
    "bitsandbytes_4bit": "bitsandbytes",
    "bitsandbytes_8bit": "bitsandbytes",
    "bnb": "bitsandbytes",
    "compressed_tensors": "compressed-tensors",
    "intel/auto-round": "auto-round",
    "auto_round": "auto-round",
    "modelopt_fp4": "modelopt",
    "modelopt_mixed": "modelopt",
    "fbgemm-fp8": "fbgemm_fp8",
    "gpt_oss_mxfp4": "mxfp4",
}
"""Other names of one layout: vLLM's kernels take the checkpoints of the plain method."""

LAYOUTS: dict[str, frozenset[str]] = {
    "auto-round": frozenset({"gptq", "awq", "auto-round"}),
    "fp8": frozenset({"fp8", "compressed-tensors", "fbgemm_fp8", "modelopt"}),
    "fbgemm_fp8": frozenset({"fbgemm_fp8", "compressed-tensors", "fp8"}),
    "compressed-tensors": frozenset({"compressed-tensors", "nvfp4", "modelopt"}),
    "modelopt": frozenset({"modelopt", "nvfp4", "fp8", "compressed-tensors", "awq", "mxfp4"}),
    "nvfp4": frozenset({"nvfp4", "modelopt", "compressed-tensors"}),
    "mxfp8": frozenset({"mxfp8", "compressed-tensors", "fp8"}),
    "quark": frozenset({"quark", "compressed-tensors", "fp8", "modelopt", "mxfp4"}),
    "mlx": frozenset({"mlx", "metal"}),
    "metal": frozenset({"metal", "mlx"}),
    "sinq": frozenset({"sinq", "hqq"}),
    "gptq": frozenset({"gptq"}),
    "awq": frozenset({"awq"}),
    "bitsandbytes": frozenset({"bitsandbytes"}),
    "hqq": frozenset({"hqq"}),
    "eetq": frozenset({"eetq"}),
    "quanto": frozenset({"quanto"}),
    "torchao": frozenset({"torchao"}),
    "aqlm": frozenset({"aqlm"}),
    "vptq": frozenset({"vptq"}),
    "spqr": frozenset({"spqr"}),
    "higgs": frozenset({"higgs"}),
    "mxfp4": frozenset({"mxfp4", "quark"}),
    "exl2": frozenset({"exl2"}),
    "exl3": frozenset({"exl3"}),
}
"""Stated method to the layouts of tensors that its loaders read. A method that is not here is left alone."""

NEEDS_PACKED = frozenset({"gptq", "awq", "aqlm", "vptq", "spqr", "hqq", "exl2", "exl3", "fbgemm_fp8", "auto-round"})
"""Methods whose loaders replace the layers and look for the packed tensors only."""

QUANTISES_ON_LOAD = frozenset({"bitsandbytes", "fp8", "mxfp4", "quanto", "torchao", "eetq", "modelopt", "quark"})
"""Methods that some loader applies to plain weights while it loads them, so that plain weights are not always wrong."""


@check("PRE011", Severity.ERROR)
def quant_config_vs_weights_vs_flag(
    packed: PackedModules, complete: CompleteCheckpoint, model: ModelConfig, config: QuantisationConfig | None
) -> Iterator[Problem]:
    """The configuration and the tensors disagree about the method of quantisation.

    ## What it checks

    The method that the tensors show (names, dtypes and shapes of `qweight`, `absmax`, `weight_packed`,
    `weight_scale_inv` ...) against the one that the configuration states, in `quantization_config`,
    `compression_config`, MLX's `quantization`, the text model's section, quantize_config.json,
    quantization_config.json or hf_quant_config.json. GPTQ and AWQ share their names and are told apart by shape.
    Kernels' names for the same layout (`gptq_marlin`, `awq_marlin`) agree with it.

    ## Why it matters

    Packed tensors without a stated method are loaded as plain weights: `size mismatch ... torch.Size([8388608, 1])`,
    or the layers keep random values. A stated method without packed tensors gives
    `KeyError: 'layers.0.mlp.down_proj.weight.absmax'`.

    ## How to fix it

    Restore the `quantization_config` that the quantiser wrote; or, if the weights were merged or converted back to
    16 bit, remove it.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/19050
    - https://github.com/vllm-project/vllm/issues/5842
    - https://github.com/vllm-project/vllm/issues/10710
    - https://github.com/vllm-project/llm-compressor/issues/959
    - https://github.com/unslothai/unsloth/issues/1208
    - https://github.com/bitsandbytes-foundation/bitsandbytes/issues/1331
    """
    shown = Evidence("method that the tensors show", packed.method, packed.at)
    if config is None:
        if packed.method is not None:
            yield _unstated(packed, shown, model)
        return
    stated = ALIASES.get(config.method.value, config.method.value)
    at = Evidence("stated method", config.method.value, config.method.at)
    layouts = LAYOUTS.get(stated)
    if layouts is None:
        return
    if packed.method is None:
        yield from _unpacked(stated, at, complete)
    elif not layouts & {packed.method, *packed.alternatives, *packed.mixed_with}:
        yield Problem(
            f"the configuration says {config.method.value}, and {len(packed.modules):,} modules are packed as "
            f"{packed.method} ({_signs(packed)}): the loader finds none of the tensors that it looks for",
            because=[at, Evidence(shown.what, shown.observed, shown.at, expected=config.method.value)],
            fix=Fix(f"restore the quantization_config that belongs to the weights (quant_method {packed.method})"),
        )


def _unstated(packed: PackedModules, shown: Evidence, model: ModelConfig) -> Problem:
    return Problem(
        f"{len(packed.modules):,} modules are packed as {packed.method} ({_signs(packed)}), and no configuration "
        "says so: they are loaded as plain weights, which fails by shape or leaves layers with random values",
        because=[
            shown,
            Evidence("quantization_config", None, model.document.at(), expected=packed.method),
        ],
        fix=Fix("restore the quantization_config that the quantiser wrote into config.json"),
    )


def _unpacked(stated: str, at: Evidence, complete: CompleteCheckpoint) -> Iterator[Problem]:
    tensors = complete.checkpoint.tensors
    if not tensors or stated not in NEEDS_PACKED | QUANTISES_ON_LOAD | {"compressed-tensors"}:
        return
    if stated in QUANTISES_ON_LOAD:
        # vLLM quantises 16-bit weights on load for these where asked to; transformers 5.23 loads fp8's on a CPU only.
        severity, confidence = Severity.WARNING, Confidence.LIKELY
        effect = "loaders that take them for packed fail or drop layers, only those that quantise on load work"
    else:
        severity, confidence = Severity.ERROR, Confidence.CERTAIN
        effect = "the loader looks for packed tensors and finds none"
    first = next(iter(tensors.values()))
    yield Problem(
        f"the configuration says {at.observed}, and none of the {len(tensors):,} tensors is packed: {effect}",
        because=[at, Evidence("packed modules", 0, first.at, expected="at least one")],
        fix=Fix(
            "remove quantization_config if the weights were merged or converted back; else fetch the packed weights"
        ),
        severity=severity,
        confidence=confidence,
    )


def _signs(packed: PackedModules) -> str:
    return ", ".join(list(packed.signs)[:4])
