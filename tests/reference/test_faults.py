# ruff: noqa: N803, N806, N812 - shape suffixes and the customary F, as in the model
"""Faults that a machine, a runtime or a conversion has, each made here, and the rule that finds it."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.facts.self_test import DeviceTest, ModelRun, SelfTest
from mmdoctor.reference import attention, load, tensorfile, vision
from mmdoctor.reference.fusion import LateFusion, Streams
from mmdoctor.reference.selftest import Plan, run_self_test
from tests.reference.machine import codes, replaced

ONE = Plan(
    fusions=("hybrid",),
    dtypes=("float32",),
    attentions=("textbook", "AUTOMATIC"),
    kernels=(),
    repetitions=(),
    canaries=(),
    compile=False,
)
_linear = F.linear
_fused = F.scaled_dot_product_attention
_softmax = Tensor.softmax


def measured(**changes: Any) -> tuple[SelfTest, DeviceTest]:
    test = run_self_test(("cpu",), plan=msgspec.structs.replace(ONE, **changes))
    (device,) = test.devices
    return test, device


def run_of(device: DeviceTest, dtype: str = "float32", attention: str = "textbook") -> ModelRun:
    (run,) = (run for run in device.runs if (run.dtype, run.attention) == (dtype, attention))
    return run


def layer_of(run: ModelRun) -> str:
    assert run.first_layer is not None
    return run.first_layer.output


# --- the files ---


def with_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> SelfTest:
    tensors = tensorfile.read_tensors(folder / "model.safetensors")
    change(tensors)
    (folder / "model.safetensors").write_bytes(tensorfile.to_bytes(tensors, {"format": "pt"}))
    return with_folder(folder)


def with_folder(folder: Path) -> SelfTest:
    return run_self_test(("cpu",), plan=ONE, weights={"hybrid": folder})


def test_a_nan_in_a_weight(folder: Path) -> None:
    name = "fusion.layers.0.text_to_image.mlp.fc1.weight"

    def change(tensors: dict[str, Tensor]) -> None:
        tensors[name][0, 0] = torch.nan

    test = with_weights(folder, change)

    assert test.bundles[0].non_finite_tensors == (name,)
    assert layer_of(run_of(test.devices[0])) == name.removesuffix(".weight")
    assert codes(test) == ["REF001"]


def test_two_swapped_shards_of_weights(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        one, other = (f"text_model.encoder.layers.{layer}.mlp.fc1.weight" for layer in (0, 1))
        tensors[one], tensors[other] = tensors[other], tensors[one]

    test = with_weights(folder, change)

    assert layer_of(run_of(test.devices[0])) == "text_model.encoder.layers.0.mlp.fc1"
    assert [file.file for file in test.bundles[0].damaged_files] == ["weights/hybrid/model.safetensors"]
    assert codes(test) == ["REF001"]


def test_missing_unexpected_and_reshaped_tensors(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["lm_head.extra"] = tensors.pop("lm_head.weight")
        tensors["unified.absent_text"] = torch.ones(64, dtype=torch.bfloat16)

    test = with_weights(folder, change)
    (bundle,) = test.bundles

    assert (bundle.missing_tensors, bundle.unexpected_tensors) == (("lm_head.weight",), ("lm_head.extra",))
    (mismatch,) = bundle.mismatched_tensors
    assert (mismatch.name, mismatch.expected, mismatch.observed) == ("unified.absent_text", (128,), (64,))
    assert test.devices == ()
    assert codes(test) == ["REF001"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    test = with_folder(folder)

    assert name in str(test.bundles[0].load_error)
    assert [file.file for file in test.bundles[0].damaged_files] == [f"weights/hybrid/{name}"]
    assert codes(test) == ["REF001"]


@pytest.mark.parametrize(
    ("key", "value"), [("image_mean", [0.485, 0.456, 0.406]), ("image_std", [0.229, 0.224, 0.225])]
)
def test_a_wrong_mean_or_deviation(folder: Path, key: str, value: list[float]) -> None:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    test = with_folder(folder)
    run = run_of(test.devices[0])

    assert run.wrong_outputs[0].output == "pixel_values"
    assert layer_of(run) == "vision_model.embeddings.patch_embedding"
    assert codes(test) == ["REF001"]


def test_two_swapped_token_ids(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["circle"], words["square"] = words["square"], words["circle"]
    file.write_text(json.dumps(content))
    test = with_folder(folder)

    assert run_of(test.devices[0]).wrong_outputs[0].output == "input_ids"
    assert codes(test) == ["REF001"]


# --- the model's own operations ---


def test_a_transposed_patch_order(monkeypatch: pytest.MonkeyPatch) -> None:
    right = vision.patchify
    monkeypatch.setattr(vision, "patchify", lambda pixels, size: right(pixels.transpose(2, 3), size))
    test, device = measured()

    assert layer_of(run_of(device)) == "vision_model.embeddings.patch_embedding"
    assert codes(test) == ["REF002"]


def test_a_causal_mask_off_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.causal_mask

    def shifted(asking: int, asked: int, device: torch.device | None = None) -> Tensor:
        return right(asking, asked, device) | right(asking, asked, device).roll(1, dims=1).tril(asked - asking + 1)

    monkeypatch.setattr(attention, "causal_mask", shifted)
    test, device = measured(repetitions=("float32",))

    assert layer_of(run_of(device)) == "decoder.layers.0.self_attn.heads"
    assert [each.how for each in device.repetitions if each.wrong] == ["cached"]
    assert codes(test) == ["REF002", "REF005"]


def no_padding_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention.textbook_attention(q, k, v, mask if mask is None or mask.shape[-2] > 1 else None)


def no_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention.textbook_attention(q, k, v)


def scaled_wrongly(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    return attention.textbook_attention(q * 0.99, k, v, mask)


@pytest.mark.parametrize(
    ("wrong", "layer"),
    [
        (no_padding_mask, "text_model.encoder.layers.0.self_attn.heads"),
        (no_mask, "text_model.encoder.layers.0.self_attn.heads"),
        (scaled_wrongly, "vision_model.encoder.layers.0.self_attn.heads"),
    ],
)
def test_attention_without_a_mask_or_with_a_wrong_scale(
    monkeypatch: pytest.MonkeyPatch, wrong: attention.AttentionFunction, layer: str
) -> None:
    monkeypatch.setitem(attention.IMPLEMENTATIONS, "textbook", wrong)
    test, device = measured()

    assert layer_of(run_of(device)) == layer
    assert codes(test) == ["REF002"]


def test_heads_of_keys_and_values_repeated_in_the_wrong_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "repeat_interleave", lambda x, group, dim: x.repeat(1, group, 1, 1))
    test, device = measured()

    assert layer_of(run_of(device)) == "decoder.layers.0.self_attn.heads"
    assert "REF002" in codes(test)


def test_the_other_gelu(monkeypatch: pytest.MonkeyPatch) -> None:
    right = F.gelu
    monkeypatch.setattr(F, "gelu", lambda x: right(x, approximate="tanh"))
    test, device = measured()

    assert layer_of(run_of(device)) == "vision_model.encoder.layers.0.mlp.activation"
    assert codes(test) == ["REF002"]


@pytest.mark.parametrize("eps", [1e-6, 2e-5])
def test_another_epsilon_in_normalisation(monkeypatch: pytest.MonkeyPatch, eps: float) -> None:
    right = F.layer_norm
    monkeypatch.setattr(F, "layer_norm", lambda x, shape, weight, bias, _: right(x, shape, weight, bias, eps))
    test, device = measured()

    assert ".layer_norm" in layer_of(run_of(device))
    assert codes(test) == ["REF002"]


# --- rounding ---


def truncated(x: Tensor) -> Tensor:
    """Float32 with the ten bits of mantissa that TF32 has."""
    return (x.view(torch.int32) & ~0x1FFF).view(torch.float32)


def test_tf32_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "linear", lambda x, w, b=None: _linear(truncated(x), truncated(w), b))
    test, device = measured(kernels=("float32",))

    assert run_of(device).used > 20
    assert codes(test) == ["REF002", "REF007"]


def adding_up_in(dtype: torch.dtype, step: int) -> Callable[..., Tensor]:
    """A product whose accumulator is of that type and takes so many terms at once."""

    def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.dtype != dtype:
            return _linear(x, weight, bias)
        total = torch.zeros(*x.shape[:-1], len(weight), dtype=dtype)
        for start in range(0, x.shape[-1], step):
            end = start + step
            total = (total.float() + _linear(x[..., start:end].float(), weight[:, start:end].float())).to(dtype)
        return total if bias is None else total + bias

    return linear


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_product_that_adds_up_in_the_narrow_type(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setattr(F, "linear", adding_up_in(getattr(torch, dtype), 4))
    test, device = measured(dtypes=(dtype,), attentions=("textbook",), kernels=(dtype,))

    assert layer_of(run_of(device, dtype)) == "vision_model.embeddings.patch_embedding"
    assert {"REF003", "REF007"} == set(codes(test))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_long_sum_that_takes_sixteen_terms_at_once(monkeypatch: pytest.MonkeyPatch, dtype: str) -> None:
    monkeypatch.setattr(F, "linear", adding_up_in(getattr(torch, dtype), 16))
    test, device = measured(dtypes=(), kernels=(dtype,))
    (long,) = (run for run in device.kernels if (run.kernel, run.case) == ("product", "4096"))

    assert long.deviation is not None
    assert long.deviation.used > 1.5
    assert codes(test) == ["REF007"]


def test_sums_handed_on_in_parts_are_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "linear", adding_up_in(torch.float16, 256))
    test, _ = measured(dtypes=("float16",), attentions=("textbook",), kernels=("float16",))

    assert codes(test) == []


def test_a_bias_added_behind_the_rounding_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(F, "linear", lambda x, w, b=None: _linear(x, w) if b is None else _linear(x, w) + b)
    test, _ = measured(dtypes=("bfloat16", "float16"), attentions=("textbook",), kernels=("bfloat16",))

    assert codes(test) == []


def in_float16(x: Tensor, dim: int) -> Tensor:
    """Softmax whose exponentials and sum are float16."""
    exponentials = (x.half() - x.half().amax(dim, keepdim=True)).exp()
    total = torch.zeros_like(exponentials[..., :1])
    for index in range(exponentials.shape[-1]):
        total = total + exponentials[..., index : index + 1]
    return (exponentials / total).to(x.dtype)


def test_softmax_in_float16_inside_float32() -> None:
    with replaced(Tensor, "softmax", in_float16):
        test, device = measured()

    assert layer_of(run_of(device)) == "vision_model.encoder.layers.0.self_attn.heads"
    assert codes(test) == ["REF002"]


def test_softmax_that_adds_up_in_float16() -> None:
    def softmax(x: Tensor, dim: int) -> Tensor:
        return in_float16(x, dim) if x.dtype == torch.float16 else _softmax(x, dim)

    with replaced(Tensor, "softmax", softmax):
        test, device = measured(dtypes=(), kernels=("float16",))

    assert {(run.kernel, run.case) for run in device.kernels if run.wrong} >= {("textbook", "long")}
    assert codes(test) == ["REF004"]


# --- kernels ---


def with_kernel(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args, **kwargs: change(_fused(*args, **kwargs)))


def test_a_kernel_that_returns_zeros_for_odd_heads(monkeypatch: pytest.MonkeyPatch) -> None:
    def zero(y_BHTd: Tensor) -> Tensor:
        y_BHTd[:, 1::2] = 0
        return y_BHTd

    with_kernel(monkeypatch, zero)
    test, device = measured(kernels=("float32",))

    assert all(run.wrong for run in device.kernels if run.deviation and run.kernel not in ("product", "textbook"))
    assert layer_of(run_of(device, attention="AUTOMATIC")) == "vision_model.encoder.layers.0.self_attn.heads"
    assert not run_of(device).wrong
    assert codes(test) == ["REF004"]


def test_one_wrong_backend_is_the_one_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def flash_only(*args: Any, **kwargs: Any) -> Tensor:
        y_BHTd = _fused(*args, **kwargs)
        flash_alone = torch.backends.cuda.flash_sdp_enabled() and not torch.backends.cuda.math_sdp_enabled()
        return y_BHTd * 1.001 if flash_alone else y_BHTd

    monkeypatch.setattr(F, "scaled_dot_product_attention", flash_only)
    test, device = measured(attentions=("textbook", "AUTOMATIC", "MATH", "FLASH_ATTENTION"), kernels=("float32",))

    assert [run.attention for run in device.runs if run.wrong] == ["FLASH_ATTENTION"]
    assert {run.kernel for run in device.kernels if run.wrong} == {"FLASH_ATTENTION"}
    assert codes(test) == ["REF004"]


def test_a_kernel_that_overflows_in_float16(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kernel(monkeypatch, lambda y: y * torch.inf if y.dtype == torch.float16 else y)
    test, device = measured(dtypes=("float32", "bfloat16", "float16"))

    assert run_of(device, "float16", "AUTOMATIC").used == math.inf
    assert [run.dtype for run in device.runs if run.wrong] == ["float16"]
    assert codes(test) == ["REF004"]


def test_a_kernel_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    monkeypatch.setattr(F, "scaled_dot_product_attention", broken)
    test, device = measured(kernels=("float32",))

    assert run_of(device, attention="AUTOMATIC").failed == "CUDA error: an illegal memory access was encountered"
    assert codes(test) == ["REF004"]


def test_a_type_that_does_not_run_here_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.dtype == torch.float16:
            raise RuntimeError("\"addmm_impl_cpu_\" not implemented for 'Half'\ntraceback")
        return _linear(x, weight, bias)

    monkeypatch.setattr(F, "linear", refusing)
    test, device = measured(dtypes=("float32", "float16"), kernels=("float16",), repetitions=("float16",))

    assert run_of(device, "float16").unavailable == "\"addmm_impl_cpu_\" not implemented for 'Half'"
    assert codes(test) == []


# --- other runs of the same ---


def test_results_that_change_from_run_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(10**9))
    with_kernel(monkeypatch, lambda y: y * (1 + 1e-7 * next(calls)))
    test, device = measured(attentions=("textbook",), repetitions=("float32",))

    assert "again" in [each.how for each in device.repetitions if each.wrong]
    assert codes(test) == ["REF005"]


def test_a_kernel_that_is_wrong_in_batches_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with_kernel(monkeypatch, lambda y: y * 1.01 if len(y) > 2 else y)
    test, device = measured(attentions=("textbook",), repetitions=("float32", "float16"))

    assert [(each.how, each.dtype) for each in device.repetitions if each.wrong] == [
        ("batched", "float32"),
        ("batched", "float16"),
    ]
    assert codes(test) == ["REF005"]


def test_a_fault_in_one_fusion_only(monkeypatch: pytest.MonkeyPatch) -> None:
    right = LateFusion.forward

    def louder(self: LateFusion, streams: Streams) -> Streams:
        assert streams.image_BMD is not None
        return right(self, streams._replace(image_BMD=streams.image_BMD * 1.0001))

    monkeypatch.setattr(LateFusion, "forward", louder)
    test, device = measured(fusions=("hybrid", "late"), attentions=("textbook",))

    assert {run.fusion for run in device.runs if run.wrong} == {"late"}
    assert codes(test) == ["REF002"]


def test_no_layer_of_the_model_is_left_out() -> None:
    _, device = measured()
    mapped = sum(isinstance(module, nn.Linear | nn.LayerNorm) for module in load().modules())
    assert run_of(device).layers > mapped
