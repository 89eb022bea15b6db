"""The self-test on this machine: what it measures when all is well, and that the process is left as it was."""

import shutil
from pathlib import Path

import msgspec
import pytest
import torch

from mmdoctor.facts.self_test import SelfTest
from mmdoctor.progress import Progress
from mmdoctor.reference import GOLDEN, compiled, devices, selftest
from mmdoctor.reference.selftest import Plan, run_self_test
from mmdoctor.report import self_test as words
from tests.reference.machine import codes

UNHURRIED = Plan(canaries=(), compile=False)
QUICK = Plan(
    fusions=("hybrid",),
    dtypes=("float32",),
    attentions=("textbook",),
    kernels=(),
    repetitions=(),
    canaries=(),
    compile=False,
)


@pytest.fixture(scope="module")
def healthy() -> SelfTest:
    return run_self_test(("cpu",), plan=UNHURRIED)


def test_this_machine_computes_right(healthy: SelfTest) -> None:
    (cpu,) = healthy.devices

    assert codes(healthy) == []
    assert healthy.right
    assert healthy.torch_version == torch.__version__
    assert [bundle.fusion for bundle in healthy.bundles] == ["hybrid", "early", "late"]
    assert healthy.bundles[0].parameters > 1_900_000
    assert {(run.fusion, run.dtype) for run in cpu.plain("float32")} == {
        (fusion, "float32") for fusion in ("hybrid", "early", "late")
    }


def test_rounding_uses_only_a_part_of_the_tolerance(healthy: SelfTest) -> None:
    (cpu,) = healthy.devices
    for run in cpu.runs:
        if run.unavailable is None:
            assert 0 < run.used < (0.5 if run.dtype == "float32" else 0.9), run
            assert run.layers > 90
            assert all(deviation.cosine > 0.99 for deviation in run.outputs)
    for kernel in cpu.kernels:
        assert kernel.unavailable or kernel.deviation is None or kernel.deviation.used < 0.9, kernel


def test_both_reduced_types_choose_and_write_the_same(healthy: SelfTest) -> None:
    for dtype in ("float32", "bfloat16", "float16"):
        for run in healthy.devices[0].plain(dtype, "hybrid"):
            assert 0 < run.top1_compared == run.top1_agreed
    (plain,) = healthy.devices[0].plain("float32", "hybrid")
    assert all(writing.observed == writing.expected != "" for writing in plain.written)


def test_every_backend_ran_or_says_why_not(healthy: SelfTest) -> None:
    cpu = healthy.devices[0]
    backends = {run.kernel for run in cpu.kernels}
    assert {"AUTOMATIC", "MATH", "FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "product"} <= backends
    for kernel in cpu.kernels:
        assert (kernel.deviation is None) == bool(kernel.unavailable)
    for run in cpu.runs:
        assert bool(run.outputs) != bool(run.unavailable)
    assert {run.case for run in cpu.kernels if run.kernel == "MATH" and run.deviation} == {
        *("open", "causal", "padded", "grouped", "one position", "long"),
    }


def test_the_report_says_that_it_computes_right(healthy: SelfTest) -> None:
    said = list(words.lines(healthy))

    assert said[0].startswith("this machine computes right on cpu (")
    assert any("float32" in line and "%" in line for line in said)
    assert any(line.startswith("not here: ") and "cuDNN" in line and "torch.compile" in line for line in said)


def test_progress_goes_from_nothing_to_all() -> None:
    steps: list[float] = []
    run_self_test(("cpu",), plan=QUICK, progress=lambda _, fraction: steps.append(fraction))

    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0.0, 1.0)


def test_the_process_is_left_as_it_was() -> None:
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_num_threads()
    try:
        run_self_test(("cpu",), plan=QUICK)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not torch.is_inference_mode_enabled()


def test_all_threads_are_compared_with_one() -> None:
    torch.set_num_threads(2)
    try:
        test = run_self_test(("cpu",), plan=msgspec.structs.replace(QUICK, repetitions=("float32",)))
        assert torch.get_num_threads() == test.threads == 2
    finally:
        torch.set_num_threads(1)
    assert [repetition.how for repetition in test.devices[0].repetitions] == ["again", "threaded", "batched", "cached"]
    assert codes(test) == []


