"""REF003."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import PrecisionRun, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity


@check("REF003", Severity.ERROR)
def reduced_precision_deviates(test: SelfTest) -> Iterator[Problem]:
    """bfloat16 or float16 gives other answers on this machine than their rounding can explain.

    ## What it checks

    The bundled model runs in bfloat16 and in float16, and each output is compared with the same machine's float32.
    Its weights are numbers that all three types hold exactly, so what differs is the arithmetic, not the storage. The
    tolerance is four times the largest move that random rounding to that type caused in 16 float64 runs, in which
    every operation rounds its result once: correct kernels add up in float32. Choices (answers, words) that rounding
    cannot turn must be the same. A type that torch refuses on this device is left out, not failed.

    ## Why it matters

    Models are served in these types. A kernel that adds up in the narrow type, overflows float16, or is built wrongly
    for this processor gives fluent answers that are wrong, and no error.

    ## How to fix it

    Serve in the type that passes, float32 if neither does. On NVIDIA, forbid reduced-precision sums:
    `torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False` (and `allow_fp16_...`). Then update
    torch, the driver and the vendor's numeric library.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
    - https://docs.pytorch.org/docs/stable/notes/cuda.html#reduced-precision-reduction-in-bf16-gemms
    - https://doi.org/10.1145/2700082 (Frechtling and Leong: Monte Carlo arithmetic)
    """
    if test.files_intact:
        for run in test.precisions:
            yield from _judge(run, test)


def _judge(run: PrecisionRun, test: SelfTest) -> Iterator[Problem]:
    wrong = [deviation for deviation in run.deviations if deviation.exceeded]
    turned = run.top1_compared - run.top1_agreed
    if not wrong and not turned:
        return
    because = [
        Evidence(
            f"{deviation.output} in {run.dtype}: relative error, {deviation.non_finite} not finite",
            deviation.relative_error,
            expected=f"up to {deviation.tolerance:.3g}, 0 not finite",
        )
        for deviation in wrong
    ]
    if turned:
        because.append(Evidence(f"choices in {run.dtype} that agree", run.top1_agreed, expected=run.top1_compared))
    first = wrong[0] if wrong else None
    detail = f"; the first is {first.output}, off by {first.relative_error:.2g} of its largest value" if first else ""
    yield Problem(
        f"{run.dtype} is wrong on {test.device} ({test.device_name}): {len(wrong)} of {len(run.deviations)} outputs "
        f"are further from float32 than rounding explains, {turned} of {run.top1_compared} sure choices "
        f"are others{detail}",
        because=because,
        fix=Fix(f"do not serve in {run.dtype} here until torch, the driver or the numeric library is put right"),
    )
