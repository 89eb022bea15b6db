"""Adapters, and every place where a configuration says how weights are quantised."""

import json
from pathlib import Path
from typing import Any, TypeVar

import pytest

from mmdoctor.engine import Engine, NotApplicable, Unavailable
from mmdoctor.facts.quantisation import Adapter, QuantisationConfig
from mmdoctor.facts.source import Source
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source

T = TypeVar("T")
GPTQ = {"quant_method": "GPTQ", "bits": 4, "group_size": 128}


def _read(root: Path, kind: type[T], **files: Any) -> T:
    (root / "config.json").write_text("{}")
    for name, value in files.items():
        (root / f"{name}.json").write_text(json.dumps(value))
    return Engine(Providers(), {Source: open_source(root)}).fact(kind)


@pytest.mark.parametrize(
    ("file", "content", "pointer"),
    [
        ("config", {"quantization_config": GPTQ}, "/quantization_config/quant_method"),
        ("config", {"compression_config": GPTQ}, "/compression_config/quant_method"),
        ("config", {"text_config": {"quantization_config": GPTQ}}, "/text_config/quantization_config/quant_method"),
        ("config", {"llm_config": {"quantization_config": GPTQ}}, "/llm_config/quantization_config/quant_method"),
        ("quantize_config", GPTQ, "/quant_method"),
        ("quantization_config", GPTQ, "/quant_method"),
    ],
)
def test_every_place_of_the_section(tmp_path: Path, file: str, content: dict[str, Any], pointer: str) -> None:
    found = _read(tmp_path, QuantisationConfig, **{file: content})

    assert found.method.value == "gptq"
    assert (found.method.at.file, found.method.at.pointer) == (f"{file}.json", pointer)


@pytest.mark.parametrize(
    ("file", "content", "method"),
    [
        ("config", {"quantization_config": {"load_in_4bit": True}}, "bitsandbytes"),
        ("config", {"quantization": {"group_size": 64, "bits": 4}}, "mlx"),
        ("config", {"quantization_config": {"config_groups": {"group_0": {}}}}, "compressed-tensors"),
        ("quantize_config", {"bits": 4, "group_size": 128, "desc_act": True}, "gptq"),
        ("quant_config", {"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, "awq"),
        ("hf_quant_config", {"producer": {}, "quantization": {"quant_algo": "NVFP4"}}, "modelopt"),
    ],
)
def test_a_method_that_only_other_keys_give_away(tmp_path: Path, file: str, content: Any, method: str) -> None:
    assert _read(tmp_path, QuantisationConfig, **{file: content}).method.value == method


def test_config_json_comes_before_a_file_of_its_own(tmp_path: Path) -> None:
    found = _read(
        tmp_path, QuantisationConfig, config={"quantization_config": {"quant_method": "awq"}}, quantize_config=GPTQ
    )

    assert found.method.value == "awq"


@pytest.mark.parametrize(
    "content", [{}, {"quantization_config": None}, {"quantization_config": {}}, {"quantization_config": 4}]
)
def test_nothing_said_is_not_applicable(tmp_path: Path, content: dict[str, Any]) -> None:
    with pytest.raises(NotApplicable):
        _read(tmp_path, QuantisationConfig, config=content)


def test_a_section_without_a_method_cannot_be_known(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="/quantization_config names no method"):
        _read(tmp_path, QuantisationConfig, config={"quantization_config": {"secret": 1}})


def test_an_adapter_alone_and_beside_its_base(tmp_path: Path) -> None:
    config = {"peft_type": "LORA", "base_model_name_or_path": "org/base", "target_modules": ["q_proj"]}
    weights = (2).to_bytes(8, "little") + b"{}"
    (tmp_path / "adapter_model.safetensors").write_bytes(weights)

    alone = _read(tmp_path, Adapter, adapter_config=config)
    (tmp_path / "model.safetensors").write_bytes(weights)
    beside = _read(tmp_path, Adapter)

    assert (alone.alone, beside.alone, alone.peft_type) == (True, False, "LORA")
    assert alone.base_model is not None
    assert alone.base_model.at.pointer == "/base_model_name_or_path"


@pytest.mark.parametrize("config", [{"peft_type": 3, "base_model_name_or_path": None}, {}])
def test_wrong_types_are_left_out(tmp_path: Path, config: dict[str, Any]) -> None:
    found = _read(tmp_path, Adapter, adapter_config=config)

    assert (found.peft_type, found.base_model) == (None, None)


def test_no_adapter_is_not_applicable(tmp_path: Path) -> None:
    with pytest.raises(NotApplicable):
        _read(tmp_path, Adapter)
