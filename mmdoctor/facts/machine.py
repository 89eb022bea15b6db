"""The machine at hand and the target of the deployment."""

from collections.abc import Mapping

import msgspec


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One visible accelerator, read through NVML without a CUDA context."""

    index: int
    name: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int] | None = None
    """CUDA compute capability (major, minor)."""
    uuid: str | None = None
    reserved_bytes: int = 0
    """What driver and firmware keep for themselves; part of the total, never allocatable."""
    mig: bool = False
    """A slice of a GPU (multi-instance GPU), with the slice's own memory."""
    unified: bool = False
    """It shares the system's memory: GB10, Jetson, Apple."""


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """This host. No user name, no host name."""

    platform: str
    """Such as `Linux-6.1-x86_64`."""
    python: str
    cpus: int
    """Usable by this process."""
    ram_bytes: int
    """Memory that this process may use: the smaller of the host's and the control group's."""
    ram_available_bytes: int
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str | None = None
    """Why no accelerator is listed: no driver, no library, an error with its text."""
    driver: str | None = None
    cuda: str | None = None
    """Highest CUDA version that the driver supports."""
    packages: Mapping[str, str] = {}
    """Installed packages that matter to a deployment, name to version."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is to be served on and how. Engines' own flag names."""

    gpu: str | None = None
    """Name of the accelerator, such as `L4-24GB`; None when there is none."""
    gpu_memory_bytes: int | None = None
    """Total memory of one accelerator; None when unknown."""
    gpu_count: int = 1
    from_flags: bool = False
    """True when the user named it, false when it is the machine at hand."""
    engine: str | None = None
    engine_version: str | None = None
    dtype: str | None = None
    """Load dtype: `auto`, `bfloat16`, `float16`, `float32`; None when not named."""
    tensor_parallel_size: int = 1
    gpu_memory_utilization: float | None = None
    gpu_free_bytes: int | None = None
    """Memory that is free on it now; only of the machine at hand."""
    gpu_reserved_bytes: int = 0
    """What driver and firmware keep of the total."""
    gpu_unified: bool = False
    """It shares the system's memory."""
    gpu_capability: tuple[int, int] | None = None
    """CUDA compute capability; None when unknown or not a CUDA device."""
    gpu_note: str | None = None
    """Why no accelerator is known."""


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """The accelerator that the model is meant for. Absent where there is none and none was named."""

    name: str
    memory_bytes: int
    """Total memory of one of them, as the driver reports it; shared ones report the system's."""
    usable_bytes: int
    """Total without what driver and firmware reserve: the most that one process can allocate."""
    free_bytes: int | None = None
    """Free now; None for one that was named and is not at hand."""
    count: int = 1
    unified: bool = False
    capability: tuple[int, int] | None = None
    at_hand: bool = False
    """It is in this machine, rather than named by the user."""
