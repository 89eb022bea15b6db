"""REF006."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import Canary, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity


@check("REF006", Severity.ERROR)
def accuracy_lower_than_recorded(test: SelfTest) -> Iterator[Problem]:
    """The reference model gets fewer held-out scenes right here than when it was recorded.

    ## What it checks

    The model answers held-out scenes (1000, or as many as fit in the time, which the report says) in float32, bfloat16,
    float16 and with weights quantised to int8, one scale a row, on each device: answers, boxes, captions, image-text
    matching and masked words. The seed is fixed, so the scenes are the same everywhere. Each score may fall below the
    one recorded in the same type by what would be chance if the scenes were drawn anew: what the binomial distribution
    gives at odds of one in thirty thousand (the mean overlap of boxes varies less than a share of right answers). As
    they are the same scenes, a correct machine differs by far less.

    ## Why it matters

    This is what a user sees. It also finds what a fixed pair of samples cannot: kernels that are chosen for large
    batches only, and faults that hit some scenes.

    ## How to fix it

    If another REF rule fired for the same type, put that right first. If this one is alone, the fault depends on the
    size of the batch or on the input: try other batch sizes, then update torch, the driver and the numeric library.
    With int8 alone, the conversion from int8 is wrong.

    ## Sources

    - https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html
    - https://docs.pytorch.org/docs/stable/notes/randomness.html
    """
    if not test.files_intact:
        return
    for device in test.devices:
        for canary in device.canaries:
            because = [
                Evidence(
                    f"{canary.dtype}, {score.task}: score over {canary.scenes} scenes",
                    score.observed,
                    expected=f"{score.recorded:.4g}, at least {score.lowest:.4g}",
                )
                for score in canary.lost
            ]
            if canary.failed is not None:
                because.append(Evidence(f"{canary.dtype}, scenes", canary.failed, expected="answers"))
            if because:
                yield Problem(
                    f"{canary.dtype} ruins answers on {device.device} ({device.name}): {_told(canary)}",
                    because=because,
                    fix=Fix(f"do not serve in {canary.dtype} here until torch, the driver or the library is put right"),
                )


def _told(canary: Canary) -> str:
    if not canary.lost:
        return f"it stops: {canary.failed}"
    first = canary.lost[0]
    return (
        f"{first.task} score {first.observed:.4g} over {canary.scenes} scenes, recorded is {first.recorded:.4g}, "
        f"chance explains down to {first.lowest:.4g}; {len(canary.lost)} of {len(canary.scores)} tasks are worse"
    )
