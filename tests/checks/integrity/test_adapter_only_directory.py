import pytest

from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.machine import Target
from mmdoctor.facts.quantisation import Adapter, AdapterBase
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Severity
from mmdoctor.location import Location, Reading
from mmdoctor.readers.adapter_base import adapter_base
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.adapter_only_directory import adapter_only_directory
from tests.checks.integrity.made import file, source

WEIGHTS = source(file("adapter_config.json"), file("adapter_model.safetensors"))


def adapter(name: str | None = "org/base", *, alone: bool = True) -> Adapter:
    document = JsonDocument(file="adapter_config.json", value={"peft_type": "LORA", "base_model_name_or_path": name})
    base = (
        None
        if name is None
        else Reading(name, Location(file="adapter_config.json", pointer="/base_model_name_or_path"))
    )
    return Adapter(settings=Settings(document=document), base_model=base, peft_type="LORA", alone=alone)


def base(name: str = "org/base", *, is_path: bool = False, is_here: bool = False) -> AdapterBase:
    at = Location(file="adapter_config.json", pointer="/base_model_name_or_path")
    return AdapterBase(name=Reading(name, at), is_path=is_path, is_here=is_here)


def test_fires_and_names_the_base() -> None:
    (problem,) = fires(adapter_only_directory, adapter(), base(), WEIGHTS, Target())

    assert "LORA adapter of org/base" in problem.message
    assert problem.severity is Severity.WARNING


def test_an_engine_that_was_named_makes_it_an_error() -> None:
    (problem,) = fires(adapter_only_directory, adapter(), base(), WEIGHTS, Target(engine="vllm"))

    assert problem.severity is Severity.ERROR


def test_a_base_on_another_machine_is_an_error() -> None:
    found = base("/home/alice/models/llava", is_path=True)
    (problem,) = fires(adapter_only_directory, adapter(found.name.value), found, WEIGHTS, None)

    assert "another machine" in problem.message
    assert problem.severity is Severity.ERROR


def test_a_base_that_is_here_is_no_error() -> None:
    (problem,) = fires(
        adapter_only_directory, adapter(), base("/data/llava", is_path=True, is_here=True), WEIGHTS, None
    )

    assert problem.severity is Severity.WARNING


def test_no_base_at_all_is_an_error() -> None:
    (problem,) = fires(adapter_only_directory, adapter(None), None, WEIGHTS, None)

    assert problem.severity is Severity.ERROR


def test_full_weights_beside_it_are_a_warning() -> None:
    (problem,) = fires(adapter_only_directory, adapter(alone=False), base(), WEIGHTS, None)

    assert "transformers loads the latter" in problem.message
    assert problem.severity is None


def test_without_any_weights_it_is_a_note() -> None:
    (problem,) = fires(adapter_only_directory, adapter(), base(), source(file("adapter_config.json")), None)

    assert problem.severity is Severity.NOTE


def test_silent_without_an_adapter() -> None:
    assert any(need.fact is Adapter and not need.optional for need in adapter_only_directory.needs)
    with pytest.raises(AssertionError):
        silent(adapter_only_directory, adapter(), base(), WEIGHTS, None)


@pytest.mark.parametrize(
    ("name", "is_path"),
    [
        ("llava-hf/llava-v1.6-mistral-7b-hf", False),
        ("gpt2", False),
        ("bert-base-uncased", False),
        ("./models/paligemma", True),
        ("/root/models/x", True),
        ("models/a/b", True),
        ("C:\\models\\x", True),
        ("llava-1.5-7b-hf", True),
    ],
)
def test_paths_are_told_from_names_on_the_hub(name: str, is_path: bool) -> None:
    assert adapter_base(WEIGHTS, adapter(name)).is_path is is_path
