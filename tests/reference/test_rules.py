"""The REF rules on measurements made by hand: each fires, is silent, and knows its edge."""

import msgspec
import pytest

from mmdoctor.check import Check
from mmdoctor.facts.reference import FileDigest, TensorMismatch
from mmdoctor.facts.self_test import (
    Bundle,
    Canary,
    Deviation,
    DeviceTest,
    KernelRun,
    ModelRun,
    Repetition,
    Score,
    SelfTest,
    Writing,
)
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.reference.accuracy_lower_than_recorded import accuracy_lower_than_recorded
from mmdoctor_checks.reference.attention_backend_deviates import attention_backend_deviates
from mmdoctor_checks.reference.reduced_precision_deviates import reduced_precision_deviates
from mmdoctor_checks.reference.reference_files_damaged import reference_files_damaged
from mmdoctor_checks.reference.reference_output_deviates import reference_output_deviates
from mmdoctor_checks.reference.results_not_reproducible import results_not_reproducible
from mmdoctor_checks.reference.sums_rounded_too_often import sums_rounded_too_often

INTACT = FileDigest(file="weights/hybrid/config.json", recorded_sha256="aa", observed_sha256="aa")
BUNDLE = Bundle(fusion="hybrid", files=(INTACT,))
HEALTHY = SelfTest(torch_version="2.14.1", threads=2, bundles=(BUNDLE,))


def files(**changes: object) -> SelfTest:
    return msgspec.structs.replace(HEALTHY, bundles=(msgspec.structs.replace(BUNDLE, **changes),))


def device(**parts: object) -> SelfTest:
    test = msgspec.structs.replace(DeviceTest(device="cuda:0", name="NVIDIA L4"), **parts)
    return msgspec.structs.replace(HEALTHY, devices=(DeviceTest(device="cpu", name="x86_64"), test))


def off(error: float, *, rms: float = 0.0, non_finite: int = 0, output: str = "box") -> Deviation:
    return Deviation(
        output=output,
        max_abs_error=error,
        rms_error=rms,
        scale=1.0,
        cosine=1.0,
        non_finite=non_finite,
        tolerance=0.25,
        rms_tolerance=0.125,
    )


WRONG = off(0.26)


def run(dtype: str = "float32", attention: str = "textbook", *outputs: Deviation, **changes: object) -> ModelRun:
    plain = ModelRun(fusion="hybrid", dtype=dtype, attention=attention, outputs=outputs or (off(0.25, rms=0.125),))
    return msgspec.structs.replace(plain, **changes)


def test_intact_files_are_silent() -> None:
    silent(reference_files_damaged, HEALTHY)


def test_a_file_with_another_digest_is_named() -> None:
    changed = FileDigest(file="weights/hybrid/tokenizer.json", recorded_sha256="aa", observed_sha256="ab")
    (problem,) = fires(reference_files_damaged, files(files=(INTACT, changed)))

    assert "1 of 2 files" in problem.message
    assert (problem.because[0].at.file, problem.because[0].observed) == ("weights/hybrid/tokenizer.json", "ab")


def test_a_file_that_is_gone_is_named() -> None:
    gone = FileDigest(file="tokenizer.json", recorded_sha256="aa", observed_sha256=None)
    (problem,) = fires(reference_files_damaged, files(files=(gone,)))

    assert problem.because[0].observed == "no such file"


@pytest.mark.parametrize(
    "change",
    [
        {"load_error": "no config.json"},
        {"missing_tensors": ("lm_head.weight",)},
        {"unexpected_tensors": ("lm_head.bias",)},
        {"mismatched_tensors": (TensorMismatch(name="lm_head.weight", expected=(2, 3), observed=(3, 2)),)},
        {"non_finite_tensors": ("lm_head.weight",)},
    ],
)
def test_every_kind_of_damage_fires_once(change: dict[str, object]) -> None:
    assert len(fires(reference_files_damaged, files(**change))) == 1


def test_rounding_is_silent_up_to_the_tolerance() -> None:
    silent(reference_output_deviates, device(runs=(run(),)))


def test_the_root_mean_square_has_its_own_tolerance() -> None:
    (problem,) = fires(reference_output_deviates, device(runs=(run("float32", "textbook", off(0.2, rms=0.126)),)))

    assert "root mean square" in problem.message
    assert problem.because[0].observed == 0.126


