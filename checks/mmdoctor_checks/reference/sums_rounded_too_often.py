"""REF007."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import KernelRun, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor_checks.reference.measured import evidence, off_by


@check("REF007", Severity.ERROR)
def sums_rounded_too_often(test: SelfTest) -> Iterator[Problem]:
    """Matrix products add up in a type too narrow for their sums.

    ## What it checks

    Products with sums of 128 and of 4096 terms, in float32, bfloat16 and float16, on each device, against float64. The
    factors are numbers that the types hold exactly, so a correct product rounds once, when it stores its result. Long
    sums may be handed on as up to 16 partial sums in the narrow type, as cuBLAS does with torch's default settings. An
    accumulator in the narrow type rounds after every step: with 4096 terms that is plain, also where it takes 16 terms
    a step.

    ## Why it matters

    Each long sum loses digits, more of them the wider the model is, so large models suffer most. Answers stay fluent
    and get worse; a float16 accumulator also overflows beyond 65504.

    ## How to fix it

    On NVIDIA set `torch.backends.cuda.matmul.allow_fp16_accumulation = False` and forbid reduced-precision reductions
    (`allow_fp16_reduced_precision_reduction`, `allow_bf16_reduced_precision_reduction`). Take patched numeric libraries
    out, and serve in float32 until it is gone.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/cuda.html#full-fp16-accumulation-in-fp16-gemms
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#reduced-precision-reduction-in-fp16-gemms
    - https://doi.org/10.1137/18M1226312 (Higham and Mary: how rounding errors grow)
    """
    if not test.files_intact:
        return
    for device in test.devices:
        wrong = [run for run in device.kernels if run.wrong and run.kernel == "product"]
        if wrong:
            dtypes = ", ".join(dict.fromkeys(run.dtype for run in wrong))
            worst = max(wrong, key=_used)
            yield Problem(
                f"products of matrices are wrong on {device.device} ({device.name}) in {dtypes}: a sum of "
                f"{worst.case} terms in {worst.dtype} is "
                f"{worst.failed if worst.deviation is None else off_by(worst.deviation)}",
                because=[
                    Evidence(f"{run.dtype}, {run.case} terms", run.failed, expected="a product")
                    if run.deviation is None
                    else evidence(f"{run.dtype}, terms", run.deviation)
                    for run in wrong
                ],
                fix=Fix("forbid accumulation and reductions in narrow types, or serve in float32"),
            )


def _used(run: KernelRun) -> float:
    return float("inf") if run.deviation is None else run.deviation.used
