"""REF005."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import SelfTest
from mmdoctor.finding import Fix, Problem, Severity
from mmdoctor_checks.reference.measured import evidence, off_by

_HOW = {
    "again": "run a second time",
    "batched": "run in a batch of eight",
    "cached": "decoded with a cache",
    "threaded": "run with all threads",
}


@check("REF005", Severity.ERROR)
def results_not_reproducible(test: SelfTest) -> Iterator[Problem]:
    """The same sample gives other results when it is run again, in a batch, with a cache, or with more threads.

    ## What it checks

    The bundled model in float32, bfloat16 and float16, on each device: the same input twice must be equal in every bit.
    A sample as the first of eight must be the sample alone, decoding token by token with a cache must be decoding all
    tokens at once, and all threads must give what one thread gives, within twice the tolerance of rounding, since
    either run rounds in its own order.

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
    for device in test.devices:
        for how, words in _HOW.items():
            changed = [repetition for repetition in device.repetitions if repetition.how == how and repetition.wrong]
            if not changed:
                continue
            first = changed[0]
            yield Problem(
                f"{len(first.wrong)} of {len(first.deviations)} outputs change when the same sample is {words} on "
                f"{device.device} ({device.name}) in {', '.join(each.dtype for each in changed)}, the first is "
                f"{first.wrong[0].output}: {off_by(first.wrong[0])}",
                because=[evidence(f"{each.dtype}, {words}", wrong) for each in changed for wrong in each.wrong],
                fix=Fix(
                    "find the operation with torch.use_deterministic_algorithms(True), then update torch and driver"
                ),
                severity=Severity.WARNING if how == "again" else Severity.ERROR,
            )