def test_the_first_wrong_layer_is_named_and_the_device() -> None:
    layer = off(0.3, output="vision_model.encoder.layers.2.self_attn.heads")
    wrong = run("float32", "textbook", off(0.1), off(0.26, output="fused_text"), first_layer=layer)
    (problem,) = fires(reference_output_deviates, device(runs=(wrong,)))

    assert "on cuda:0 (NVIDIA L4)" in problem.message
    assert "from layer vision_model.encoder.layers.2.self_attn.heads on, off by up to 0.3" in problem.message
    assert "1 of 2 outputs" in problem.message
    assert [evidence.observed for evidence in problem.because] == [0.3, 0.26]


def test_what_the_processor_made_comes_before_any_layer() -> None:
    wrong = run("float32", "textbook", off(0.3, output="pixel_values"), first_layer=off(0.4, output="patch_embedding"))
    (problem,) = fires(reference_output_deviates, device(runs=(wrong,)))

    assert "wrong from pixel_values on" in problem.message


def test_one_nan_fires() -> None:
    (problem,) = fires(reference_output_deviates, device(runs=(run("float32", "textbook", off(0, non_finite=1)),)))

    assert "1 of its numbers are NaN or infinite" in problem.message


def test_a_device_that_stops_and_a_run_that_stops_fire() -> None:
    (problem,) = fires(reference_output_deviates, device(run_error="CUDA error: no kernel image"))
    assert "no kernel image" in problem.message

    (problem,) = fires(reference_output_deviates, device(runs=(run(outputs=(), failed="out of memory"),)))
    assert "it stops: out of memory" in problem.message


@pytest.mark.parametrize(
    "change",
    [
        {"top1_compared": 9, "top1_agreed": 8},
        {"written": (Writing(expected="a red circle", observed="a red ring", sure=3, same=2),)},
    ],
)
def test_a_turned_choice_and_a_turned_word_fire(change: dict[str, object]) -> None:
    (problem,) = fires(reference_output_deviates, device(runs=(run(**change),)))

    assert problem.because[0].observed in (8, "a red ring")


def test_a_word_that_rounding_can_turn_is_silent() -> None:
    written = Writing(expected="a red", observed="a red", sure=2, same=2)
    silent(reference_output_deviates, device(runs=(run(top1_compared=9, top1_agreed=9, written=(written,)),)))


def test_reduced_types_within_their_rounding_are_silent() -> None:
    silent(reduced_precision_deviates, device(runs=(run(), run("bfloat16"), run("float16"))))


def test_a_type_that_does_not_run_here_is_silent() -> None:
    silent(reduced_precision_deviates, device(runs=(run("float16", outputs=(), unavailable="no half"),)))


def test_each_wrong_type_has_its_finding() -> None:
    wrong = run("bfloat16", "textbook", WRONG), run("float16", "textbook", off(0, non_finite=3))
    first, second = fires(reduced_precision_deviates, device(runs=(run(), *wrong)))

    assert "bfloat16 is wrong on cuda:0 (NVIDIA L4) in the model of hybrid fusion, float32 is right" in first.message
    assert "float16 is wrong" in second.message


def test_where_float32_is_wrong_too_it_is_the_one_cause() -> None:
    runs = run("float32", "textbook", WRONG), run("float16", "textbook", WRONG)
    silent(reduced_precision_deviates, device(runs=runs))
    fires(reference_output_deviates, device(runs=runs))


def kernel(backend: str, deviation: Deviation | None, **changes: object) -> KernelRun:
    plain = KernelRun(kernel=backend, dtype="float32", case="causal", deviation=deviation)
    return msgspec.structs.replace(plain, **(changes or ({} if deviation else {"unavailable": "not built"})))


def test_kernels_within_rounding_and_kernels_not_there_are_silent() -> None:
    kernels = kernel("MATH", off(0.25)), kernel("CUDNN_ATTENTION", None)
    silent(attention_backend_deviates, device(kernels=kernels, runs=(run(), run("float32", "MATH"))))


def test_the_wrong_kernel_is_named() -> None:
    kernels = kernel("MATH", off(0.1)), kernel("FLASH_ATTENTION", WRONG), kernel("CUDNN_ATTENTION", None)
    (problem,) = fires(attention_backend_deviates, device(kernels=kernels))

    assert "with FLASH_ATTENTION: 1 of 2 cases by themselves, the first is causal in float32" in problem.message


def test_a_kernel_that_breaks_is_named() -> None:
    (problem,) = fires(attention_backend_deviates, device(kernels=(kernel("MATH", None, failed="illegal access"),)))

    assert "illegal access" in problem.message


