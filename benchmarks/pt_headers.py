"""Headers of a 1 GiB .pt: mmdoctor against torch.load(mmap=True, weights_only=True), each in fresh processes.

    python benchmarks/pt_headers.py [--runs 5] [--gib 1]

Prints the median times, their ratio (to be at least 8) and the peak memory of the reader (to be under 80 MiB).
The file is sparse: its header is what is measured, and torch's mmap reads no more of it either.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TENSORS = 400
TARGET_RATIO = 8
TARGET_MIB = 80
ROOT = Path(__file__).resolve().parent.parent

OURS = """
import sys
from pathlib import Path
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.torch_file import read_torch
path = Path(sys.argv[1])
file = read_torch(path, FileEntry(path=path.name, kind=FileKind.TORCH_ZIP, size=path.stat().st_size))
assert len(file.tensors) == int(sys.argv[2]) and not file.damage, file.damage
"""
TORCH = """
import sys, torch
tensors = torch.load(sys.argv[1], mmap=True, weights_only=True)
assert len(tensors) == int(sys.argv[2])
"""
WRITE = """
import sys, torch
path, count, total = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with torch.serialization.skip_data():
    torch.save({f"model.layers.{i}.mlp.weight": torch.empty(1, total // count // 4) for i in range(count)}, path)
"""
COMMAND = """
import sys
from mmdoctor.cli import main
sys.argv = ["mmdoctor", "check", sys.argv[1], "--depth", "headers", "--fail-on", "never", "--exit-zero"]
sys.exit(main())
"""


def write_sparse(path: Path, total: int) -> None:
    """A state dict of `TENSORS` tensors with `total` bytes, written by torch with holes for the storages.

    In a process of its own: the peak memory of a child begins with that of its parent.
    """
    subprocess.run([sys.executable, "-c", WRITE, str(path), str(TENSORS), str(total)], check=True)


def measure(code: str, path: Path) -> tuple[float, float]:
    """Seconds and peak MiB of one fresh process."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'checks'}"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pip compiles what it installs: torch, and mmdoctor elsewhere
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), str(TENSORS)], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"a measured process failed with {process.returncode}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print; exit 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--gib", type=float, default=1.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        write_sparse(path, int(arguments.gib * 2**30))
        size = path.stat().st_size
        measured: dict[str, list[tuple[float, float]]] = {"reader": [], "command": [], "torch.load": []}
        for code in (OURS, COMMAND, TORCH):
            measure(code, path)  # to have the bytecode and the file's header in memory
        for _ in range(arguments.runs):  # in turn, so that a busy machine slows all of them
            for name, code in (("reader", OURS), ("command", COMMAND), ("torch.load", TORCH)):
                measured[name].append(measure(code, path))
    print(f"{size:,} bytes, {TENSORS} tensors, {arguments.runs} runs, median of fresh processes")
    medians = {}
    for name, results in measured.items():
        medians[name] = statistics.median(seconds for seconds, _ in results), max(mib for _, mib in results)
        print(f"  {name:<12} {medians[name][0]:8.3f} s   peak {medians[name][1]:7.1f} MiB")
    failed = False
    for name in ("reader", "command"):
        ratio = medians["torch.load"][0] / medians[name][0]
        good = ratio >= TARGET_RATIO and medians[name][1] < TARGET_MIB
        failed |= name == "command" and not good
        print(f"  {name:<12} {ratio:8.1f} x faster than torch.load; {TARGET_RATIO} x, {TARGET_MIB} MiB: {good}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