def test_a_device_that_is_not_there_is_said() -> None:
    test = run_self_test(("meta-physical",), plan=QUICK)

    assert test.devices[0].run_error is not None
    assert codes(test) == ["REF002"]
    assert next(iter(words.lines(test))).startswith("this machine computes wrong on meta-physical")


def test_every_visible_accelerator_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    # `cpu:0` stands for an accelerator: torch computes on it, and no name in the code says that it is none.
    monkeypatch.setattr(selftest, "visible_devices", lambda: ("cpu", "cpu:0"))
    test = run_self_test(plan=QUICK)

    assert [device.device for device in test.devices] == ["cpu", "cpu:0"]
    assert all(device.runs for device in test.devices)
    assert "computes right on cpu (" in (said := next(iter(words.lines(test))))
    assert "cpu:0" in said


class _Module:
    """As much of `torch.cuda` as is asked for devices."""

    def __init__(self, count: int) -> None:
        self.count = count

    def is_available(self) -> bool:
        return self.count > 0

    def device_count(self) -> int:
        return self.count

    def get_device_name(self, device: str) -> str:
        return f"NVIDIA {device}"


def test_accelerators_are_named_as_torch_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "cuda", _Module(2))
    monkeypatch.setattr(torch, "xpu", _Module(0))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    assert devices.visible_devices() == ("cpu", "cuda:0", "cuda:1")
    assert devices.device_name("cuda:1") == "NVIDIA cuda:1"
    assert devices.device_name("abacus:0") == "abacus:0"


def test_missing_records_are_seen(tmp_path: Path) -> None:
    test = run_self_test(("cpu",), plan=QUICK, golden={"hybrid": tmp_path})

    assert "golden.json cannot be used" in str(test.bundles[0].load_error)
    assert codes(test) == ["REF001"]


def test_a_record_without_a_type_is_seen(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "golden")
    file = tmp_path / "golden" / "golden.json"
    content = msgspec.json.decode(file.read_bytes())
    del content["layers"]["float16"]
    file.write_bytes(msgspec.json.encode(content))
    test = run_self_test(("cpu",), plan=QUICK, golden={"hybrid": tmp_path / "golden"})

    assert "has nothing for float16" in str(test.bundles[0].load_error)


def test_compiling_is_left_out_where_no_processor_is_to_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1}, raising=False)
    with compiled.Compilation("cpu") as compilation:
        assert compilation.runs() == ()
    assert str(compilation.why_not).startswith(("compiling keeps a processor busy", "there is no C++ compiler"))


def test_compiling_that_takes_too_long_or_breaks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_why_not", lambda _: None)
    monkeypatch.setattr(compiled, "__name__", "timeit")
    with compiled.Compilation("abacus") as compilation:
        assert compilation.runs() == ()
    assert compilation.why_not

    monkeypatch.setattr(compiled, "__name__", "mmdoctor.reference.compiled")
    monkeypatch.setattr(compiled, "PATIENCE", 0.0)
    with compiled.Compilation("cpu") as compilation:
        assert compilation.runs() == ()
    assert "not done after 0 seconds" in str(compilation.why_not)


@pytest.mark.slow
def test_attention_compiled_is_the_textbook_formula() -> None:
    (run,) = compiled.compiled_runs("cpu", ["float32"])

    assert run.failed is None
    assert not run.wrong


def test_the_bar_is_told_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmdoctor.facts.source import Depth
    from mmdoctor.probes.reference import self_test
    from tests.reference.machine import BUNDLED

    told: list[object] = []

    class Told(Progress):
        def start(self, what: str, total: int = 0, *, unit: str = "bytes") -> None:
            told.append((what, total, unit))

        def advance(self, amount: int) -> None:
            told.append(amount)

    monkeypatch.setattr(selftest, "FULL", QUICK)
    assert self_test(BUNDLED, Depth.RUN, Told()).devices
    assert told[0] == ("self-test of this machine", 1000, "steps")
    assert sum(amount for amount in told if isinstance(amount, int)) == 1000
