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
