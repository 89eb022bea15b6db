"""The self-test: what this machine makes of the bundled models, measured. It judges nothing; the REF rules do."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch

from mmdoctor.facts.self_test import DeviceTest, SelfTest
from mmdoctor.reference import KINDS, canary, golden_of, kernels, weights_of
from mmdoctor.reference.bundled import Subject, opened
from mmdoctor.reference.compiled import Compilation
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.device_test import Device, threads
from mmdoctor.reference.devices import device_name, visible_devices
from mmdoctor.reference.evaluation import Exam, held_out
from mmdoctor.reference.golden import TYPES

Progress = Callable[[str, float], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to measure. Each part is a list, and an empty one leaves the part out."""

    fusions: tuple[FusionKind, ...] = KINDS
    """Models against their records; the first one is the subject of all other parts."""
    dtypes: tuple[str, ...] = TYPES
    attentions: tuple[str, ...] = (kernels.TEXTBOOK, *kernels.backends())
    """For the first fusion; the others run with the textbook form and with torch's own choice."""
    kernels: tuple[str, ...] = TYPES
    """Types in which kernels run by themselves."""
    repetitions: tuple[str, ...] = TYPES
    """Types in which the first model is run again in other ways."""
    compile: bool = True
    """Compile attention, too, where there is a compiler and a processor to spare."""
    canaries: tuple[str, ...] = canary.TYPES
    """Types in which the first model answers scenes."""
    scenes: int = 1000
    seconds: float = 9.0
    """Time for the scenes on one device; after it no more are begun, but 250 in each type."""


FULL = Plan()


def run_self_test(
    devices: tuple[str, ...] | None = None,
    *,
    plan: Plan | None = None,
    progress: Progress | None = None,
    weights: Mapping[str, Path] | None = None,
    golden: Mapping[str, Path] | None = None,
) -> SelfTest:
    """Measure everything that a `SelfTest` holds.

    Args:
        devices: torch's names of the devices; all visible ones when left out.
        plan: what to measure; everything when left out.
        progress: called with the step's name and the finished fraction, 0 to 1.
        weights: other folders of the same files by fusion, for tests.
        golden: other folders of records by fusion, for tests.
    """
    started, plan = time.perf_counter(), plan or FULL
    report = progress or (lambda _step, _fraction: None)
    found = SelfTest(torch_version=str(torch.__version__), threads=torch.get_num_threads())
    with torch.inference_mode(), full_float32(), threads(1):
        report("files", 0.0)
        pairs = [
            opened(kind, (weights or {}).get(kind, weights_of(kind)), (golden or {}).get(kind, golden_of(kind)))
            for kind in plan.fusions
        ]
        subjects = [subject for _, subject in pairs if subject is not None]
        found = msgspec.structs.replace(found, bundles=tuple(bundle for bundle, _ in pairs))
        if len(subjects) == len(pairs):
            report("drawing scenes", 0.01)
            exam = held_out(subjects[0].processor, plan.scenes) if plan.canaries else None
            named = visible_devices() if devices is None else devices
            tests = []
            for index, name in enumerate(named):

                def part(step: str, fraction: float, index: int = index, name: str = name) -> None:
                    report(step if len(named) == 1 else f"{name}: {step}", (index + fraction) / len(named))

                tests.append(_test(name, subjects, found.threads, exam, plan, part))
            found = msgspec.structs.replace(found, devices=tuple(tests))
    report("done", 1.0)
    return msgspec.structs.replace(found, seconds=time.perf_counter() - started)


def _test(
    name: str, subjects: list[Subject], all_threads: int, exam: Exam | None, plan: Plan, report: Progress
) -> DeviceTest:
    """Everything on one device; what stops it is a finding, not a crash."""
    began = time.perf_counter()
    found = DeviceTest(device=name, name=name)
    try:
        found = msgspec.structs.replace(found, name=device_name(name))
        for changes in _parts(Device(name, subjects, all_threads), exam, plan, report):
            found = msgspec.structs.replace(found, **changes)
    except (RuntimeError, AssertionError, ValueError) as error:  # torch asserts that it was built for CUDA
        found = msgspec.structs.replace(found, run_error=kernels.first_line(error))
    return msgspec.structs.replace(found, seconds=time.perf_counter() - began)


def _parts(device: Device, exam: Exam | None, plan: Plan, report: Progress) -> Iterator[dict[str, object]]:
    """Fields of the device's test, a part at a time."""
    first, *others = device.subjects
    with Compilation(str(device.device), enabled=plan.compile) as compilation:
        report("the model against its recorded outputs", 0.02)
        runs = tuple(device.runs(first, plan.dtypes, plan.attentions))
        yield {"runs": runs}
        for subject in others:
            runs += tuple(device.runs(subject, plan.dtypes, (kernels.TEXTBOOK, kernels.AUTOMATIC)))
        yield {"runs": runs}
        report("attention and products by themselves", 0.2)
        alone = tuple(device.kernels(plan.kernels))
        yield {"kernels": alone}
        report("the same again: in a batch, with a cache, with all threads", 0.3)
        yield {"repetitions": tuple(device.repetitions(plan.repetitions))}
        if exam is not None:
            step = f"{plan.scenes} scenes in {', '.join(plan.canaries)}"
            bench = canary.Bench(first.model, device.device, exam, first.golden.record.scores)
            workers = device.threads if device.device.type == "cpu" else 1
            canaries = bench.run(
                plan.canaries,
                seconds=plan.seconds,
                workers=min(workers, len(plan.canaries)),
                progress=lambda done: report(step, 0.35 + 0.6 * done),
            )
            yield {"canaries": canaries}
        report("attention, compiled", 0.95)
        yield {"kernels": alone + compilation.runs()}
        if compilation.why_not is not None:
            yield {"not_tried": {"torch.compile": compilation.why_not}}


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 in float32 products and no narrow partial sums, whatever the process has set; set back afterwards.

    https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
