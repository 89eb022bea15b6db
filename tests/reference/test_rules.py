import msgspec
import pytest

from mmdoctor.facts.reference import AttentionRun, Deviation, FileDigest, PrecisionRun, SelfTest, TensorMismatch
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.reference.attention_backend_deviates import attention_backend_deviates
from mmdoctor_checks.reference.reduced_precision_deviates import reduced_precision_deviates
from mmdoctor_checks.reference.reference_files_damaged import reference_files_damaged
from mmdoctor_checks.reference.reference_output_deviates import reference_output_deviates
from mmdoctor_checks.reference.results_not_reproducible import results_not_reproducible

INTACT = FileDigest(file="config.json", recorded_sha256="aa", observed_sha256="aa")
HEALTHY = SelfTest(device="cpu", device_name="x86_64", torch_version="2.14.1", threads=2, files=(INTACT,))
DAMAGED = msgspec.structs.replace(HEALTHY, load_error="config.json cannot be used")


def but(**changes: object) -> SelfTest:
    return msgspec.structs.replace(HEALTHY, **changes)


def off(error: float, *, tolerance: float = 0.25, non_finite: int = 0, output: str = "box") -> Deviation:
    return Deviation(
        output=output, max_abs_error=error, scale=1.0, cosine=1.0, non_finite=non_finite, tolerance=tolerance
    )


def test_intact_files_are_silent() -> None:
    silent(reference_files_damaged, HEALTHY)


def test_a_file_with_another_digest_is_named() -> None:
    changed = FileDigest(file="tokenizer.json", recorded_sha256="aa", observed_sha256="ab")
    (problem,) = fires(reference_files_damaged, but(files=(INTACT, changed)))

    assert "1 of 2 files" in problem.message
    assert (problem.because[0].at.file, problem.because[0].observed) == ("tokenizer.json", "ab")


def test_a_file_that_is_gone_is_named() -> None:
    gone = FileDigest(file="tokenizer.json", recorded_sha256="aa", observed_sha256=None)
    (problem,) = fires(reference_files_damaged, but(files=(gone,)))

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
    assert len(fires(reference_files_damaged, but(**change))) == 1


def test_rounding_is_silent_up_to_the_tolerance() -> None:
    silent(reference_output_deviates, but(golden=(off(0.25),)))


def test_the_first_wrong_output_is_named() -> None:
    golden = (off(0.1), off(0.26, output="fused_text"), off(0.9, output="caption_logits"))
    (problem,) = fires(reference_output_deviates, but(golden=golden))

    assert "2 of 3 float32 outputs" in problem.message
    assert "the first is fused_text: off by 0.26" in problem.message
    assert [evidence.observed for evidence in problem.because] == [0.26, 0.9]


def test_one_nan_fires() -> None:
    (problem,) = fires(reference_output_deviates, but(golden=(off(0, non_finite=1),)))

    assert "1 NaN or infinite" in problem.message


def test_a_run_that_stops_fires() -> None:
    (problem,) = fires(reference_output_deviates, but(run_error="CUDA error: no kernel image"))

    assert "no kernel image" in problem.message


def run(dtype: str = "float16", **changes: object) -> PrecisionRun:
    return msgspec.structs.replace(
        PrecisionRun(dtype=dtype, deviations=(off(0.25),), top1_compared=9, top1_agreed=9), **changes
    )


def test_a_reduced_precision_within_its_rounding_is_silent() -> None:
    silent(reduced_precision_deviates, but(precisions=(run("bfloat16"), run())))


def test_a_type_that_does_not_run_here_is_silent() -> None:
    silent(reduced_precision_deviates, but(precisions=(PrecisionRun(dtype="float16", unsupported="no half"),)))


def test_each_wrong_type_has_its_finding() -> None:
    precisions = (run("bfloat16", deviations=(off(0.26),)), run("float16", deviations=(off(0, non_finite=3),)))
    first, second = fires(reduced_precision_deviates, but(precisions=precisions))

    assert "bfloat16 is wrong" in first.message
    assert "float16 is wrong" in second.message


def test_one_turned_choice_fires() -> None:
    (problem,) = fires(reduced_precision_deviates, but(precisions=(run(top1_agreed=8),)))

    assert "1 of 9 sure choices are others" in problem.message
    assert (problem.because[0].observed, problem.because[0].expected) == (8, 9)


def kernel(backend: str, deviation: Deviation | None) -> AttentionRun:
    return AttentionRun(
        backend=backend,
        dtype="float32",
        case="causal",
        deviation=deviation,
        unavailable=None if deviation else "not built",
    )


def test_kernels_within_rounding_and_kernels_not_there_are_silent() -> None:
    runs = (kernel("MATH", off(0.25)), kernel("CUDNN_ATTENTION", None))
    silent(attention_backend_deviates, but(attention=runs, fused_attention=(off(0.25),)))


def test_the_wrong_kernel_is_named() -> None:
    runs = (kernel("MATH", off(0.1)), kernel("FLASH_ATTENTION", off(0.26)), kernel("CUDNN_ATTENTION", None))
    (problem,) = fires(attention_backend_deviates, but(attention=runs))

    assert "1 of 2 cases, with FLASH_ATTENTION" in problem.message


def test_a_model_that_only_differs_as_a_whole_fires() -> None:
    (problem,) = fires(attention_backend_deviates, but(fused_attention=(off(0.1), off(0.3, output="fused_image"))))

    assert "fused_image is the first output" in problem.message


def test_equal_results_are_silent() -> None:
    silent(results_not_reproducible, but(repeated=(off(0, tolerance=0),), batched=(off(0.25),), cached=(off(0.25),)))


@pytest.mark.parametrize(
    ("kind", "severity"),
    [
        ("repeated", Severity.WARNING),
        ("batched", Severity.ERROR),
        ("cached", Severity.ERROR),
        ("threaded", Severity.ERROR),
    ],
)
def test_each_way_to_differ_has_its_finding(kind: str, severity: Severity) -> None:
    tolerance = 0.0 if kind == "repeated" else 0.25
    (problem,) = fires(results_not_reproducible, but(**{kind: (off(tolerance + 1e-9, tolerance=tolerance),)}))

    assert problem.severity == severity


@pytest.mark.parametrize(
    "rule",
    [reference_output_deviates, reduced_precision_deviates, attention_backend_deviates, results_not_reproducible],
)
def test_damaged_files_are_the_one_cause(rule: object) -> None:
    everything = msgspec.structs.replace(
        DAMAGED,
        run_error="stopped",
        golden=(off(9),),
        fused_attention=(off(9),),
        precisions=(run(deviations=(off(9),)),),
        attention=(kernel("MATH", off(9)),),
        repeated=(off(9),),
        batched=(off(9),),
        cached=(off(9),),
        threaded=(off(9),),
    )
    silent(rule, everything)  # type: ignore[arg-type]  # one of the rules above
