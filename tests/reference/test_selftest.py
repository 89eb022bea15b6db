# ruff: noqa: N803, N812 - shape suffixes and the customary F, as in the model
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmdoctor.facts.reference import Deviation, SelfTest
from mmdoctor.reference import attention, run_self_test, selftest, tensorfile, vision
from mmdoctor_checks.reference.attention_backend_deviates import attention_backend_deviates
from mmdoctor_checks.reference.reduced_precision_deviates import reduced_precision_deviates
from mmdoctor_checks.reference.reference_files_damaged import reference_files_damaged
from mmdoctor_checks.reference.reference_output_deviates import reference_output_deviates
from mmdoctor_checks.reference.results_not_reproducible import results_not_reproducible

RULES = (
    reference_files_damaged,
    reference_output_deviates,
    reduced_precision_deviates,
    attention_backend_deviates,
    results_not_reproducible,
)


def codes(test: SelfTest) -> list[str]:
    return [rule.code for rule in RULES if list(rule(test))]


def wrong(deviations: tuple[Deviation, ...]) -> list[str]:
    return [deviation.output for deviation in deviations if deviation.exceeded]


@pytest.fixture(scope="module")
def healthy() -> SelfTest:
    return run_self_test()


def test_this_machine_computes_right(healthy: SelfTest) -> None:
    assert codes(healthy) == []
    assert healthy.files_intact
    assert healthy.parameters == 1_947_972
    assert healthy.seconds < 10
    assert healthy.torch_version == torch.__version__
    assert len(healthy.golden) == len(healthy.fused_attention) == len(healthy.batched) == len(healthy.repeated) == 12


def test_rounding_uses_only_a_part_of_the_tolerance(healthy: SelfTest) -> None:
    runs = {"float32": healthy.golden, **{run.dtype: run.deviations for run in healthy.precisions}}
    for dtype, deviations in runs.items():
        for deviation in deviations:
            assert deviation.relative_error < 0.5 * deviation.tolerance, (dtype, deviation)
            assert deviation.cosine > 0.999, (dtype, deviation)


def test_both_reduced_types_ran_and_choose_the_same(healthy: SelfTest) -> None:
    assert [run.dtype for run in healthy.precisions] == ["bfloat16", "float16"]
    for run in healthy.precisions:
        assert run.unsupported is None
        assert 0 < run.top1_compared == run.top1_agreed


