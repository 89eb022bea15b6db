"""SRV010 fires on chat models without a template, and leaves base models alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.engine import Engine, Ran
from mmdoctor.facts.machine import Target
from mmdoctor.facts.source import Source
from mmdoctor.finding import Finding, Severity
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source
from mmdoctor_checks.serving.chat_template_missing import chat_template_missing

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 9, "hidden_size": 8}
LLAVA = {
    "model_type": "llava",
    "architectures": ["LlavaForConditionalGeneration"],
    "text_config": {"model_type": "llama", "vocab_size": 9},
    "vision_config": {"model_type": "clip_vision_model"},
}
TOKENIZER = {
    "model": {"type": "BPE", "vocab": {"a": 0, "</s>": 1}, "merges": []},
    "added_tokens": [{"id": 2, "content": "<|im_end|>", "special": True}],
}


def _findings(root: Path, config: dict[str, Any], target: Target | None = None, **files: Any) -> tuple[Finding, ...]:
    root.mkdir(parents=True, exist_ok=True)
    for name, value in {"config": config, "tokenizer": TOKENIZER, **files}.items():
        if value is not None:
            (root / f"{name}.json").write_text(json.dumps(value))
    given = {Source: open_source(root), Target: target or Target()}
    outcome = Engine(Providers(), given).run([chat_template_missing])["SRV010"]
    return outcome.findings if isinstance(outcome, Ran) else ()


@pytest.mark.parametrize(
    "files",
    [{"generation_config": {"eos_token_id": [1, 2]}}, {"tokenizer_config": {"eos_token": "<|im_end|>"}}],
)
def test_fires_on_a_model_that_stops_at_the_end_of_a_turn(tmp_path: Path, files: dict[str, Any]) -> None:
    (finding,) = _findings(tmp_path / "m", LLAMA, **files)

    assert finding.severity is Severity.ERROR
    assert "it stops at <|im_end|>" in finding.message


@pytest.mark.parametrize("name", ["Llama-3.1-8B-Instruct", "gemma-3-4b-it", "tiny_chat", "qwen-sft"])
def test_fires_by_name(tmp_path: Path, name: str) -> None:
    (finding,) = _findings(tmp_path / name, LLAMA)

    assert name in finding.message


@pytest.mark.parametrize("name", ["Llama-3.1-8B", "italian", "chatty", "instructions", "digit"])
def test_silent_on_a_base_model(tmp_path: Path, name: str) -> None:
    assert _findings(tmp_path / name, LLAMA, generation_config={"eos_token_id": 1}) == ()


@pytest.mark.parametrize("name", ["gemma-3-4b-pt", "Qwen2.5-7B-base", "bge-reranker"])
def test_silent_on_a_model_that_is_named_a_base_model(tmp_path: Path, name: str) -> None:
    assert _findings(tmp_path / name, LLAMA, generation_config={"eos_token_id": 2}) == ()


def test_fires_on_a_type_of_which_all_models_chat(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path / "m", LLAVA)

    assert finding.severity is Severity.ERROR
    assert "its type is llava" in finding.message


def test_warns_on_a_type_that_has_base_models_too(tmp_path: Path) -> None:
    mistral3 = LLAVA | {"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"]}

    (finding,) = _findings(tmp_path / "m", mistral3)
    assert finding.severity is Severity.WARNING
    assert _findings(tmp_path / "Mistral-Small-3.1-24B-Base", mistral3) == ()


@pytest.mark.parametrize("model_type", ["blip-2", "paligemma", "whisper", "clip", "florence2"])
def test_silent_on_types_that_never_have_one(tmp_path: Path, model_type: str) -> None:
    config = LLAVA | {"model_type": model_type, "architectures": ["XForConditionalGeneration"]}

    assert _findings(tmp_path / "x-instruct", config, generation_config={"eos_token_id": 2}) == ()


def test_silent_on_models_that_do_not_generate(tmp_path: Path) -> None:
    reward = LLAMA | {"architectures": ["LlamaForSequenceClassification"]}

    assert _findings(tmp_path / "x-chat", reward) == ()


def test_silent_with_code_of_its_own(tmp_path: Path) -> None:
    qwen_vl = LLAMA | {"model_type": "qwen", "auto_map": {"AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel"}}

    assert _findings(tmp_path / "Qwen-VL-Chat", qwen_vl) == ()


def test_silent_beside_a_gguf(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(16))

    assert _findings(tmp_path, LLAVA) == ()


@pytest.mark.parametrize(
    "files",
    [
        {"chat_template": {"chat_template": "{{ x }}"}},
        {"tokenizer_config": {"chat_template": "{{ x }}", "eos_token": "<|im_end|>"}},
        {"tokenizer_config": {"chat_template": [{"name": "default", "template": "{{ x }}"}]}},
        {"processor_config": {"chat_template": "{{ x }}"}},
    ],
)
def test_silent_with_a_template_in_any_place(tmp_path: Path, files: dict[str, Any]) -> None:
    assert _findings(tmp_path / "x-instruct", LLAVA, **files) == ()


def test_a_jinja_file_is_enough_but_for_loaders_from_before(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ x }}")
    old, new = (Target(engine="transformers", engine_version=v) for v in ("4.42.4", "4.43.0"))

    assert _findings(tmp_path, LLAVA) == ()
    assert _findings(tmp_path, LLAVA, new) == ()
    (finding,) = _findings(tmp_path, LLAVA, old)
    assert "transformers 4.42.4 does not read such files" in finding.message
    (finding,) = _findings(tmp_path, LLAVA, Target(engine="tgi"))
    assert finding.location.file == "chat_template.jinja"


def test_silent_where_the_engine_brings_a_template(tmp_path: Path) -> None:
    deepseek = LLAVA | {"model_type": "deepseek_vl_v2"}

    assert _findings(tmp_path / "x-chat", deepseek, Target(engine="vllm")) == ()
