"""REF002."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity


@check("REF002", Severity.ERROR)
def reference_output_deviates(test: SelfTest) -> Iterator[Problem]:
    """This machine computes other float32 outputs than rounding can explain.

    ## What it checks

    The bundled model runs in float32, with the textbook form of attention, on a fixed pair of pictures and texts. Each
    of its outputs, from the image encoder's features to the caption's logits, is compared with the one recorded from
    float64. The tolerance is four times the largest move that random rounding of every operation caused in 16 float64
    runs; a correct machine uses a fifth of it.

    ## Why it matters

    Files, shapes and shipped weights are right, so the fault is in the arithmetic: the numeric library, its build for
    this processor, a compiler, the driver or the hardware. Every model on this machine is affected, and nothing raises
    an error.

    ## How to fix it

    The first output in the list says where it begins: `image_features` alone points at the image encoder's
    operations, everything from the first on at matrix products in general. Install torch again from its official
    index, take patched or vendor builds out, and update the driver. If it stays, test the memory and run the same on
    another machine.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
    - https://doi.org/10.1137/18M1226312 (Higham and Mary: how rounding errors grow)
    - https://doi.org/10.1145/2700082 (Frechtling and Leong: Monte Carlo arithmetic)
    """
    if not test.files_intact:
        return
    if test.run_error is not None:
        yield Problem(
            f"the reference model does not run on {test.device} ({test.device_name}): {test.run_error}",
            because=[Evidence("forward pass", test.run_error, expected="outputs")],
            fix=Fix("install torch again from its official index for this device, and update the driver"),
        )
    wrong = [deviation for deviation in test.golden if deviation.exceeded]
    if wrong:
        first = wrong[0]
        yield Problem(
            f"{len(wrong)} of {len(test.golden)} float32 outputs of the reference model are wrong on {test.device} "
            f"({test.device_name}), the first is {first.output}: off by {first.relative_error:.2g} of its largest "
            f"value with {first.non_finite} NaN or infinite numbers, rounding explains {first.tolerance:.2g}",
            because=[
                Evidence(
                    f"{deviation.output}: relative error, {deviation.non_finite} not finite",
                    deviation.relative_error,
                    expected=f"up to {deviation.tolerance:.3g}, 0 not finite",
                )
                for deviation in wrong
            ],
            fix=Fix("install torch again from its official index, update the driver, then test the memory"),
        )