def test_every_backend_ran_or_says_why_not(healthy: SelfTest) -> None:
    backends = {run.backend for run in healthy.attention}
    assert {"AUTOMATIC", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION"} <= backends
    for run in healthy.attention:
        assert (run.deviation is None) == bool(run.unavailable)
    assert {run.case for run in healthy.attention if run.backend == "MATH" and run.deviation} == {
        "open",
        "causal",
        "padded",
    }


def test_progress_goes_from_nothing_to_all() -> None:
    steps: list[tuple[str, float]] = []
    run_self_test(progress=lambda step, fraction: steps.append((step, fraction)))

    fractions = [fraction for _, fraction in steps]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_the_process_is_left_as_it_was() -> None:
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads()
    try:
        run_self_test()
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not torch.is_inference_mode_enabled()


def test_all_threads_are_compared_with_one() -> None:
    torch.set_num_threads(2)
    try:
        test = run_self_test()
        assert torch.get_num_threads() == test.threads == 2
    finally:
        torch.set_num_threads(1)
    assert len(test.threaded) == 12
    assert codes(test) == []


def test_a_device_that_is_not_there_is_said() -> None:
    test = run_self_test("meta-physical")

    assert test.run_error is not None
    assert codes(test) == ["REF002"]


def change_weights(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> SelfTest:
    tensors = tensorfile.read_tensors(folder / "model.safetensors")
    change(tensors)
    (folder / "model.safetensors").write_bytes(tensorfile.to_bytes(tensors, {"format": "pt"}))
    return selftest.run_self_test(weights=folder)


def test_a_nan_in_a_weight_is_seen(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["fusion.layers.0.text_to_image.mlp.fc1.weight"][0, 0] = torch.nan

    test = change_weights(folder, change)

    assert test.non_finite_tensors == ("fusion.layers.0.text_to_image.mlp.fc1.weight",)
    assert wrong(test.golden)[0] == "fused_image"
    assert test.golden[-1].non_finite > 0
    assert codes(test) == ["REF001"]


def test_two_swapped_weights_are_seen(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        one, other = (f"text_model.encoder.layers.{layer}.mlp.fc1.weight" for layer in (0, 1))
        tensors[one], tensors[other] = tensors[other], tensors[one]

    test = change_weights(folder, change)

    assert wrong(test.golden)[0] == "text_features"
    assert "image_features" not in wrong(test.golden)
    assert [file.file for file in test.damaged_files] == ["model.safetensors"]
    assert codes(test) == ["REF001"]


def test_missing_unexpected_and_reshaped_tensors_are_named(folder: Path) -> None:
    def change(tensors: dict[str, Tensor]) -> None:
        tensors["lm_head.extra"] = tensors.pop("lm_head.weight")
        tensors["unified.absent_text"] = torch.ones(64, dtype=torch.bfloat16)

    test = change_weights(folder, change)

    assert (test.missing_tensors, test.unexpected_tensors) == (("lm_head.weight",), ("lm_head.extra",))
    (mismatch,) = test.mismatched_tensors
    assert (mismatch.name, mismatch.expected, mismatch.observed) == ("unified.absent_text", (128,), (64,))
    assert test.golden == ()
    assert codes(test) == ["REF001"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_seen(folder: Path, name: str) -> None:
    (folder / name).unlink()
    test = selftest.run_self_test(weights=folder)

    assert name in str(test.load_error)
    assert [file.file for file in test.damaged_files] == [name]
    assert codes(test) == ["REF001"]


def test_missing_records_are_seen(tmp_path: Path) -> None:
    test = selftest.run_self_test(golden_folder=tmp_path)

    assert "golden.json cannot be used" in str(test.load_error)
    assert codes(test) == ["REF001"]


@pytest.mark.parametrize(
    ("key", "value"), [("image_mean", [0.485, 0.456, 0.406]), ("image_std", [0.229, 0.224, 0.225])]
)
def test_a_wrong_normalisation_is_seen(folder: Path, key: str, value: list[float]) -> None:
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: value}))
    test = selftest.run_self_test(weights=folder)

    assert wrong(test.golden)[0] == "image_features"
    assert "text_features" not in wrong(test.golden)


def test_two_swapped_token_ids_are_seen(folder: Path) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["circle"], words["square"] = words["square"], words["circle"]
    file.write_text(json.dumps(content))

    assert wrong(selftest.run_self_test(weights=folder).golden)[0] == "text_features"


def test_a_transposed_patch_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = vision.patchify
    monkeypatch.setattr(vision, "patchify", lambda pixels, size: right(pixels.transpose(2, 3), size))
    test = run_self_test()

    assert wrong(test.golden)[0] == "image_features"
    assert codes(test) == ["REF002"]


def test_an_attention_mask_off_by_one_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = attention.causal_mask

    def shifted(asking: int, asked: int, device: torch.device | None = None) -> Tensor:
        return right(asking, asked, device) | right(asking, asked, device).roll(1, dims=1).tril(asked - asking + 1)

    monkeypatch.setattr(attention, "causal_mask", shifted)
    test = run_self_test()

    assert wrong(test.golden) == ["caption_logits"]
    assert wrong(test.cached) == ["caption_logits"]
    assert codes(test) == ["REF002", "REF005"]


def patch_kernel(monkeypatch: pytest.MonkeyPatch, change: Callable[[Tensor], Tensor]) -> None:
    right = F.scaled_dot_product_attention
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda *args, **kwargs: change(right(*args, **kwargs)))


def test_a_kernel_that_returns_zeros_for_odd_heads_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def zero(y_BHTd: Tensor) -> Tensor:
        y_BHTd[:, 1::2] = 0
        return y_BHTd

    patch_kernel(monkeypatch, zero)
    test = run_self_test()

    assert all(run.deviation.exceeded for run in test.attention if run.deviation)
    assert wrong(test.fused_attention)[0] == "image_features"
    assert codes(test) == ["REF004"]


def test_a_kernel_that_overflows_in_float16_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    patch_kernel(monkeypatch, lambda y: y * torch.inf if y.dtype == torch.float16 else y)
    test = run_self_test()

    assert test.precisions[1].deviations[0].non_finite > 0
    assert not any(deviation.exceeded for deviation in test.precisions[0].deviations)
    assert codes(test) == ["REF003", "REF004"]


def test_a_product_that_adds_up_in_bfloat16_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = F.linear

    def narrow(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if x.dtype != torch.bfloat16:
            return right(x, weight, bias)
        total = torch.zeros(*x.shape[:-1], len(weight), dtype=x.dtype)
        for index in range(x.shape[-1]):
            total = total + x[..., index : index + 1] * weight[:, index]
        return total if bias is None else total + bias

    monkeypatch.setattr(F, "linear", narrow)
    (bfloat16, float16) = run_self_test().precisions
    worst = {
        run.dtype: max(deviation.relative_error / deviation.tolerance for deviation in run.deviations)
        for run in (bfloat16, float16)
    }

    assert worst["bfloat16"] > 2 * worst["float16"]


def test_results_that_change_from_run_to_run_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(10**9))
    patch_kernel(monkeypatch, lambda y: y * (1 + 1e-7 * next(calls)))
    test = run_self_test()

    assert wrong(test.repeated)
    assert "REF005" in codes(test)


def test_a_type_that_does_not_run_here_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    right = F.scaled_dot_product_attention

    def refusing(q: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if q.dtype == torch.float16:
            raise RuntimeError("not implemented for 'Half'\ntraceback")
        return right(q, *args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", refusing)
    test = run_self_test()

    assert test.precisions[1].unsupported == "not implemented for 'Half'"
    assert codes(test) == []
