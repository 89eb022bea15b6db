"""What the self-test measured, in the words and the evidence of the REF rules."""

from collections.abc import Iterator

from mmdoctor.facts.self_test import Deviation, ModelRun
from mmdoctor.finding import Evidence

_SHOWN = 4
"""Outputs of one run that are listed; the rest follow from the first."""


def off_by(deviation: Deviation) -> str:
    """How far it is off, by the statistic that says most."""
    if deviation.non_finite:
        return f"{deviation.non_finite} of its numbers are NaN or infinite"
    if not deviation.tolerance:
        return f"off by {deviation.relative_error:.2g} of its largest value, where nothing rounds"
    largest, rms = deviation.relative_error, deviation.relative_rms
    if rms * deviation.tolerance > largest * deviation.rms_tolerance:
        said = (
            f"off by {rms:.2g} of its largest value (root mean square), rounding explains {deviation.rms_tolerance:.2g}"
        )
    else:
        said = f"off by up to {largest:.2g} of its largest value, rounding explains {deviation.tolerance:.2g}"
    return said


def evidence(what: str, deviation: Deviation) -> Evidence:
    """The share of the tolerance, and what it is a share of."""
    name = f"{what}: {deviation.output}" if what else deviation.output
    if deviation.non_finite:
        return Evidence(f"{name}, NaN or infinite numbers", deviation.non_finite, expected=0)
    if deviation.relative_rms * deviation.tolerance > deviation.relative_error * deviation.rms_tolerance:
        return Evidence(
            f"{name}, relative error (root mean square)",
            deviation.relative_rms,
            expected=f"up to {deviation.rms_tolerance:.3g}",
        )
    return Evidence(f"{name}, relative error", deviation.relative_error, expected=f"up to {deviation.tolerance:.3g}")


def told(run: ModelRun) -> str:
    """What is wrong with a run, where it begins and by how much."""
    if run.failed is not None:
        return f"it stops: {run.failed}"
    outputs = run.wrong_outputs
    before = [deviation for deviation in outputs if deviation.output in ("pixel_values", "input_ids")]
    first = before[0] if before else run.first_layer or (outputs[0] if outputs else None)
    if first is None:
        return f"{run.top1_compared - run.top1_agreed} of {run.top1_compared} sure choices are others"
    where = "layer " if first is run.first_layer else ""
    return (
        f"wrong from {where}{first.output} on, {off_by(first)}; {len(outputs)} of {len(run.outputs)} outputs are wrong"
    )


def shown(run: ModelRun) -> Iterator[Evidence]:
    """The first layer and the outputs, choices and words that rounding cannot explain."""
    what = f"{run.fusion}, {run.dtype}"
    if run.failed is not None:
        yield Evidence(f"{what}, {run.attention} attention", run.failed, expected="outputs")
    if run.first_layer is not None:
        yield evidence(f"{what}, first layer", run.first_layer)
    for deviation in run.wrong_outputs[:_SHOWN]:
        yield evidence(what, deviation)
    if run.top1_agreed < run.top1_compared:
        yield Evidence(f"{what}: sure choices that agree", run.top1_agreed, expected=run.top1_compared)
    for writing in run.written:
        if writing.wrong:
            yield Evidence(f"{what}: written caption", writing.observed, expected=writing.expected)