def test_a_backend_is_blamed_only_where_the_written_out_formula_is_right() -> None:
    wrong = run("float16", "FLASH_ATTENTION", WRONG, first_layer=off(0.5, output="text_model.heads"))
    (problem,) = fires(attention_backend_deviates, device(runs=(run("float16"), wrong)))
    assert "with FLASH_ATTENTION is wrong from layer text_model.heads on" in problem.message

    silent(attention_backend_deviates, device(runs=(run("float16", "textbook", WRONG), wrong)))


def product(deviation: Deviation | None, **changes: object) -> KernelRun:
    return msgspec.structs.replace(kernel("product", deviation, **changes), case="4096")


def test_products_within_rounding_are_silent() -> None:
    silent(sums_rounded_too_often, device(kernels=(product(off(0.25)), product(None))))


def test_a_product_that_rounds_too_often_is_named() -> None:
    wrong = device(kernels=(product(off(0.1)), product(off(0.2, rms=0.4))))
    (problem,) = fires(sums_rounded_too_often, wrong)

    assert "a sum of 4096 terms in float32 is off by 0.4 of its largest value (root mean square)" in problem.message
    silent(attention_backend_deviates, wrong)
    assert (
        "out of memory"
        in fires(sums_rounded_too_often, device(kernels=(product(None, failed="out of memory"),)))[0].message
    )


def score(observed: float) -> Score:
    return Score(task="captions", observed=observed, recorded=0.99, lowest=0.97)


def test_scores_down_to_what_chance_explains_are_silent() -> None:
    canaries = Canary(dtype="int8", scenes=1000, scores=(score(0.97),)), Canary(dtype="float16", unavailable="no half")
    silent(accuracy_lower_than_recorded, device(canaries=canaries))


@pytest.mark.parametrize("observed", [0.9699, float("nan")])
def test_a_lower_score_is_named(observed: float) -> None:
    canary = Canary(dtype="int8", scenes=1000, scores=(score(0.99), score(observed)))
    (problem,) = fires(accuracy_lower_than_recorded, device(canaries=(canary,)))

    assert "int8 ruins answers on cuda:0 (NVIDIA L4): captions" in problem.message
    assert "1 of 2 tasks" in problem.message


def test_scenes_that_stop_are_named() -> None:
    canary = Canary(dtype="float16", failed="illegal access")
    (problem,) = fires(accuracy_lower_than_recorded, device(canaries=(canary,)))

    assert "illegal access" in problem.message


def again(how: str, *deviations: Deviation, dtype: str = "float32") -> Repetition:
    return Repetition(how=how, dtype=dtype, deviations=deviations)


def test_equal_results_are_silent() -> None:
    silent(results_not_reproducible, device(repetitions=(again("again", off(0.0)), again("cached", off(0.25)))))


@pytest.mark.parametrize(
    ("how", "severity"),
    [
        ("again", Severity.WARNING),
        ("batched", Severity.ERROR),
        ("cached", Severity.ERROR),
        ("threaded", Severity.ERROR),
    ],
)
def test_each_way_to_differ_has_its_finding(how: str, severity: Severity) -> None:
    both = again(how, WRONG), again(how, WRONG, dtype="float16")
    (problem,) = fires(results_not_reproducible, device(repetitions=both))

    assert problem.severity == severity
    assert "in float32, float16" in problem.message
    assert len(problem.because) == 2


RULES = (
    *(reference_output_deviates, reduced_precision_deviates, attention_backend_deviates),
    *(results_not_reproducible, sums_rounded_too_often, accuracy_lower_than_recorded),
)


@pytest.mark.parametrize("rule", RULES)
def test_damaged_files_are_the_one_cause(rule: Check[...]) -> None:
    everything = device(
        run_error="stopped",
        runs=(run("float32", "textbook", WRONG), run("float16", "MATH", WRONG)),
        kernels=(kernel("MATH", WRONG), product(WRONG)),
        repetitions=(again("again", WRONG),),
        canaries=(Canary(dtype="int8", scenes=9, scores=(score(0.0),)),),
    )
    damaged = msgspec.structs.replace(BUNDLE, load_error="config.json cannot be used")
    silent(rule, msgspec.structs.replace(everything, bundles=(damaged,)))


def test_a_share_of_a_tolerance_of_nothing() -> None:
    nothing = msgspec.structs.replace(off(0.0), tolerance=0.0, rms_tolerance=0.0)
    assert not nothing.exceeded
    assert msgspec.structs.replace(nothing, max_abs_error=1e-30).exceeded
    assert msgspec.structs.replace(nothing, scale=0.0, tolerance=0.5).used == 0
