"""GPUs through NVML, the driver's management library: no CUDA context, no memory taken on the device."""

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from mmdoctor.facts.machine import Gpu
from mmdoctor.probes.visible_devices import visible, visible_slices

T = TypeVar("T")

UNIFIED_NAMES = ("GB10", "Orin", "Thor", "Xavier", "Tegra", "N1X")
"""GPUs that have no memory of their own; NVML answers "not supported" when asked for it (DGX Spark, Jetson)."""

MAX_DEVICES = 256
"""More than any host has; a driver that answers nonsense must not keep us busy."""

_SAID = {
    "version mismatch": (
        "the NVIDIA driver in the kernel and its library are of different versions: reboot, or reload the kernel module"
    ),
    "GPU is lost": "has fallen off the bus: reset it or reboot",
    "Driver Not Loaded": "the NVIDIA kernel driver is not loaded",
    "Insufficient Permissions": "no permission to ask the NVIDIA driver",
    "NVML Shared Library Not Found": "no NVIDIA driver here (libnvidia-ml.so.1 was not found)",
}


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What NVML tells."""

    gpus: tuple[Gpu, ...] = ()
    note: str | None = None
    """What could not be read, and why."""
    driver: str | None = None
    cuda: str | None = None


def inventory(visible_devices: str | None, ram_bytes: int) -> Inventory:
    """The GPUs that this process may use. Never raises: what fails is said in the note.

    Args:
        visible_devices: value of `CUDA_VISIBLE_DEVICES`; None when it is not set.
        ram_bytes: memory of the host, which integrated GPUs share.
    """
    if not _driver_is_there():
        return Inventory(note=_SAID["NVML Shared Library Not Found"])
    nvml = _library()
    if nvml is None:
        return Inventory(note="no NVIDIA GPU can be asked for: the package nvidia-ml-py is not installed")
    try:
        with _session(nvml):
            return _Reader(nvml, ram_bytes).read(visible_devices)
    except nvml.NVMLError as error:
        return Inventory(note=_said(error))


def _driver_is_there() -> bool:
    """Whether there may be a driver; importing pynvml to learn that there is none takes a tenth of a small check."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL("libnvidia-ml.so.1")  # as pynvml loads it
    except OSError:
        return False
    return True


def _library() -> ModuleType | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the deprecated pynvml distribution warns on import
        try:
            import pynvml
        except ImportError:
            return None
    return pynvml  # type: ignore[no-any-return]  # it ships no types


@contextmanager
def _session(nvml: Any) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        with suppress(nvml.NVMLError):  # what was read stands, whatever the driver says on parting
            nvml.nvmlShutdown()


class _Reader:
    """Reads device after device; every call may fail on its own."""

    def __init__(self, nvml: Any, ram_bytes: int) -> None:
        self._nvml = nvml
        self._ram_bytes = ram_bytes
        self._notes: list[str] = []

    def read(self, visible_devices: str | None) -> Inventory:
        nvml = self._nvml
        count = min(self._nvml.nvmlDeviceGetCount(), MAX_DEVICES)
        handles = [self._try(partial(nvml.nvmlDeviceGetHandleByIndex, i), f"GPU {i}") for i in range(count)]
        uuids = [None if h is None else self._text(partial(nvml.nvmlDeviceGetUUID, h)) for h in handles]
        slices = [
            (i, mig, self._text(partial(nvml.nvmlDeviceGetUUID, mig)))
            for i, handle in enumerate(handles)
            if handle is not None
            for mig in self._mig_slices(handle)
        ]
        split = {i for i, _, _ in slices}
        gpus = [
            self._gpu(handles[i], i, uuids[i], mig=False)
            for i in visible(visible_devices, uuids)
            if handles[i] is not None and i not in split
        ]
        gpus += [
            self._gpu(slices[k][1], slices[k][0], slices[k][2], mig=True)
            for k in visible_slices(visible_devices, [(i, uuid) for i, _, uuid in slices])
        ]
        found = tuple(gpu for gpu in gpus if gpu is not None)
        return Inventory(
            gpus=found,
            note=self._note(count, found, visible_devices),
            driver=self._text(nvml.nvmlSystemGetDriverVersion),
            cuda=self._cuda(),
        )

    def _gpu(self, handle: Any, index: int, uuid: str | None, *, mig: bool) -> Gpu | None:
        nvml = self._nvml
        name = self._text(lambda: nvml.nvmlDeviceGetName(handle)) or "NVIDIA GPU of unknown name"
        unified = any(word in name for word in UNIFIED_NAMES)
        memory = self._memory(handle, index, quiet=unified)
        if memory is None and not unified:
            return None
        total, free, reserved = memory or (self._ram_bytes, self._ram_bytes, 0)
        capability = self._quietly(lambda: nvml.nvmlDeviceGetCudaComputeCapability(handle))
        return Gpu(
            index=index,
            name=name,
            total_bytes=total,
            free_bytes=free,
            reserved_bytes=reserved,
            capability=None if capability is None else (int(capability[0]), int(capability[1])),
            uuid=uuid,
            mig=mig,
            unified=unified,
        )

    def _memory(self, handle: Any, index: int, *, quiet: bool) -> tuple[int, int, int] | None:
        nvml = self._nvml
        # Version 2 (driver 510 and later) tells apart what the driver keeps; version 1 counts it as used.
        info = self._quietly(lambda: nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2))
        if info is not None and info.total > 0:
            return int(info.total), int(info.free), int(info.reserved)
        ask = self._quietly if quiet else lambda call: self._try(call, f"GPU {index}")
        info = ask(lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
        return (int(info.total), int(info.free), 0) if info is not None and info.total > 0 else None

    def _mig_slices(self, handle: Any) -> list[Any]:
        nvml = self._nvml
        mode = self._quietly(lambda: nvml.nvmlDeviceGetMigMode(handle))
        if mode is None or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        most = self._quietly(lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0
        slices = (
            self._quietly(partial(nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, i))
            for i in range(min(most, MAX_DEVICES))
        )
        return [s for s in slices if s is not None]

    def _cuda(self) -> str | None:
        version = self._quietly(self._nvml.nvmlSystemGetCudaDriverVersion_v2)
        return None if not version else f"{version // 1000}.{version % 1000 // 10}"

    def _note(self, count: int, found: tuple[Gpu, ...], visible_devices: str | None) -> str | None:
        if count == 0:
            self._notes.append("the NVIDIA driver lists no GPU")
        elif not found and visible_devices is not None and not self._notes:
            many = f"{count} GPUs" if count > 1 else "the GPU"
            self._notes.append(f"CUDA_VISIBLE_DEVICES={visible_devices!r} hides {many}")
        return "; ".join(dict.fromkeys(self._notes)) or None

    def _try(self, call: Callable[[], T], what: str) -> T | None:
        """The call's answer, or None and a note about what failed."""
        try:
            return call()
        except self._nvml.NVMLError as error:
            said = _said(error)
            self._notes.append(f"{what} {said}" if said.startswith("has ") else f"{what}: {said}")
            return None

    def _quietly(self, call: Callable[[], T]) -> T | None:
        """The call's answer, or None: what older drivers and smaller cards do not know is not worth a word."""
        try:
            return call()
        except (self._nvml.NVMLError, ValueError):  # pynvml's own conversions raise ValueError
            return None

    def _text(self, call: Callable[[], str | bytes]) -> str | None:
        value = self._quietly(call)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value  # bytes before nvidia-ml-py 12


def _said(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return next((said for sign, said in _SAID.items() if sign.lower() in text.lower()), f"NVML says: {text}")
