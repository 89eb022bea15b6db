"""The accelerators that models are served on, as data."""

import re

import msgspec

GIB = 2**30
MIB = 2**20


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One product. Of boards with several chips, one chip: that is what a process sees."""

    name: str
    """Such as `A100-80GB`: what to type, and what reports print."""
    family: str
    """Product name without memory, normalised as `normalised` does: `a100`."""
    gb: int
    """Memory as it is sold."""
    memory_mib: int
    """Total memory as the driver reports it (`nvidia-smi`, `rocm-smi`), ECC as the product is delivered."""
    usable_gib: float
    """What one process can allocate: the total that torch reports in its out-of-memory message."""
    vendor: str
    source: str
    """Where name, memory and capability are stated."""
    aliases: tuple[str, ...] = ()
    """Other normalised names of the family."""
    capability: tuple[int, int] | None = None
    """CUDA compute capability."""
    fp8: bool = False
    """Matrix units multiply 8-bit floats."""
    unified: bool = False
    """It shares the system's memory."""
    preferred: bool = False
    """Meant when the family's name stands alone though it was sold with several sizes."""

    @property
    def bf16(self) -> bool:
        """Whether it multiplies bfloat16: NVIDIA from Ampere on, and all others listed."""
        return self.capability is None or self.capability >= (8, 0)

    @property
    def memory_bytes(self) -> int:
        """Total memory in bytes."""
        return self.memory_mib * MIB

    @property
    def usable_bytes(self) -> int:
        """What one process can allocate, in bytes."""
        return min(int(self.usable_gib * GIB), self.memory_bytes)


_CUDA = "https://developer.nvidia.com/cuda/gpus"
_ROCM = "https://rocm.docs.amd.com/en/latest/reference/gpu-arch-specs.html"
_GAUDI = "https://docs.habana.ai/en/latest/Gaudi_Overview/Gaudi_Architecture.html"
_APPLE = "https://support.apple.com/docs/mac"


def _nvidia(
    name: str, gb: int, mib: int, usable: float, capability: str, *aliases: str, preferred: bool = False
) -> Model:
    major, minor = capability.split(".")
    number = (int(major), int(minor))
    return Model(
        name=name,
        family=normalised(name)[0],
        gb=gb,
        memory_mib=mib,
        usable_gib=usable,
        vendor="NVIDIA",
        source=_CUDA,
        aliases=aliases,
        capability=number,
        fp8=number >= (8, 9),
        preferred=preferred,
    )


def _other(name: str, gb: int, mib: int, usable: float, vendor: str, source: str, *aliases: str, fp8: bool) -> Model:
    return Model(
        name=name,
        family=normalised(name)[0],
        gb=gb,
        memory_mib=mib,
        usable_gib=usable,
        vendor=vendor,
        source=source,
        aliases=aliases,
        fp8=fp8,
    )


def _shared(name: str, gb: int, vendor: str, source: str, *aliases: str, capability: tuple[int, int] | None) -> Model:
    return Model(
        name=name,
        family=normalised(name)[0],
        gb=gb,
        memory_mib=gb * 1024,
        usable_gib=gb * 0.93,  # the system's own share: 119.7 of 128 GiB are left on DGX Spark
        vendor=vendor,
        source=source,
        aliases=aliases,
        capability=capability,
        fp8=capability is not None and capability >= (8, 9),
        unified=True,
    )


_MEMORY = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s*(?:gib|gb|g)(?![a-z0-9])")
_WORDS = frozenset(
    {"nvidia", "amd", "intel", "habana", "instinct", "tesla", "geforce", "quadro", "apple", "blackwell", "superchip"}
    | {"hbm2", "hbm2e", "hbm3", "hbm3e", "sxm", "sxm2", "sxm3", "sxm4", "sxm5", "pcie", "oam", "hl"}
    | {"generation", "gpu", "graphics", "tensor", "core", "edition", "server", "workstation", "accelerator"}
)
"""Words in a product's or driver's name that do not tell its memory."""


def normalised(text: str) -> tuple[str, float | None]:
    """(A name without decoration, the memory in GB where it states that): `NVIDIA A100-SXM4-40GB` is a100 and 40."""
    text = text.lower().replace("_", " ").replace("-", " ")
    stated = _MEMORY.search(text)
    rest = _MEMORY.sub(" ", text)
    words = [w for w in re.split(r"[^a-z0-9]+", rest) if w and w not in _WORDS]
    return "".join(words), float(stated.group(1)) if stated else None


