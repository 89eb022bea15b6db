"""REF004."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity


@check("REF004", Severity.ERROR)
def attention_backend_deviates(test: SelfTest) -> Iterator[Problem]:
    """A kernel of scaled dot-product attention does not compute the textbook formula on this machine.

    ## What it checks

    Every backend that torch offers here, and torch's own choice, in float32, bfloat16 and float16, without a mask, with
    a causal one and with a padding one, against softmax(Q K^T / sqrt(d)) V in float64. Then the whole bundled model
    with torch's own choice against the same model with the formula written out. The tolerances are four times the
    largest move that random rounding caused. A backend that torch refuses here is left out, not failed.

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
    because = [
        Evidence(
            f"{run.backend}, {run.dtype}, {run.case}: relative error, {run.deviation.non_finite} not finite",
            run.deviation.relative_error,
            expected=f"up to {run.deviation.tolerance:.3g}, 0 not finite",
        )
        for run in test.attention
        if run.deviation is not None and run.deviation.exceeded
    ]
    ran = sum(run.deviation is not None for run in test.attention)
    backends = sorted({run.backend for run in test.attention if run.deviation is not None and run.deviation.exceeded})
    message = f"attention is wrong on {test.device} ({test.device_name}) in {len(because)} of {ran} cases"
    if backends:
        message += f", with {', '.join(backends)}"
    outputs = [deviation for deviation in test.fused_attention if deviation.exceeded]
    if outputs:
        because += [
            Evidence(
                f"{output.output} with torch's own choice: relative error, {output.non_finite} not finite",
                output.relative_error,
                expected=f"up to {output.tolerance:.3g}, 0 not finite",
            )
            for output in outputs
        ]
        message += f"; in the whole model {outputs[0].output} is the first output that it changes"
    if because:
        yield Problem(message, because=because, fix=Fix("forbid the backends named here, or use eager attention"))
