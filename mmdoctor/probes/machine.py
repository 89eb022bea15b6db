"""This machine: memory, CPUs, accelerators and packages, without user or host names and without a CUDA context."""

import os
import sys
from pathlib import Path

from mmdoctor.facts.machine import Gpu, Machine
from mmdoctor.installed import distributions
from mmdoctor.probes import cgroups, nvml

PACKAGES = (
    "accelerate", "autoawq", "auto-gptq", "bitsandbytes", "compressed-tensors", "decord", "flash-attn",
    "flashinfer-python", "gguf", "gptqmodel", "huggingface-hub", "librosa", "llama-cpp-python", "mistral-common",
    "numpy", "optimum", "peft", "pillow", "protobuf", "qwen-vl-utils", "safetensors", "sentencepiece", "sglang",
    "tiktoken", "timm", "tokenizers", "torch", "torchaudio", "torchcodec", "torchvision", "transformers", "triton",
    "vllm", "xformers",
)  # fmt: skip
"""Distributions whose version decides whether a multimodal model loads and runs."""


def machine() -> Machine:
    """This host as this process may use it."""
    total, available = _memory()
    ram = min(filter(None, (total, cgroups.memory_limit())))
    headroom = cgroups.memory_headroom()
    found = nvml.inventory(os.environ.get("CUDA_VISIBLE_DEVICES"), ram)
    gpus, note = found.gpus, found.note
    if not gpus and _is_apple_silicon():
        gpus, note = (_apple(ram, available),), None
    return Machine(
        platform=_platform(),
        python=sys.version.partition(" ")[0],
        cpus=_cpus(),
        ram_bytes=ram,
        ram_available_bytes=available if headroom is None else min(available, headroom),
        gpus=gpus,
        gpu_note=note,
        driver=found.driver,
        cuda=found.cuda,
        packages=_packages(),
    )


def _memory() -> tuple[int, int]:
    """(Total, available) bytes of the host; Linux answers before psutil is imported."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024
    except (OSError, ValueError, KeyError, IndexError):
        import psutil

        memory = psutil.virtual_memory()
        return memory.total, memory.available


def _cpus() -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(filter(None, (allowed, cgroups.cpu_limit())))


def _packages() -> dict[str, str]:
    found = {d.name: d.version for d in distributions()}
    return {name: found[name] for name in PACKAGES if found.get(name)}


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and os.uname().machine == "arm64"


def _apple(ram: int, available: int) -> Gpu:
    import subprocess

    try:
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        name = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()  # noqa: S603 - a fixed command of the system
    except (OSError, subprocess.SubprocessError):
        name = ""
    return Gpu(index=0, name=name or "Apple silicon", total_bytes=ram, free_bytes=available, unified=True)


def _platform() -> str:
    """System, release and processor; the module `platform` says it as well, but takes five milliseconds to import."""
    if not hasattr(os, "uname"):
        return sys.platform
    system = os.uname()
    return f"{system.sysname}-{system.release}-{system.machine}"