_CHIPS = {
    "M1": (8, 16),
    "M1-Pro": (16, 32),
    "M1-Max": (32, 64),
    "M1-Ultra": (64, 128),
    "M2": (8, 16, 24),
    "M2-Pro": (16, 32),
    "M2-Max": (32, 64, 96),
    "M2-Ultra": (64, 128, 192),
    "M3": (8, 16, 24),
    "M3-Pro": (18, 36),
    "M3-Max": (36, 48, 64, 96, 128),
    "M3-Ultra": (96, 256, 512),
    "M4": (16, 24, 32),
    "M4-Pro": (24, 48, 64),
    "M4-Max": (36, 48, 64, 128),
}

# Total: nvidia-smi of the product; usable: the "total capacity" in torch's out-of-memory messages, as people post them.
CATALOGUE: tuple[Model, ...] = (
    _nvidia("P100-16GB", 16, 16384, 15.89, "6.0"),
    _nvidia("P40-24GB", 24, 23040, 22.38, "6.1"),
    _nvidia("GTX-1080-Ti-11GB", 11, 11264, 10.91, "6.1", "1080ti"),
    _nvidia("V100-16GB", 16, 16384, 15.77, "7.0"),
    _nvidia("V100-32GB", 32, 32768, 31.73, "7.0"),
    _nvidia("TITAN-V-12GB", 12, 12288, 11.77, "7.0"),
    _nvidia("T4-16GB", 16, 15360, 14.56, "7.5"),
    _nvidia("RTX-2080-8GB", 8, 8192, 7.78, "7.5", "2080"),
    _nvidia("RTX-2080-Ti-11GB", 11, 11264, 10.75, "7.5", "2080ti"),
    _nvidia("TITAN-RTX-24GB", 24, 24576, 23.64, "7.5"),
    _nvidia("RTX-6000-24GB", 24, 24576, 23.64, "7.5"),
    _nvidia("RTX-8000-48GB", 48, 49152, 47.45, "7.5"),
    _nvidia("A100-40GB", 40, 40960, 39.38, "8.0"),
    _nvidia("A100-80GB", 80, 81920, 79.15, "8.0"),
    _nvidia("A800-80GB", 80, 81920, 79.15, "8.0"),
    _nvidia("A30-24GB", 24, 24576, 23.50, "8.0"),
    _nvidia("A2-16GB", 16, 15356, 14.54, "8.6"),
    _nvidia("A10-24GB", 24, 23028, 22.05, "8.6"),
    _nvidia("A10G-24GB", 24, 23028, 21.98, "8.6"),
    _nvidia("A16-16GB", 16, 15356, 14.54, "8.6"),
    _nvidia("A40-48GB", 48, 46068, 44.34, "8.6"),
    _nvidia("RTX-A4000-16GB", 16, 16376, 15.70, "8.6", "a4000"),
    _nvidia("RTX-A5000-24GB", 24, 24564, 23.57, "8.6", "a5000"),
    _nvidia("RTX-A6000-48GB", 48, 49140, 47.41, "8.6", "a6000"),
    _nvidia("RTX-3060-12GB", 12, 12288, 11.66, "8.6", "3060"),
    _nvidia("RTX-3070-8GB", 8, 8192, 7.66, "8.6", "3070"),
    _nvidia("RTX-3080-10GB", 10, 10240, 9.67, "8.6", "3080"),
    _nvidia("RTX-3080-Ti-12GB", 12, 12288, 11.66, "8.6", "3080ti"),
    _nvidia("RTX-3090-24GB", 24, 24576, 23.58, "8.6", "3090"),
    _nvidia("RTX-3090-Ti-24GB", 24, 24564, 23.58, "8.6", "3090ti"),
    _nvidia("Jetson-Orin-64GB", 64, 62840, 60.0, "8.7", "orin", "agxorin", "jetsonagxorin"),
    _nvidia("L4-24GB", 24, 23034, 22.03, "8.9"),
    _nvidia("L40-48GB", 48, 46068, 44.39, "8.9"),
    _nvidia("L40S-48GB", 48, 46068, 44.39, "8.9"),
    _nvidia("L20-48GB", 48, 46068, 44.39, "8.9"),
    _nvidia("RTX-4060-8GB", 8, 8188, 7.62, "8.9", "4060"),
    _nvidia("RTX-4060-Ti-16GB", 16, 16380, 15.60, "8.9", "4060ti"),
    _nvidia("RTX-4070-12GB", 12, 12282, 11.60, "8.9", "4070"),
    _nvidia("RTX-4070-Ti-Super-16GB", 16, 16376, 15.60, "8.9", "4070tisuper"),
    _nvidia("RTX-4080-16GB", 16, 16376, 15.60, "8.9", "4080", "rtx4080super"),
    _nvidia("RTX-4090-24GB", 24, 24564, 23.52, "8.9", "4090", "rtx4090d"),
    _nvidia("RTX-4000-Ada-20GB", 20, 20475, 19.55, "8.9"),
    _nvidia("RTX-5000-Ada-32GB", 32, 32760, 31.47, "8.9"),
    _nvidia("RTX-6000-Ada-48GB", 48, 49140, 47.38, "8.9", "6000ada"),
    _nvidia("H100-80GB", 80, 81559, 79.10, "9.0", preferred=True),
    _nvidia("H100-NVL-94GB", 94, 95830, 93.02, "9.0", "h100"),
    _nvidia("H800-80GB", 80, 81559, 79.10, "9.0"),
    _nvidia("H20-96GB", 96, 97871, 95.00, "9.0", preferred=True),
    _nvidia("H20-141GB", 141, 143771, 139.72, "9.0"),
    _nvidia("H200-141GB", 141, 143771, 139.72, "9.0", "h200nvl"),
    _nvidia("GH200-96GB", 96, 97871, 94.50, "9.0"),
    _nvidia("GH200-144GB", 144, 147456, 142.50, "9.0"),
    _nvidia("B200-180GB", 180, 183359, 178.35, "10.0"),
    _nvidia("GB200-186GB", 186, 189471, 184.00, "10.0"),
    _nvidia("B300-288GB", 288, 275040, 267.50, "10.3"),
    _nvidia("GB300-288GB", 288, 284208, 276.50, "10.3"),
    _nvidia("RTX-PRO-6000-96GB", 96, 97887, 94.97, "12.0", "pro6000"),
    _nvidia("RTX-PRO-5000-48GB", 48, 48935, 47.0, "12.0", "pro5000"),
    _nvidia("RTX-5060-Ti-16GB", 16, 16311, 15.48, "12.0", "5060ti"),
    _nvidia("RTX-5070-12GB", 12, 12227, 11.50, "12.0", "5070"),
    _nvidia("RTX-5070-Ti-16GB", 16, 16303, 15.47, "12.0", "5070ti"),
    _nvidia("RTX-5080-16GB", 16, 16303, 15.47, "12.0", "5080"),
    _nvidia("RTX-5090-32GB", 32, 32607, 31.36, "12.0", "5090", "rtx5090d"),
    _shared("GB10-128GB", 128, "NVIDIA", _CUDA, "dgxspark", "spark", capability=(12, 1)),
    _other("MI210-64GB", 64, 65520, 63.98, "AMD", _ROCM, fp8=False),
    _other("MI250-64GB", 64, 65520, 63.98, "AMD", _ROCM, "mi250x", fp8=False),
    _other("MI300X-192GB", 192, 196592, 191.98, "AMD", _ROCM, "mi300", fp8=True),
    _other("MI325X-256GB", 256, 262128, 255.98, "AMD", _ROCM, "mi325", fp8=True),
    _other("MI350X-288GB", 288, 294896, 287.98, "AMD", _ROCM, "mi350", fp8=True),
    _other("MI355X-288GB", 288, 294896, 287.98, "AMD", _ROCM, "mi355", fp8=True),
    _other("Gaudi2-96GB", 96, 98304, 94.62, "Intel", _GAUDI, fp8=True),
    _other("Gaudi3-128GB", 128, 131072, 126.54, "Intel", _GAUDI, fp8=True),
    *(
        _shared(f"{chip}-{gb}GB", gb, "Apple", _APPLE, capability=None)
        for chip, sizes in _CHIPS.items()
        for gb in sizes
    ),
)
"""Every accelerator known by name, oldest architecture first within a vendor."""
