"""REF002."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor_checks.reference.measured import shown, told


@check("REF002", Severity.ERROR)
def reference_output_deviates(test: SelfTest) -> Iterator[Problem]:
    """This machine computes other float32 outputs than rounding can explain.

    ## What it checks

    The bundled models (hybrid, early and late fusion) run in float32 with the textbook form of attention on a fixed
    pair of pictures and texts, on the CPU and on every accelerator that torch sees. Each output, from the prepared
    pixels to the caption's logits, each layer on the way, every sure choice and the captions that the model writes are
    compared with what was recorded from float64.

    An output is judged by its largest error and by the root mean square of its errors. The tolerances are where the
    distributions of both end that 32 float64 runs had in which every operation was moved by a random rounding, times
    the square root of two: room for kernels that round twice where they must round once. The root mean square hardly
    varies, so it tells an accumulator of a few bits less. Correct kernels use a third of it.

    ## Why it matters

    Files, shapes and shipped weights are right, so the fault is in the arithmetic: the numeric library, its build for
    this processor, a compiler, the driver or the hardware. Every model on this machine is affected, and nothing raises
    an error.

    ## How to fix it

    The first layer says where it begins: `....heads` is attention itself, `....activation` the function between two
    linear maps, a name that ends in `_proj`, `fc1` or `fc2` a matrix product, `layer_norm` a normalisation. Install
    torch again from its official index, take patched or vendor builds out, and update the driver. If it stays, test
    the memory and run the same on another machine.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
    - https://doi.org/10.1137/18M1226312 (Higham and Mary: how rounding errors grow)
    - https://doi.org/10.1145/2700082 (Frechtling and Leong: Monte Carlo arithmetic)
    """
    if not test.files_intact:
        return
    for device in test.devices:
        place = f"{device.device} ({device.name})"
        if device.run_error is not None:
            yield Problem(
                f"the reference model does not run on {place}: {device.run_error}",
                because=[Evidence("forward pass", device.run_error, expected="outputs")],
                fix=Fix("install torch again from its official index for this device, and update the driver"),
            )
        wrong = [run for run in device.plain("float32") if run.wrong]
        if wrong:
            fusions = ", ".join(run.fusion for run in wrong)
            yield Problem(
                f"float32 is wrong on {place} in the model of {fusions} fusion: {told(wrong[0])}",
                because=[evidence for run in wrong for evidence in shown(run)],
                fix=Fix("install torch again from its official index, update the driver, then test the memory"),
            )
