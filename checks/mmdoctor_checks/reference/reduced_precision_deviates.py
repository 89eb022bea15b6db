"""REF003."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.finding import Fix, Problem, Severity
from mmdoctor_checks.reference.measured import shown, told


@check("REF003", Severity.ERROR)
def reduced_precision_deviates(test: SelfTest) -> Iterator[Problem]:
    """bfloat16 or float16 gives other answers on this machine than their rounding can explain.

    ## What it checks

    The bundled models run in bfloat16 and in float16 with the textbook form of attention, on the CPU and on every
    accelerator, and outputs, layers, sure choices and written captions are compared with what was recorded from
    float64. Weights and pictures are numbers that all types hold exactly, so what differs is the arithmetic, not the
    storage. The tolerances come from float64 runs in which every operation rounds its result once, at random, to that
    type: correct kernels add up in float32. Correct kernels use two thirds of them; a product that adds up in float16
    uses three times as much as there is. A type that torch refuses on a device is left out, not failed.

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
    if not test.files_intact:
        return
    for device in test.devices:
        if device.arithmetic_wrong("float32"):
            continue
        for dtype in dict.fromkeys(run.dtype for run in device.runs):
            wrong = [run for run in device.plain(dtype) if run.wrong]
            if wrong and dtype != "float32":
                fusions = ", ".join(run.fusion for run in wrong)
                yield Problem(
                    f"{dtype} is wrong on {device.device} ({device.name}) in the model of {fusions} fusion, float32 is "
                    f"right: {told(wrong[0])}",
                    because=[evidence for run in wrong for evidence in shown(run)],
                    fix=Fix(
                        f"do not serve in {dtype} here until torch, the driver or the numeric library is put right"
                    ),
                )
