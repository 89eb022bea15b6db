"""What the model is meant for: the flags of a deployment, or the machine at hand."""

import math
from collections.abc import Callable

from msgspec.structs import replace

from mmdoctor.engine import Unavailable
from mmdoctor.errors import UsageError
from mmdoctor.facts.machine import Accelerator, Libraries, Machine, Target
from mmdoctor.memory import lookup

ENGINES = ("vllm", "sglang", "transformers", "llama.cpp")
"""Engines whose loading is known."""

DTYPES = {
    "auto": "auto",
    "bfloat16": "bfloat16",
    "bf16": "bfloat16",
    "float16": "float16",
    "fp16": "float16",
    "half": "float16",
    "float32": "float32",
    "fp32": "float32",
    "float": "float32",
}
"""Spellings of `--dtype` (vLLM's and SGLang's own, and the short ones) and what they mean."""


def resolve_target(
    gpu: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    tensor_parallel_size: int | None = None,
    gpu_memory_utilization: float | None = None,
    max_model_len: int | None = None,
    machine: Callable[[], Machine] | None = None,
) -> Target:
    """The target that the flags describe; without `--gpu` the machine at hand provides the accelerator.

    Args:
        gpu: name or memory of an accelerator: `L4-24GB`, `2xA100-80GB`, `24GiB`.
        engine: `vllm`, `sglang`, `transformers` or `llama.cpp`, with or without `==version`.
        dtype: load dtype, an engine's own spelling.
        tensor_parallel_size: accelerators that share the model; 1 when not given.
        gpu_memory_utilization: share of the memory that the engine may take, above 0 and up to 1.
        max_model_len: most tokens of prompt and answer together.
        machine: describes the machine at hand; called only when no accelerator is named. None: there is none.

    Raises:
        UsageError: a flag has a value that means nothing; the message says what does.
    """
    name, version = _engine(engine)
    flags = Target(
        engine=name,
        engine_version=version,
        dtype=_dtype(dtype),
        tensor_parallel_size=_tensor_parallel_size(tensor_parallel_size),
        gpu_memory_utilization=_utilization(gpu_memory_utilization),
        max_model_len=_max_model_len(max_model_len),
    )
    return _named(flags, gpu) if gpu is not None else _at_hand(flags, machine)


def accelerator(target: Target) -> Accelerator:
    """The accelerator of the target.

    Raises:
        Unavailable: there is none here and none was named.
    """
    if target.gpu is None or target.gpu_memory_bytes is None:
        reason = f": {target.gpu_note}" if target.gpu_note else ""
        raise Unavailable(f"no GPU here and none named with --gpu{reason}")
    return Accelerator(
        name=target.gpu,
        memory_bytes=target.gpu_memory_bytes,
        usable_bytes=target.gpu_memory_bytes - target.gpu_reserved_bytes,
        free_bytes=target.gpu_free_bytes,
        count=target.gpu_count,
        unified=target.gpu_unified,
        capability=target.gpu_capability,
        at_hand=not target.from_flags,
    )


def libraries(target: Target, machine: Machine) -> Libraries:
    """The libraries of the deployment: the machine's, unless the flags name another place.

    A GPU that is not here is another machine, whose packages are not known; so is an engine of another version, of
    which nothing but that version is known.
    """
    engine, version = target.engine, target.engine_version
    known = machine.packages.get(engine or "")
    if engine is not None and (known is None or version not in (None, known)):
        return Libraries(versions={engine: version} if version else {})
    if engine is None and target.from_flags and machine.saved_as is None:
        return Libraries()
    where = "installed here" if machine.saved_as is None else f"in {machine.saved_as}"
    return Libraries(versions=machine.packages, where=where, complete=True, at_hand=machine.saved_as is None)


def _named(flags: Target, gpu: str) -> Target:
    model, count = lookup.find(gpu)
    return replace(
        flags,
        gpu=model.name,
        gpu_memory_bytes=model.memory_bytes,
        gpu_reserved_bytes=model.memory_bytes - model.usable_bytes,
        gpu_count=max(count, flags.tensor_parallel_size),
        gpu_unified=model.unified,
        gpu_capability=model.capability,
        from_flags=True,
    )


def _at_hand(flags: Target, machine: Callable[[], Machine] | None) -> Target:
    if machine is None:
        return flags
    here = machine()
    if not here.gpus:
        return replace(flags, gpu_note=here.gpu_note)
    saved = here.saved_as is not None
    # Engines that split a model want equal cards and are limited by the smallest; one card takes the roomiest.
    ranked = sorted(here.gpus, key=lambda g: g.free_bytes, reverse=True)
    card = ranked[min(flags.tensor_parallel_size, len(ranked)) - 1]
    return replace(
        flags,
        gpu=card.name,
        gpu_memory_bytes=card.total_bytes,
        gpu_free_bytes=None if saved else card.free_bytes,
        gpu_reserved_bytes=card.reserved_bytes,
        gpu_count=len(here.gpus),
        gpu_unified=card.unified,
        gpu_capability=card.capability,
        from_flags=saved,
    )


def _engine(text: str | None) -> tuple[str | None, str | None]:
    if text is None:
        return None, None
    name, equals, version = text.partition("==")
    name = name.strip().lower().replace("_", ".").replace("llamacpp", "llama.cpp").replace("llama-cpp", "llama.cpp")
    if name not in ENGINES:
        raise UsageError(f"--engine {text}: choose from {', '.join(ENGINES)}, with ==VERSION where it matters")
    version = version.strip()
    if equals:
        from packaging.version import InvalidVersion, Version

        try:
            Version(version)
        except InvalidVersion:
            raise UsageError(f"--engine {text}: {version!r} is not a version; write {name}==1.2.3") from None
    return name, version or None


def _dtype(text: str | None) -> str | None:
    if text is None:
        return None
    known = DTYPES.get(text.strip().lower().removeprefix("torch."))
    if known is None:
        raise UsageError(f"--dtype {text}: choose from auto, bfloat16, float16, float32")
    return known


def _tensor_parallel_size(value: int | None) -> int:
    if value is None:
        return 1
    if not 1 <= value <= 1024:
        raise UsageError(f"--tensor-parallel-size {value}: it is a number of accelerators, from 1 to 1024")
    return value


def _max_model_len(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= 2**40:
        raise UsageError(f"--max-model-len {value}: it is a number of tokens, from 1 on")
    return value


def _utilization(value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and 0 < value <= 1):
        raise UsageError(f"--gpu-memory-utilization {value}: it is a share, above 0 and up to 1")
    return value
