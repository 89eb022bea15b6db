"""The machine at hand and the target of the deployment."""

from collections.abc import Mapping

import msgspec

from mmdoctor.finding import Severity
from mmdoctor.versions import older


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
    saved_as: str | None = None
    """Name of the file that describes it (`--env`); None for the machine at hand."""


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
    max_model_len: int | None = None
    """Most tokens of prompt and answer together; None where the engine takes what config.json states."""
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


class Libraries(msgspec.Struct, frozen=True, kw_only=True):
    """The libraries that are to load the artefact: those installed here, of `--env`, or of `--engine NAME==VERSION`.

    What is wrong with a file for every version is judged without this fact. What is wrong for some versions only is an
    error where the library of the deployment is one of them, and at most a note where it is not known:

        severity = libraries.severity_before("transformers", "5")   # error, note or None
        if severity is not None:
            yield Problem(f"... {libraries.named('transformers')} does not read ...", ..., severity=severity)

    The fact is always there, so a rule asks for `Libraries`, not for `Libraries | None`. It comes with the machine,
    which every run describes, so it costs nothing; no package is imported.
    """

    versions: Mapping[str, str] = {}
    """Distribution name (lower case, hyphens) to version, of those in `mmdoctor.probes.machine.PACKAGES`."""
    where: str = ""
    """Where they are, to put behind a name and version: `installed here`, `in prod.json`; empty where not known."""
    complete: bool = False
    """Whether all are known, so that one which is not named is not installed."""
    at_hand: bool = False
    """Whether they are installed in this Python, so that their files can be looked into."""

    def version(self, name: str) -> str | None:
        """The version of a library, None where it is not installed or not known."""
        return self.versions.get(name)

    def lacks(self, name: str) -> bool:
        """Whether a library is known not to be installed."""
        return self.complete and name not in self.versions

    def older(self, name: str, than: str) -> bool:
        """Whether a library is known to be of a version before another; a pre-release counts as what it leads to."""
        return older(_release(self.versions.get(name)), than)

    def severity_before(self, name: str, version: str) -> Severity | None:
        """How bad a file is that a library cannot load before a version.

        An error where the library is older, nothing where it is not, and a note where its version is not known.
        """
        if name not in self.versions:
            return Severity.NOTE
        return Severity.ERROR if self.older(name, version) else None

    def severity_from(self, name: str, version: str) -> Severity | None:
        """How bad a file is that a library cannot load from a version on: the reverse of `severity_before`."""
        if name not in self.versions:
            return Severity.NOTE
        return None if self.older(name, version) else Severity.ERROR

    def named(self, name: str) -> str:
        """A library in words: `transformers 4.57.6 (installed here)`; its name alone where its version is not known."""
        version = self.versions.get(name)
        return name if version is None else f"{name} {version} ({self.where})" if self.where else f"{name} {version}"


def _release(version: str | None) -> str | None:
    """A version without its pre-release: 5.0.0rc1 and 4.49.0.dev0 have what 5.0.0 and 4.49.0 have."""
    if version is None:
        return None
    cut = next((i for i, c in enumerate(version) if c not in "0123456789."), len(version))
    return version[:cut].rstrip(".") or version
