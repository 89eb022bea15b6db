"""lora_silently_not_applied (INT011) fires where modules, ranks or base differ, else silent."""

from typing import Any

import pytest

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.quantisation import Adapter
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Problem, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.lora_silently_not_applied import lora_silently_not_applied
from tests.checks.integrity.made import loaded, tensor, weights

CONFIG = {"peft_type": "LORA", "r": 16, "target_modules": ["q_proj", "v_proj"], "rank_pattern": {}}


def adapter(alone: bool = True, **more: Any) -> Adapter:
    value = {**CONFIG, **more}
    document = JsonDocument(file="adapter_config.json", value=value)
    return Adapter(settings=Settings(document=document), peft_type=value["peft_type"], alone=alone)


def lora(*modules: str, rank: int = 16, prefix: str = "base_model.model.", name: str = "", more: tuple[str, ...] = ()):
    made = [
        tensor(f"{prefix}{m}.lora_{half}{name}.weight", shape=(rank, 64) if half == "A" else (64, rank))
        for m in modules
        for half in "AB"
    ]
    return loaded(weights("adapter_model.safetensors", *made, *(tensor(n, shape=(64, 64)) for n in more)))


def layers(*names: str, prefix: str = "model.layers") -> list[str]:
    return [f"{prefix}.{i}.self_attn.{name}" for i in range(4) for name in names]


def the(problems: tuple[Problem, ...]) -> Problem:
    (problem,) = problems
    return problem


@pytest.mark.parametrize("name", ["", ".default"])
def test_silent_on_an_adapter_that_fits(name: str):
    silent(lora_silently_not_applied, adapter(), lora(*layers("q_proj", "v_proj"), name=name))


def test_fires_where_no_weight_belongs_to_a_target():
    problem = the(fires(lora_silently_not_applied, adapter(), lora(*layers("qkv_proj"))))

    assert "none of the 4 modules" in problem.message
    assert problem.severity is Severity.ERROR
    assert problem.because[0].expected == "qkv_proj"


def test_some_weights_without_a_target_are_a_warning():
    problem = the(fires(lora_silently_not_applied, adapter(), lora(*layers("q_proj", "v_proj", "o_proj"))))

    assert "8 of the 12 modules" in problem.message
    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize("targets", ["all-linear", ".*language_model.*(q_proj|v_proj)", None, [], [1]])
def test_silent_on_targets_that_are_no_list_of_names(targets: Any):
    silent(lora_silently_not_applied, adapter(target_modules=targets), lora(*layers("k_proj")))


def test_full_names_and_modules_to_save_are_fine():
    full = adapter(target_modules=layers("q_proj"))
    silent(lora_silently_not_applied, full, lora(*layers("q_proj"), more=("base_model.model.lm_head.weight",)))


def test_fires_on_another_rank():
    problem = the(fires(lora_silently_not_applied, adapter(), lora(*layers("q_proj"), rank=8)))

    assert "has rank 8, adapter_config.json says r 16" in problem.message


def test_ranks_by_pattern_are_fine():
    silent(lora_silently_not_applied, adapter(rank_pattern={"q_proj": 8}), lora(*layers("q_proj"), rank=8))


@pytest.mark.parametrize("base", ["model.layers", "language_model.model.layers", "model.language_model.layers"])
def test_a_base_beside_it_in_any_layout(base: str):
    names = tuple(f"{m}.weight" for m in layers("q_proj", prefix=base))

    silent(lora_silently_not_applied, adapter(alone=False), lora(*layers("q_proj"), more=names))


def test_fires_where_the_base_beside_it_has_other_modules():
    names = tuple(f"{m}.weight" for m in layers("qkv_proj"))
    problem = the(fires(lora_silently_not_applied, adapter(alone=False), lora(*layers("q_proj"), more=names)))

    assert "none of the 4 modules that the adapter changes" in problem.message


@pytest.mark.parametrize("more", [{"peft_type": "IA3"}, {"target_parameters": ["experts.gate_up_proj"]}])
def test_silent_on_other_kinds_of_adapters(more: dict[str, Any]):
    silent(lora_silently_not_applied, adapter(**more), lora(*layers("k_proj"), rank=3))
