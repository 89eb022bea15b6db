"""Whether weights fit an accelerator, and what would make them fit."""

from mmdoctor.facts.machine import Accelerator, Target
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.memory.lookup import smallest_with

GIB = 2**30
VLLM_UTILIZATION = 0.9
"""vLLM's `gpu_memory_utilization` when it is not given (vllm/config/cache.py)."""
BITS = {"fp8": 8.0, "4-bit": 4.25}
"""Bits that a quantised weight takes; of 4-bit ones a 16-bit scale and a zero point are shared by 128."""


def room_for_weights(accelerator: Accelerator, target: Target) -> int:
    """Bytes of one accelerator that the weights may take; of all together with transformers, which spreads layers."""
    room = accelerator.usable_bytes
    if target.engine == "vllm":
        room = int(room * (target.gpu_memory_utilization or VLLM_UTILIZATION))
    if accelerator.free_bytes is not None:
        room = min(room, accelerator.free_bytes)
    spread = target.engine == "transformers" and target.tensor_parallel_size == 1
    return room * accelerator.count if spread else room


def can_offload(weights: WeightMemory) -> bool:
    """Whether the engine can leave layers on the CPU instead of failing."""
    return weights.engine in ("transformers", "llama.cpp") or (weights.engine is None and weights.gguf)


def ways_to_fit(weights: WeightMemory, accelerator: Accelerator, ranks: int, room: float) -> list[str]:
    """Changes that bring the weights of each rank below `room` bytes, the smallest change first."""
    ways = []
    if weights.half_bytes < weights.total_bytes and weights.half_bytes / ranks <= room:
        ways.append(f"load in bfloat16 or float16 ({weights.half_bytes / GIB:.1f} GiB)")
    more = next((n for n in (2, 4, 8, 16, 32) if n > ranks and weights.per_rank(n) <= room), None)
    if more is not None and not accelerator.unified:
        ways.append(f"{more} of them (--tensor-parallel-size {more}, {weights.per_rank(more) / GIB:.1f} GiB each)")
    larger = smallest_with(accelerator.usable_bytes / room * weights.per_rank(ranks)) if room > 0 else None
    if larger is not None and larger.usable_bytes > accelerator.usable_bytes:
        ways.append(f"a larger accelerator such as {larger.name}")
    for name, bits in BITS.items():
        left = weights.total_bytes - weights.linear_bytes * (1 - bits / weights.linear_bits)
        if weights.linear_bytes and left / ranks <= room:
            ways.append(f"{name} weights in the language model's layers (about {left / GIB:.1f} GiB)")
            break
    return ways or ["a smaller model, or several machines"]
