"""Attention through torch.compile, in a process of its own beside the self-test.

Compiling takes a processor some twelve seconds the first time (measured with torch 2.14 and gcc 13; afterwards it is in
torch's cache), so it is tried only where one is to spare, and given up when the rest of the self-test has long ended.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from typing import Self

import msgspec
import torch

from mmdoctor.facts.self_test import KernelRun
from mmdoctor.reference.attention import textbook_attention
from mmdoctor.reference.comparison import deviation
from mmdoctor.reference.golden import read_record
from mmdoctor.reference.kernels import cases, first_line, is_refusal, textbook

COMPILED = "compiled"
CASE = "causal"
PATIENCE = 17.0
"""Seconds from its start after which it is given up."""
_TYPES = {"cpu": ("float32",), "others": ("float32", "bfloat16", "float16")}
"""On a CPU each type takes the C++ compiler another five seconds."""
_SPARE = 3
"""Processors of a machine that has one to spare: the scenes take two."""


class Compilation:
    """Attention being compiled for one device, from entering on; leaving ends it.

    Args:
        device: torch's name of it.
        enabled: whether to try at all.
    """

    def __init__(self, device: str, *, enabled: bool = True) -> None:
        self.device = device
        self.why_not = _why_not(device) if enabled else "it was not asked for"
        self.began = time.perf_counter()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if self.why_not is None:
            command = [sys.executable, "-P", "-m", __name__, self.device, *_TYPES.get(self.device, _TYPES["others"])]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe)  # noqa: S603 - this very module
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def runs(self) -> tuple[KernelRun, ...]:
        """What came of it; where nothing did, `why_not` says why. Waits until `PATIENCE` is over."""
        if self._process is None:
            return ()
        try:
            out, err = self._process.communicate(timeout=max(0.1, PATIENCE - (time.perf_counter() - self.began)))
        except subprocess.TimeoutExpired:
            self.why_not = f"compiling was not done after {PATIENCE:.0f} seconds"
            return ()
        try:
            return tuple(msgspec.json.decode(out, type=list[KernelRun]))
        except msgspec.DecodeError:
            lines = err.decode(errors="replace").strip().splitlines()
            self.why_not = lines[-1] if lines else f"the compiling process ended with {self._process.returncode}"
            return ()


def _why_not(device: str) -> str | None:
    if device == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "c++"))):
        return "there is no C++ compiler"
    if device != "cpu" and importlib.util.find_spec("triton") is None:
        return "triton, which compiles for accelerators, is not installed"
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if processors < _SPARE:
        return f"compiling keeps a processor busy for some twelve seconds, and there are {processors}"
    return None


def compiled_runs(device: str, dtypes: list[str]) -> list[KernelRun]:
    """The textbook formula, compiled, in each type."""
    case = cases()[CASE]
    expected = textbook({CASE: case})[CASE]
    tolerances = read_record().kernels
    function = torch.compile(textbook_attention, fullgraph=True, dynamic=False)
    runs = []
    for dtype in dtypes:
        run = KernelRun(kernel=COMPILED, dtype=dtype, case=CASE)
        moved = case.to(torch.device(device), getattr(torch, dtype))
        try:
            with torch.inference_mode():
                result = function(*moved[:4])
        except RuntimeError as error:
            reason = first_line(error)
            changes = {"unavailable": reason} if is_refusal(error) else {"failed": reason}
            runs.append(msgspec.structs.replace(run, **changes))
        else:
            found = deviation(CASE, result, expected, tolerances[dtype][CASE])
            runs.append(msgspec.structs.replace(run, deviation=found))
    return runs


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.stdout.buffer.write(msgspec.json.encode(compiled_runs(sys.argv[1], sys.argv[2:])))
