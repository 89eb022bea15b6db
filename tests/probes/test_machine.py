"""The machine, read through the real pynvml from a driver library made for the test."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

GIB = 2**30
MIB = 2**20

FUNCTIONS = (
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlSystemGetDriverVersion",
    "nvmlSystemGetCudaDriverVersion_v2",
    "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetCudaComputeCapability",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
)

SCRIPT = """
import sys, warnings
warnings.simplefilter("error")
import msgspec
from mmdoctor.probes.machine import machine
answer = machine()
assert not {"torch", "transformers", "numpy"} & set(sys.modules), "a heavy module was imported"
sys.stdout.buffer.write(msgspec.json.encode(answer))
"""

CUDA = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) {
    FILE *f = fopen(getenv("FAKE_NVML_LOG"), "a"); fputs("libcuda loaded\n", f); fclose(f);
}
int cuInit(unsigned flags) { return 0; }
"""


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a driver library for NVML and one for CUDA that notices being loaded."""
    folder = tmp_path_factory.mktemp("driver")
    source = Path(__file__).with_name("fake_nvml.c")
    (folder / "cuda.c").write_text(CUDA)
    for code, library in ((source, "libnvidia-ml.so.1"), (folder / "cuda.c", "libcuda.so.1")):
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", folder / library, code], check=True)
    return folder


class Host:
    """Runs `machine()` in a process of its own on top of the made-up driver."""

    def __init__(self, driver: Path, log: Path) -> None:
        self.driver = driver
        self.log = log

    def machine(self, profile: str = "T4", **environment: str) -> dict:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("CUDA_", "NVIDIA_", "FAKE_"))}
        env |= {"LD_LIBRARY_PATH": str(self.driver), "FAKE_NVML": profile, "FAKE_NVML_LOG": str(self.log)}
        env |= {"PYTHONPATH": str(Path(__file__).parents[2]), **environment}
        done = subprocess.run([sys.executable, "-c", SCRIPT], check=False, env=env, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def host(driver: Path, tmp_path: Path) -> Host:
    return Host(driver, tmp_path / "calls.log")


def test_one_gpu(host: Host) -> None:
    answer = host.machine("T4")

    (gpu,) = answer["gpus"]
    assert gpu["name"] == "Tesla T4"
    assert gpu["total_bytes"] == 15360 * MIB
    assert gpu["reserved_bytes"] == 450 * MIB
    assert gpu["free_bytes"] == 14910 * MIB
    assert gpu["capability"] == [7, 5]
    assert answer["gpu_note"] is None
    assert (answer["driver"], answer["cuda"]) == ("570.124.06", "12.8")


def test_no_cuda_context_is_made(host: Host) -> None:
    host.machine("8xH100")

    assert "libcuda loaded" not in host.calls
    assert all(call.startswith("nvml") for call in host.calls)


def test_eight_gpus(host: Host) -> None:
    answer = host.machine("8xH100")

    assert [g["index"] for g in answer["gpus"]] == list(range(8))
    assert answer["gpus"][5]["free_bytes"] == (81559 - 551) * MIB - 5 * GIB


def test_mig_slices_replace_their_gpu(host: Host) -> None:
    answer = host.machine("A100-MIG")

    assert [(g["name"], g["mig"], g["total_bytes"]) for g in answer["gpus"]] == [
        ("NVIDIA A100-SXM4-40GB", False, 40960 * MIB),
        ("NVIDIA A100-SXM4-40GB MIG 3g.20gb", True, 20096 * MIB),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", True, 4864 * MIB),
    ]


@pytest.mark.parametrize(
    ("spec", "uuids"),
    [
        ("2,0", ["GPU-44444444-0002", "GPU-44444444-0000"]),
        ("GPU-44444444-0006", ["GPU-44444444-0006"]),
        ("0,99,1", ["GPU-44444444-0000"]),
        ("1,1", []),
        ("", []),
        ("-1", []),
        ("GPU-4", []),
    ],
)
def test_cuda_visible_devices(host: Host, spec: str, uuids: list[str]) -> None:
    answer = host.machine("8xH100", CUDA_VISIBLE_DEVICES=spec)

    assert [g["uuid"] for g in answer["gpus"]] == uuids
    assert (answer["gpu_note"] is None) == bool(uuids)


@pytest.mark.parametrize("spec", ["MIG-33333333-bbbb", "MIG-33333333-b"])
def test_cuda_visible_devices_names_a_slice(host: Host, spec: str) -> None:
    answer = host.machine("A100-MIG", CUDA_VISIBLE_DEVICES=spec)

    assert [g["uuid"] for g in answer["gpus"]] == ["MIG-33333333-bbbb"]


def test_a_gpu_fallen_off_the_bus_is_named_and_the_others_remain(host: Host) -> None:
    answer = host.machine("LOST")

    assert [g["index"] for g in answer["gpus"]] == [0, 1, 2, 4, 5, 6, 7]
    assert answer["gpu_note"] == "GPU 3 has fallen off the bus: reset it or reboot"


def test_driver_and_library_of_different_versions(host: Host) -> None:
    answer = host.machine("MISMATCH")

    assert answer["gpus"] == []
    assert "different versions" in answer["gpu_note"]


def test_a_driver_without_gpus(host: Host) -> None:
    answer = host.machine("NONE")

    assert answer["gpu_note"] == "the NVIDIA driver lists no GPU"


def test_a_gpu_that_shares_the_systems_memory(host: Host) -> None:
    answer = host.machine("GB10")

    (gpu,) = answer["gpus"]
    assert gpu["unified"]
    assert gpu["total_bytes"] == answer["ram_bytes"]
    assert answer["gpu_note"] is None


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_call_may_fail(host: Host, function: str) -> None:
    answer = host.machine("A100-MIG", FAKE_NVML_FAIL=function, FAKE_NVML_ERROR="999")

    assert function in host.calls or function == "nvmlDeviceGetMemoryInfo"
    assert answer["gpus"] or answer["gpu_note"], "without a GPU there is a reason"


def test_old_drivers_have_no_second_memory_call(host: Host) -> None:
    answer = host.machine("T4", FAKE_NVML_FAIL="nvmlDeviceGetMemoryInfo_v2", FAKE_NVML_ERROR="13")

    assert answer["gpus"][0]["total_bytes"] == 15360 * MIB
    assert answer["gpus"][0]["reserved_bytes"] == 0


def test_no_driver_at_all(host: Host, tmp_path: Path) -> None:
    answer = host.machine(LD_LIBRARY_PATH=str(tmp_path))

    assert answer["gpus"] == []
    assert "no NVIDIA driver" in answer["gpu_note"]


def test_no_package_to_ask_the_driver_with(host: Host, tmp_path: Path) -> None:
    (tmp_path / "pynvml.py").write_text("raise ImportError('not here')")

    answer = host.machine(PYTHONPATH=f"{tmp_path}:{Path(__file__).parents[2]}")

    assert "nvidia-ml-py is not installed" in answer["gpu_note"]


def test_no_user_and_no_host_name(host: Host) -> None:
    import getpass
    import socket

    text = json.dumps(host.machine())

    assert socket.gethostname() not in text or len(socket.gethostname()) < 4
    assert getpass.getuser() not in text or len(getpass.getuser()) < 5


def test_packages_and_memory() -> None:
    from importlib.metadata import version

    from mmdoctor.probes.machine import machine

    here = machine()

    assert here.packages["torch"] == version("torch")
    assert 0 < here.ram_available_bytes <= here.ram_bytes
    assert here.cpus >= 1
