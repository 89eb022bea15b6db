"""Flags and the machine at hand make the target."""

import msgspec
import pytest

from mmdoctor.engine import Unavailable
from mmdoctor.errors import UsageError
from mmdoctor.facts.machine import Gpu, Libraries, Machine
from mmdoctor.finding import Severity
from mmdoctor.target import accelerator, libraries, resolve_target

GIB = 2**30


def host(*gpus: Gpu, note: str | None = None) -> Machine:
    return Machine(
        platform="Linux",
        python="3.12",
        cpus=8,
        ram_bytes=64 * GIB,
        ram_available_bytes=60 * GIB,
        gpus=gpus,
        gpu_note=note,
    )


def card(index: int, free: int) -> Gpu:
    return Gpu(
        index=index, name="NVIDIA L4", total_bytes=22 * GIB, free_bytes=free, capability=(8, 9), reserved_bytes=GIB
    )


def never() -> Machine:
    raise AssertionError("the machine was asked though the accelerator is named")


def test_a_named_gpu_does_not_ask_the_machine() -> None:
    target = resolve_target(gpu="L4-24GB", engine="vllm==0.11.0", dtype="half", machine=never)

    assert (target.gpu, target.from_flags) == ("L4-24GB", True)
    assert (target.engine, target.engine_version) == ("vllm", "0.11.0")
    assert target.dtype == "float16"
    assert accelerator(target).usable_bytes < accelerator(target).memory_bytes


def test_without_flags_the_roomiest_card_at_hand() -> None:
    target = resolve_target(machine=lambda: host(card(0, 3 * GIB), card(1, 20 * GIB)))

    assert (target.gpu, target.gpu_free_bytes, target.gpu_count) == ("NVIDIA L4", 20 * GIB, 2)
    assert not target.from_flags


def test_tensor_parallelism_is_limited_by_the_fullest_card() -> None:
    target = resolve_target(tensor_parallel_size=2, machine=lambda: host(card(0, 3 * GIB), card(1, 20 * GIB)))

    assert target.gpu_free_bytes == 3 * GIB


def test_no_gpu_here_says_why() -> None:
    target = resolve_target(machine=lambda: host(note="the NVIDIA driver lists no GPU"))

    with pytest.raises(Unavailable, match="no GPU here and none named with --gpu: the NVIDIA driver lists no GPU"):
        accelerator(target)


def test_no_machine_is_asked_for() -> None:
    with pytest.raises(Unavailable, match="no GPU here and none named"):
        accelerator(resolve_target())


def test_counted_gpus() -> None:
    assert resolve_target(gpu="4xL4").gpu_count == 4
    assert resolve_target(gpu="L4", tensor_parallel_size=2).gpu_count == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"gpu": "A100"}, "A100-40GB or A100-80GB"),
        ({"engine": "ollama"}, "choose from vllm"),
        ({"engine": "vllm==x.y"}, "not a version"),
        ({"dtype": "int4"}, "choose from auto"),
        ({"tensor_parallel_size": 0}, "from 1"),
        ({"gpu_memory_utilization": 0.0}, "above 0"),
        ({"gpu_memory_utilization": 90.0}, "up to 1"),
        ({"gpu_memory_utilization": float("nan")}, "up to 1"),
    ],
)
def test_flags_that_mean_nothing(flags: dict, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve_target(**flags)


HERE = msgspec.structs.replace(host(), packages={"transformers": "4.57.6", "vllm": "0.11.0"})
PROD = msgspec.structs.replace(HERE, saved_as="prod.json")


@pytest.mark.parametrize("flags", [{}, {"engine": "vllm"}, {"engine": "vllm==0.11.0"}, {"engine": "transformers"}])
def test_the_libraries_here_load_the_model(flags: dict) -> None:
    known = libraries(resolve_target(**flags), HERE)

    assert known.at_hand
    assert known.named("transformers") == "transformers 4.57.6 (installed here)"
    assert known.severity_before("transformers", "5") is Severity.ERROR
    assert known.severity_before("transformers", "4.57.6") is None
    assert known.severity_from("transformers", "5") is None
    assert known.severity_from("transformers", "4.57") is Severity.ERROR
    assert known.lacks("sentencepiece")


@pytest.mark.parametrize(
    "flags", [{"gpu": "L4"}, {"engine": "sglang"}, {"engine": "llama.cpp"}, {"engine": "vllm==0.9.0"}]
)
def test_the_libraries_of_another_place_are_not_known(flags: dict) -> None:
    known = libraries(resolve_target(**flags), HERE)

    assert (known.version("transformers"), known.named("transformers")) == (None, "transformers")
    assert known.severity_before("transformers", "5") is Severity.NOTE
    assert known.severity_from("transformers", "5") is Severity.NOTE
    assert not known.lacks("sentencepiece")


def test_the_engine_names_a_version() -> None:
    known = libraries(resolve_target(engine="transformers==4.44.0"), HERE)

    assert known.older("transformers", "4.45")
    assert not known.at_hand


@pytest.mark.parametrize("flags", [{}, {"gpu": "L4"}, {"engine": "vllm"}])
def test_libraries_of_a_saved_environment(flags: dict) -> None:
    known = libraries(resolve_target(**flags), PROD)

    assert known.named("transformers") == "transformers 4.57.6 (in prod.json)"
    assert known.lacks("sentencepiece")
    assert not known.at_hand


@pytest.mark.parametrize("version", ["5.0.0rc1", "5.0.0.dev0", "5.1.0+local"])
def test_a_pre_release_has_what_its_release_has(version: str) -> None:
    assert not Libraries(versions={"transformers": version}).older("transformers", "5")
