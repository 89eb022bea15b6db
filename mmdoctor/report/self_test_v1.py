"""The self-test's numbers in schema `mmdoctor/report/v1`. Fields are only ever added."""

import math
from typing import Annotated

import msgspec

from mmdoctor.facts.self_test import Canary, Deviation, DeviceTest, KernelRun, ModelRun, Repetition, SelfTest

Share = Annotated[
    float | None,
    msgspec.Meta(description="Largest share of a tolerance used up; above 1 is wrong; null: beyond all numbers."),
]


class DeviationV1(msgspec.Struct, frozen=True, kw_only=True):
    """How far one output or layer is off, as fractions of its largest expected magnitude."""

    name: str
    largest: Annotated[float, msgspec.Meta(description="Largest error.")]
    largest_tolerance: float
    rms: Annotated[float, msgspec.Meta(description="Root mean square of the errors.")]
    rms_tolerance: float
    non_finite: Annotated[int, msgspec.Meta(description="Numbers that are NaN or infinite.")]
    used: Share


class ModelRunV1(msgspec.Struct, frozen=True, kw_only=True):
    """One bundled model in one type with one attention, against its recorded outputs."""

    fusion: str
    dtype: str
    attention: str
    right: bool
    unavailable: Annotated[str | None, msgspec.Meta(description="Torch's reason; null where it tried.")]
    failed: str | None
    note: str | None
    used: Share
    layers: int
    first_layer: Annotated[DeviationV1 | None, msgspec.Meta(description="First that rounding cannot explain.")]
    outputs: list[DeviationV1]
    choices_compared: int
    choices_agreed: int
    captions: Annotated[list[str], msgspec.Meta(description="What it wrote, as far as rounding cannot turn a word.")]


class KernelRunV1(msgspec.Struct, frozen=True, kw_only=True):
    """One operation by itself."""

    kernel: str
    dtype: str
    case: str
    right: bool
    unavailable: str | None
    failed: str | None
    deviation: DeviationV1 | None


class RepetitionV1(msgspec.Struct, frozen=True, kw_only=True):
    """The same sample run in another way."""

    how: str
    dtype: str
    used: Share
    wrong: list[DeviationV1]


class ScoreV1(msgspec.Struct, frozen=True, kw_only=True):
    """One task over many scenes in one type."""

    dtype: str
    scenes: int
    task: str
    observed: float
    recorded: float
    lowest: Annotated[float, msgspec.Meta(description="The least that chance explains.")]


class DeviceTestV1(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured on one device."""

    device: str
    name: str
    right: bool
    failed: str | None
    runs: list[ModelRunV1]
    kernels: list[KernelRunV1]
    repetitions: list[RepetitionV1]
    scores: list[ScoreV1]
    not_tried: dict[str, str]
    seconds: float


class SelfTestV1(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine made of the bundled reference models."""

    right: bool
    files_intact: bool
    torch: str
    threads: int
    devices: list[DeviceTestV1]
    seconds: float


def of(test: SelfTest) -> SelfTestV1:
    """The fact in the words of this version."""
    return SelfTestV1(
        right=test.right,
        files_intact=test.files_intact,
        torch=test.torch_version,
        threads=test.threads,
        devices=[_device(device) for device in test.devices],
        seconds=round(test.seconds, 3),
    )


def _device(test: DeviceTest) -> DeviceTestV1:
    return DeviceTestV1(
        device=test.device,
        name=test.name,
        right=test.right,
        failed=test.run_error,
        runs=[_run(run) for run in test.runs],
        kernels=[_kernel(run) for run in test.kernels],
        repetitions=[_repetition(each) for each in test.repetitions],
        scores=[score for canary in test.canaries for score in _scores(canary)],
        not_tried=dict(test.not_tried),
        seconds=round(test.seconds, 3),
    )


def _run(run: ModelRun) -> ModelRunV1:
    return ModelRunV1(
        fusion=run.fusion,
        dtype=run.dtype,
        attention=run.attention,
        right=not run.wrong,
        unavailable=run.unavailable,
        failed=run.failed,
        note=run.note,
        used=_share(run.used),
        layers=run.layers,
        first_layer=None if run.first_layer is None else _deviation(run.first_layer),
        outputs=[_deviation(deviation) for deviation in run.outputs],
        choices_compared=run.top1_compared,
        choices_agreed=run.top1_agreed,
        captions=[writing.observed for writing in run.written],
    )


def _kernel(run: KernelRun) -> KernelRunV1:
    return KernelRunV1(
        kernel=run.kernel,
        dtype=run.dtype,
        case=run.case,
        right=not run.wrong,
        unavailable=run.unavailable,
        failed=run.failed,
        deviation=None if run.deviation is None else _deviation(run.deviation),
    )


def _repetition(repetition: Repetition) -> RepetitionV1:
    return RepetitionV1(
        how=repetition.how,
        dtype=repetition.dtype,
        used=_share(max((deviation.used for deviation in repetition.deviations), default=0.0)),
        wrong=[_deviation(deviation) for deviation in repetition.wrong],
    )


def _scores(canary: Canary) -> list[ScoreV1]:
    return [
        ScoreV1(
            dtype=canary.dtype,
            scenes=canary.scenes,
            task=score.task,
            observed=score.observed,
            recorded=score.recorded,
            lowest=score.lowest,
        )
        for score in canary.scores
    ]


def _deviation(deviation: Deviation) -> DeviationV1:
    return DeviationV1(
        name=deviation.output,
        largest=deviation.relative_error,
        largest_tolerance=deviation.tolerance,
        rms=deviation.relative_rms,
        rms_tolerance=deviation.rms_tolerance,
        non_finite=deviation.non_finite,
        used=_share(deviation.used),
    )


def _share(value: float) -> float | None:
    return value if math.isfinite(value) else None
