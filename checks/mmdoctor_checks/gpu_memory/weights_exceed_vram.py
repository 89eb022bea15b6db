"""MEM001."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.machine import Accelerator, Target
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.memory.fitting import VLLM_UTILIZATION, can_offload, room_for_weights, ways_to_fit

GIB = 2**30
TIGHT = 0.85
"""Share of the memory above which little is left for the KV cache, activations and the CUDA context."""


@check("MEM001", Severity.ERROR)
def weights_exceed_vram(weights: WeightMemory, accelerator: Accelerator, target: Target) -> Iterator[Problem]:
    """The weights alone do not fit into the memory of the accelerator.

    ## What it checks

    The sum over all tensors that load, vision and audio towers included, in the dtype in which the engine loads them:
    plain floats in the load dtype, quantised ones as stored, tied ones once. Under tensor parallelism each rank gets
    its share, and norms and key-value heads that cannot be divided whole. It is compared with what one process can
    allocate: the total without the driver's reserve, what is free now where the machine is at hand, and vLLM's
    `gpu_memory_utilization`. More is an error, above 85 % a warning. Accelerators that share the system's memory
    are compared with that. transformers and llama.cpp can leave layers on the CPU: there it is a warning.

    ## Why it matters

    Loading ends in `torch.OutOfMemoryError: CUDA out of memory`, often after minutes of downloading and reading, or
    vLLM says that no memory is left for the cache. Counting only the language model, or multiplying the parameters by
    half a byte for a 4-bit model whose embeddings and vision tower stay in 16 bits, hides it.

    ## How to fix it

    More accelerators (`--tensor-parallel-size`), a larger one, a quantised variant, or a smaller load dtype.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/16570
    - https://github.com/QwenLM/Qwen3-VL/issues/280
    - https://github.com/sgl-project/sglang/issues/8179
    """
    needed, room = weights.per_rank(target.tensor_parallel_size), room_for_weights(accelerator, target)
    if needed <= TIGHT * room:
        return
    halved = weights.half_bytes // target.tensor_parallel_size
    only_half = needed > room and target.engine is None and target.dtype is None and halved <= room
    yield Problem(
        _message(weights, accelerator, target, needed, room, only_half=only_half),
        because=[
            Evidence("weights on each accelerator (bytes)", needed, weights.load_dtype_at, expected=room),
            Evidence("largest tensor (bytes)", weights.biggest.value, weights.biggest.at),
            Evidence(f"memory of {accelerator.name} (bytes)", accelerator.memory_bytes),
        ],
        fix=Fix("; or ".join(ways_to_fit(weights, accelerator, target.tensor_parallel_size, TIGHT * room))),
        severity=None if needed > room and not only_half and not can_offload(weights) else Severity.WARNING,
    )


def _message(
    weights: WeightMemory, accelerator: Accelerator, target: Target, needed: int, room: int, *, only_half: bool
) -> str:
    ranks = target.tensor_parallel_size
    share = f" on each of {ranks}" if ranks > 1 else ""
    form = "as stored" if weights.load_dtype == "as stored" else f"in {weights.load_dtype} ({weights.why})"
    size = f"{'at least ' if weights.incomplete else ''}{needed / GIB:.2f} GiB"
    have = f"{accelerator.name} has {room / GIB:.2f} GiB for them{_reason(accelerator, target)}"
    if needed <= room:
        rest = f"only {(room - needed) / GIB:.2f} GiB is left for KV cache and activations"
        return f"the weights take {size}{share} {form}, {have}: {rest}"
    if only_half:
        return f"the weights need {size} {form}, {have}: only half precision ({weights.half_bytes / GIB:.2f} GiB) fits"
    end = "layers go to the CPU, and it gets slow" if can_offload(weights) else "loading ends out of memory"
    return f"the weights need {size}{share} {form}, {have}: {end}"


def _reason(accelerator: Accelerator, target: Target) -> str:
    notes = []
    if target.engine == "vllm":
        notes.append(f"{target.gpu_memory_utilization or VLLM_UTILIZATION:g} of {accelerator.usable_bytes / GIB:.2f}")
    if accelerator.free_bytes is not None and accelerator.free_bytes < 0.97 * accelerator.usable_bytes:
        notes.append(f"{accelerator.free_bytes / GIB:.2f} of {accelerator.usable_bytes / GIB:.2f} free now")
    if accelerator.unified:
        notes.append("shared with the system")
    return f" ({', '.join(notes)})" if notes else ""
