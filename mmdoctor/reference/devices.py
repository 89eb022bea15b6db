"""The devices that torch sees here. This is the one place that asks for accelerators."""

import platform
from types import ModuleType

import torch

KINDS = ("cuda", "xpu", "mps")
"""Torch's names of the accelerators that it runs without a further package; ROCm's are `cuda` too."""


def visible_devices() -> tuple[str, ...]:
    """`cpu`, and every accelerator as torch numbers those that this process may use."""
    found = ["cpu"]
    for kind in KINDS:
        module: ModuleType | None = getattr(torch, kind, None)
        if module is not None and _is_available(kind, module):
            count = int(module.device_count()) if hasattr(module, "device_count") else 1
            found += [f"{kind}:{index}" for index in range(count)]
    return tuple(found)


def _is_available(kind: str, module: ModuleType) -> bool:
    return torch.backends.mps.is_available() if kind == "mps" else bool(module.is_available())


def device_name(device: str) -> str:
    """What the device calls itself."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    module: ModuleType | None = getattr(torch, kind, None)
    return device if module is None or not hasattr(module, "get_device_name") else str(module.get_device_name(device))
