"""The method that packed tensors show, for the layouts that the writers really use."""

import pytest

from mmdoctor.architectures.packed import packed_modules
from mmdoctor.facts.checkpoint import Checkpoint, Tensor

Layout = dict[str, tuple[str, tuple[int, ...]]]

IN, OUT, GROUP = 512, 256, 128

LAYOUTS: dict[str, tuple[Layout, str]] = {
    "gptq": (
        {
            "qweight": ("I32", (IN // 8, OUT)),
            "qzeros": ("I32", (IN // GROUP, OUT // 8)),
            "scales": ("F16", (IN // GROUP, OUT)),
            "g_idx": ("I32", (IN,)),
        },
        "gptq",
    ),
    "gptq without g_idx": (
        {"qweight": ("I32", (IN // 8, OUT)), "scales": ("F16", (IN // GROUP, OUT))},
        "gptq",
    ),
    "awq gemm": (
        {
            "qweight": ("I32", (IN, OUT // 8)),
            "qzeros": ("I32", (IN // GROUP, OUT // 8)),
            "scales": ("F16", (IN // GROUP, OUT)),
        },
        "awq",
    ),
    "awq gemv": ({"qweight": ("I32", (OUT, IN // 8)), "scales": ("F16", (OUT, 8))}, "awq"),
    "bitsandbytes nf4": (
        {
            "weight": ("U8", (IN * OUT // 2, 1)),
            "weight.absmax": ("U8", (2048,)),
            "weight.quant_map": ("F32", (16,)),
            "weight.nested_absmax": ("F32", (8,)),
            "weight.quant_state.bitsandbytes__nf4": ("U8", (80,)),
        },
        "bitsandbytes",
    ),
    "bitsandbytes int8": (
        {"weight": ("I8", (OUT, IN)), "SCB": ("F32", (OUT,)), "weight_format": ("U8", ())},
        "bitsandbytes",
    ),
    "compressed-tensors pack": (
        {
            "weight_packed": ("I32", (OUT, IN // 8)),
            "weight_scale": ("BF16", (OUT, IN // GROUP)),
            "weight_shape": ("I64", (2,)),
        },
        "compressed-tensors",
    ),
    "compressed-tensors int8": (
        {"weight": ("I8", (OUT, IN)), "weight_scale": ("BF16", (OUT, 1))},
        "compressed-tensors",
    ),
    "compressed-tensors fp8": (
        {"weight": ("F8_E4M3", (OUT, IN)), "weight_scale": ("F32", (1,)), "input_scale": ("F32", (1,))},
        "compressed-tensors",
    ),
    "compressed-tensors nvfp4": (
        {
            "weight_packed": ("U8", (OUT, IN // 2)),
            "weight_scale": ("F8_E4M3", (OUT, IN // 16)),
            "weight_global_scale": ("F32", (1,)),
        },
        "compressed-tensors",
    ),
    "deepseek fp8": ({"weight": ("F8_E4M3", (OUT, IN)), "weight_scale_inv": ("F32", (2, 4))}, "fp8"),
    "modelopt nvfp4": (
        {
            "weight": ("U8", (OUT, IN // 2)),
            "weight_scale": ("F8_E4M3", (OUT, IN // 16)),
            "weight_scale_2": ("F32", ()),
            "input_scale": ("F32", ()),
        },
        "modelopt",
    ),
    "mlx": (
        {"weight": ("U32", (OUT, IN // 8)), "scales": ("BF16", (OUT, 8)), "biases": ("BF16", (OUT, 8))},
        "mlx",
    ),
    "hqq": ({"W_q": ("U8", (OUT, IN // 2)), "meta": ("U8", (9,))}, "hqq"),
    "eetq": ({"weight": ("I8", (IN, OUT)), "weight_scales": ("F16", (OUT,))}, "eetq"),
    "quanto": ({"weight._data": ("I8", (OUT, IN)), "weight._scale": ("F16", (OUT, 1))}, "quanto"),
    "torchao": ({"_weight_qdata": ("F8_E4M3", (OUT, IN)), "_weight_scale": ("F32", (OUT, 1))}, "torchao"),
    "aqlm": ({"codes": ("I16", (1, 2, 3)), "codebooks": ("F16", (1, 256, 1, 8))}, "aqlm"),
    "exl2": ({"q_weight": ("I32", (64, OUT)), "q_scale": ("I32", (4, 32)), "q_perm": ("I16", (IN,))}, "exl2"),
}


def _checkpoint(tensors: Layout) -> Checkpoint:
    found = {n: Tensor(name=n, dtype=d, shape=s, file="model.safetensors", nbytes=1) for n, (d, s) in tensors.items()}
    return Checkpoint(files=(), tensors=found)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_is_told(name: str) -> None:
    layout, method = LAYOUTS[name]
    tensors = {f"model.layers.{i}.q_proj.{key}": value for i in range(3) for key, value in layout.items()}

    found = packed_modules(_checkpoint(tensors | {"model.norm.weight": ("BF16", (IN,))}))

    assert found.method == method
    assert found.modules == tuple(f"model.layers.{i}.q_proj" for i in range(3))
    assert found.at.tensor in tensors


def test_fused_experts_of_gpt_oss() -> None:
    names = {f"model.layers.0.mlp.experts.gate_up_proj_{s}": ("U8", (32, 5760, 90)) for s in ("blocks", "scales")}

    found = packed_modules(_checkpoint(names))

    assert (found.method, found.modules) == ("mxfp4", ("model.layers.0.mlp.experts.gate_up_proj",))


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {"model.layers.0.q_proj.weight": ("BF16", (OUT, IN))},
        {"attn.W_q": ("F32", (OUT, IN)), "attn.W_k": ("F32", (OUT, IN))},
        {"norm.weight": ("F32", (IN,)), "norm.scales": ("F32", (IN,))},
        {"quantizer.codebooks": ("F32", (8, 1024, 128))},
        {"embed.weight": ("U8", (5, 1))},
        {"fp8.weight": ("F8_E4M3", (OUT, IN))},
        {"layer.weight": ("BF16", (OUT, IN)), "layer.weight_scale": ("F32", (1,))},
        {"absmaxima.weight": ("F32", (4,))},
    ],
)
def test_what_only_looks_like_it_is_not_packed(tensors: Layout) -> None:
    assert packed_modules(_checkpoint(tensors)).method is None


def test_the_majority_names_the_method_and_the_rest_is_remembered() -> None:
    fp8, nvfp4 = LAYOUTS["compressed-tensors fp8"][0], LAYOUTS["modelopt nvfp4"][0]
    tensors = {f"a.{i}.{k}": v for i in range(2) for k, v in nvfp4.items()} | {f"b.{k}": v for k, v in fp8.items()}

    found = packed_modules(_checkpoint(tensors))

    assert found.method == "modelopt"
    assert "compressed-tensors" in found.mixed_with
    assert found.signs["weight_scale_2"] == 2
