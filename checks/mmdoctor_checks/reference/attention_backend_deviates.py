"""REF004."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import DeviceTest, KernelRun, ModelRun, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor_checks.reference.measured import evidence, off_by, shown, told


@check("REF004", Severity.ERROR)
def attention_backend_deviates(test: SelfTest) -> Iterator[Problem]:
    """A kernel of scaled dot-product attention does not compute the textbook formula on this machine.

    ## What it checks

    Every backend that torch offers on each device (math, flash, memory-efficient, cuDNN), torch's own choice and, where
    there is a compiler and a processor to spare, the compiled formula, in float32, bfloat16 and float16. Once by
    itself: without a mask, with a causal one, with padding, with several query heads to one key head, with one asking
    position, with two thousand asked ones, against softmax(Q K^T / sqrt(d)) V in float64. And once in the whole model,
    against the recorded outputs and layers; only where the same model with the formula written out is right, so that
    the kernel is to blame. A backend that torch refuses here is left out, not failed.

    ## Why it matters

    Torch picks the kernel by shapes, types and masks, so a wrong one shows only with some inputs: some heads empty, a
    mask one position off, padding that is seen. The model answers, and answers worse.

    ## How to fix it

    Forbid the backend that deviates, for example `torch.backends.cuda.enable_flash_sdp(False)`, or load the model with
    `attn_implementation="eager"`. Then update torch, flash-attn and the driver.

    ## Sources

    - https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html
    - https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html
    """
    if not test.files_intact:
        return
    for device in test.devices:
        kernels = [run for run in device.kernels if run.wrong and run.kernel != "product"]
        models = [run for run in device.runs if run.attention != "textbook" and run.wrong and _blamed(device, run)]
        if kernels or models:
            yield _problem(device, kernels, models)


def _blamed(device: DeviceTest, run: ModelRun) -> bool:
    """Whether the same without a fused kernel is right."""
    return not any(plain.wrong for plain in device.plain(run.dtype, run.fusion))


def _problem(device: DeviceTest, kernels: list[KernelRun], models: list[ModelRun]) -> Problem:
    because = [
        evidence(f"{run.kernel}, {run.dtype}", run.deviation)
        if run.deviation is not None
        else Evidence(f"{run.kernel}, {run.dtype}: {run.case}", run.failed, expected="a result")
        for run in kernels
    ]
    because += [each for run in models for each in shown(run)]
    backends = dict.fromkeys([*(run.attention for run in models), *(run.kernel for run in kernels)])
    tried = sum(run.deviation is not None for run in device.kernels if run.kernel != "product")
    message = f"attention is wrong on {device.device} ({device.name}) with {', '.join(backends)}: "
    if kernels:
        first = kernels[0]
        detail = first.failed if first.deviation is None else off_by(first.deviation)
        message += (
            f"{len(kernels)} of {tried} cases by themselves, the first is {first.case} in {first.dtype}, {detail}"
        )
    if models:
        first_model = models[0]
        message += "; " if kernels else ""
        message += (
            f"the model of {first_model.fusion} fusion in {first_model.dtype} with {first_model.attention} is "
            f"{told(first_model)}"
        )
    return Problem(message, because=because, fix=Fix("forbid the backends named here, or use eager attention"))
