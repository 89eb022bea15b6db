"""MEM001."""

import pytest

from mmdoctor.facts.machine import Accelerator, Target
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.finding import Severity
from mmdoctor.location import Location, Reading
from mmdoctor.testing import fires, silent
from mmdoctor_checks.gpu_memory.weights_exceed_vram import weights_exceed_vram

GIB = 2**30


def weights(gib: float, load_dtype: str = "bfloat16", engine: str | None = None, **more: object) -> WeightMemory:
    total = int(gib * GIB)
    return WeightMemory(
        **{
            "split_bytes": total,
            "load_dtype": load_dtype,
            "why": "config.json",
            "stored_bytes": total,
            "half_bytes": total // 2 if load_dtype == "float32" else total,
            "linear_bytes": int(0.9 * total),
            "linear_bits": 32 if load_dtype == "float32" else 16,
            "engine": engine,
            "biggest": Reading(GIB, Location(file="model.safetensors", tensor="embed")),
        }
        | more
    )


def card(gib: float = 22.0, free: float | None = None, count: int = 1, unified: bool = False) -> Accelerator:
    return Accelerator(
        name="L4-24GB",
        memory_bytes=int(gib * GIB),
        usable_bytes=int(gib * GIB),
        free_bytes=None if free is None else int(free * GIB),
        count=count,
        unified=unified,
    )


def test_fires_above_the_memory() -> None:
    (problem,) = fires(weights_exceed_vram, weights(23), card(22), Target())

    assert problem.severity is None
    assert "23.00 GiB" in problem.message
    assert "22.00 GiB" in problem.message
    assert problem.fix is not None
    assert "--tensor-parallel-size 2" in problem.fix.text
    assert "A100-40GB" in problem.fix.text


@pytest.mark.parametrize(("gib", "severity"), [(18.6, "silent"), (18.8, Severity.WARNING), (22.1, None)])
def test_the_edges(gib: float, severity: object) -> None:
    if severity == "silent":
        silent(weights_exceed_vram, weights(gib), card(22), Target())
    else:
        assert fires(weights_exceed_vram, weights(gib), card(22), Target())[0].severity == severity


def test_vllm_gives_the_model_its_share_only() -> None:
    target = Target(engine="vllm", gpu_memory_utilization=0.7)
    (problem,) = fires(weights_exceed_vram, weights(16, engine="vllm"), card(22), target)

    assert "0.7 of 22.00" in problem.message


def test_tensor_parallelism_divides() -> None:
    silent(weights_exceed_vram, weights(30), card(22, count=2), Target(tensor_parallel_size=2))


def test_other_processes_memory_counts() -> None:
    (problem,) = fires(weights_exceed_vram, weights(15), card(22, free=10), Target())

    assert "10.00 of 22.00 free now" in problem.message


def test_stored_float32_that_fits_in_half_is_a_warning() -> None:
    (problem,) = fires(weights_exceed_vram, weights(30, "float32"), card(22), Target())

    assert problem.severity is Severity.WARNING
    assert "only half precision" in problem.message


def test_offloading_engines_get_slow_instead() -> None:
    for engine in ("transformers", "llama.cpp"):
        (problem,) = fires(weights_exceed_vram, weights(30, engine=engine), card(22), Target(engine=engine))
        assert problem.severity is Severity.WARNING
        assert "slow" in problem.message


def test_transformers_spreads_over_the_gpus_there_are() -> None:
    silent(weights_exceed_vram, weights(30, engine="transformers"), card(22, count=4), Target(engine="transformers"))


def test_shared_memory_is_said_and_more_of_it_is_not_offered() -> None:
    (problem,) = fires(weights_exceed_vram, weights(140), card(119, unified=True), Target())

    assert "shared with the system" in problem.message
    assert problem.fix is not None
    assert "tensor-parallel" not in problem.fix.text


def test_a_gigantic_model_still_gets_an_answer() -> None:
    (problem,) = fires(weights_exceed_vram, weights(100_000), card(22), Target())

    assert problem.fix is not None
    assert problem.fix.text
