"""REF005."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import Deviation, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity


@check("REF005", Severity.ERROR)
def results_not_reproducible(test: SelfTest) -> Iterator[Problem]:
    """The same sample gives other results when it is run again, in a batch, with a cache, or with more threads.

    ## What it checks

    The bundled model in float32: the same input twice must be equal in every bit. A sample as the first of eight must
    be the sample alone, decoding token by token with a cache must be decoding all tokens at once, and all threads must
    give what one thread gives, within twice the tolerance of rounding, since either run rounds in its own order.

    ## Why it matters

    Serving engines batch and cache. A result that depends on its neighbours in the batch, or on the cache, cannot be
    tested and is wrong for some users. Results that change from run to run are a weaker sign: kernels that add in
    changing order, or memory that flips bits. That case is a warning.

    ## How to fix it

    Run with `torch.use_deterministic_algorithms(True)` and `CUBLAS_WORKSPACE_CONFIG=:4096:8`: torch then names the
    operation that is not deterministic, or the difference goes away. If results differ between batch sizes by more than
    rounding, update torch and the driver and test the memory.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    - https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html#batched-computations-or-slice-computations
    """
    if not test.files_intact:
        return
    kinds = (
        ("run a second time", test.repeated, Severity.WARNING),
        ("run in a batch of eight", test.batched, Severity.ERROR),
        ("decoded with a cache", test.cached, Severity.ERROR),
        (f"run with {test.threads} threads", test.threaded, Severity.ERROR),
    )
    for what, deviations, severity in kinds:
        wrong = [deviation for deviation in deviations if deviation.exceeded]
        if wrong:
            yield Problem(
                f"{len(wrong)} of {len(deviations)} outputs change when the same sample is {what} on {test.device} "
                f"({test.device_name}), the first is {wrong[0].output}: by {wrong[0].relative_error:.2g} of its "
                f"largest value, expected up to {wrong[0].tolerance:.2g}",
                because=[_evidence(what, deviation) for deviation in wrong],
                fix=Fix(
                    "find the operation with torch.use_deterministic_algorithms(True), then update torch and driver"
                ),
                severity=severity,
            )


def _evidence(what: str, deviation: Deviation) -> Evidence:
    return Evidence(
        f"{deviation.output} {what}: relative error, {deviation.non_finite} not finite",
        deviation.relative_error,
        expected=f"up to {deviation.tolerance:.3g}, 0 not finite",
    )
