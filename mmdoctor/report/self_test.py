"""What the self-test says about this machine, in a few lines: that it computes right, or where it does not."""

from collections.abc import Iterable, Iterator

from mmdoctor.facts.self_test import Canary, DeviceTest, SelfTest
from mmdoctor.report.text import plain

_NAMES = {
    "textbook": "written out",
    "AUTOMATIC": "torch's choice",
    "MATH": "math",
    "FLASH_ATTENTION": "flash",
    "EFFICIENT_ATTENTION": "memory-efficient",
    "CUDNN_ATTENTION": "cuDNN",
    "OVERRIDEABLE": "of an extension",
    "compiled": "compiled",
}
_TASKS = {"answers": "answers", "box_iou": "boxes", "captions": "captions", "matching": "matching"}


def lines(test: SelfTest) -> Iterator[str]:
    """One sentence for the verdict, then one for each thing that was measured."""
    if not test.files_intact:
        yield "this machine was not judged: the bundled files are damaged"
        return
    wrong = [device.device for device in test.devices if not device.right]
    if wrong:
        yield f"this machine computes wrong on {', '.join(map(plain, wrong))}; right is what no finding names"
    else:
        yield f"this machine computes right on {', '.join(map(_place, test.devices))}"
    for device in test.devices:
        where = "" if len(test.devices) == 1 else f"{plain(device.device)}: "
        yield from (where + line for line in _measured(device))


def _place(device: DeviceTest) -> str:
    return f"{plain(device.device)} ({plain(device.name)})"


def _measured(device: DeviceTest) -> Iterator[str]:
    ran = [run for run in device.runs if run.outputs]
    if ran:
        used = {dtype: max(run.used for run in ran if run.dtype == dtype) for dtype in _kinds(r.dtype for r in ran)}
        shares = ", ".join(f"{dtype} {share:.0%}" for dtype, share in used.items())
        fusions = ", ".join(_kinds(run.fusion for run in ran))
        yield f"of what rounding explains, outputs and layers use at most: {shares} (models of {fusions} fusion)"
    kernels = [run for run in device.kernels if run.kernel != "product"]
    named = _kinds([*(run.attention for run in ran), *(run.kernel for run in kernels if run.deviation is not None)])
    if named:
        yield f"attention compared: {', '.join(_NAMES.get(name, name) for name in named)}"
    if absent := _absent(device):
        yield f"not here: {absent}"
    for canary in device.canaries:
        yield from _scored(canary)


def _absent(device: DeviceTest) -> str:
    """Kernels and types that torch refuses here, and what was not tried, each with the reason."""
    tried = {run.kernel for run in device.kernels if run.deviation is not None}
    reasons: dict[str, list[str]] = {}
    for run in device.kernels:
        if run.unavailable is not None and run.kernel not in tried:
            name = _NAMES.get(run.kernel, run.kernel)
            named = reasons.setdefault(run.unavailable, [])
            if name not in named:
                named.append(name)
    for what, why in device.not_tried.items():
        reasons.setdefault(why, []).append(what)
    return "; ".join(f"{', '.join(names)} ({plain(why)})" for why, names in reasons.items())


def _scored(canary: Canary) -> Iterator[str]:
    scores = {score.task: score for score in canary.scores}
    said = ", ".join(
        f"{name} {scores[task].observed:.1%} (recorded {scores[task].recorded:.1%})"
        for task, name in _TASKS.items()
        if task in scores
    )
    if said:
        yield f"{canary.scenes} scenes in {canary.dtype}: {said}"


def _kinds(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
