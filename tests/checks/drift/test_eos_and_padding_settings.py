"""DRF025 fires where a generation does not stop at the end of a turn, or begins or pads with the wrong token."""

from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.expectations import expectations
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.tokenizer import AddedToken, ChatTemplate, ChatTemplates, Tokenizer
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.location import Location
from mmdoctor.probes.templates.rendering import rendered_template
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.drift.eos_and_padding_settings import eos_and_padding_settings
from tests.architectures.made import config, tensor

QWEN = {"<|endoftext|>": 100, "<|im_start|>": 101, "<|im_end|>": 102, "<|image_pad|>": 103, "<|vision_end|>": 104}
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n<|vision_end|>{{ m.content }}<|im_end|>\n{% endfor %}"
GEMMA = {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<start_of_turn>": 105, "<end_of_turn>": 106}
TURNS = "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.content }}<end_of_turn>\n{% endfor %}"


def _facts(
    tokens: dict[str, int],
    template: str | None,
    generation: dict[str, Any] | None,
    *,
    model_type: str = "qwen2_5_vl",
    rows: int = 200,
    side: str | None = None,
    named: dict[str, str] | None = None,
    **top: Any,
) -> tuple[object, ...]:
    text = {"hidden_size": 64, "vocab_size": 200, "num_attention_heads": 4}
    model = multimodal_model(
        config({"model_type": model_type, "text_config": text, "vision_config": {"hidden_size": 64}, **text, **top})
    )
    tokenizer = Tokenizer(
        file="tokenizer.json",
        kind="BPE",
        vocabulary={"word": 7},
        added=tuple(AddedToken(id=i, content=c, special=True, at=Location()) for c, i in tokens.items()),
        max_id=reading(max(tokens.values())),
        max_token="",
        named={name: reading(content, "tokenizer_config.json", f"/{name}") for name, content in (named or {}).items()},
        padding_side=reading(side, "tokenizer_config.json", "/padding_side") if side else None,
    )
    documents = {"config.json": model.config.document}
    if generation is not None:
        documents["generation_config.json"] = JsonDocument(file="generation_config.json", value=generation)
    copies = (ChatTemplate(at=Location(file="chat_template.jinja"), text=template),) if template else ()
    table = Embeddings(embedding=tensor("model.embed_tokens.weight", (rows, 64)))
    templates = ChatTemplates(copies=copies)
    rendered = rendered_template(templates, tokenizer) if template else None
    return model, tokenizer, Documents(by_file=documents), templates, rendered, expectations(model), table


def _one(*facts: object) -> Problem:
    (problem,) = fires(eos_and_padding_settings, *facts)
    return problem


def _silent(*facts: object) -> None:
    silent(eos_and_padding_settings, *facts)


def _edits(problem: Problem) -> dict[str, object]:
    assert problem.fix is not None
    return {edit.pointer: edit.value for edit in problem.fix.edits if isinstance(edit, Edit)}


IM_END = {"eos_token": "<|im_end|>"}


def test_fires_where_generate_does_not_stop_at_the_tokenizers_own_end() -> None:
    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": 100}, named=IM_END))

    assert (
        "closes a turn with '<|im_end|>' (id 102), and a generation ends at 100 '<|endoftext|>' only" in problem.message
    )
    assert "transformers' generate goes on" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.file == "generation_config.json"
    assert _edits(problem) == {"/eos_token_id": [100, 102]}


def test_fires_where_nothing_stops_at_the_end_of_a_turn() -> None:
    problem = _one(*_facts(GEMMA, TURNS, {"eos_token_id": [1]}, model_type="gemma3", named={"eos_token": "<eos>"}))

    assert "'<end_of_turn>' (id 106)" in problem.message
    assert "until the length runs out" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.pointer == "/eos_token_id/0"
    assert _edits(problem) == {"/eos_token_id": [1, 106]}


@pytest.mark.parametrize("value", [102, [102], [100, 102], [102, 100]])
def test_lists_are_normal(value: object) -> None:
    _silent(*_facts(QWEN, CHATML, {"eos_token_id": value}, named=IM_END))


@pytest.mark.parametrize("generation", [None, {}, {"eos_token_id": None}])
def test_config_json_counts_where_the_other_file_states_nothing(generation: dict[str, Any] | None) -> None:
    _silent(*_facts(QWEN, CHATML, generation, named=IM_END, eos_token_id=102))
    problem = _one(*_facts(QWEN, CHATML, generation, named=IM_END, eos_token_id=100))
    assert problem.because[0].at.file == "config.json"


def test_nothing_is_known_where_nothing_is_stated() -> None:
    _silent(*_facts(QWEN, CHATML, {}, named=IM_END))


def test_a_base_model_ends_no_turns() -> None:
    end = {"eos_token": "<|endoftext|>"}
    _silent(*_facts(QWEN, None, {"eos_token_id": 100}, named=end))
    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": 100}, model_type="qwen2", named=end))
    assert problem.severity is Severity.NOTE


def test_code_of_the_artefact_may_stop_by_itself() -> None:
    own = {"AutoModelForCausalLM": "modeling.Own"}
    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": 100}, named={"eos_token": "<|endoftext|>"}, auto_map=own))

    assert problem.severity is Severity.NOTE


def test_the_template_may_say_eos_token() -> None:
    tokens, template = {"<s>": 1, "</s>": 2}, "{% for m in messages %}[/INST]{{ m.content + eos_token }}{% endfor %}"
    named = {"eos_token": "</s>", "bos_token": "<s>"}

    _silent(*_facts(tokens, template, {"eos_token_id": 2}, model_type="mistral3", named=named))
    problem = _one(*_facts(tokens, template, {"eos_token_id": 1}, model_type="mistral3", named=named))
    assert "the tokenizer's bos_token '<s>'" in problem.message
    assert _edits(problem) == {"/eos_token_id": 2}


def test_phi_3_closes_turns_with_one_token_and_texts_with_another() -> None:
    tokens = {"<|endoftext|>": 100, "<|assistant|>": 101, "<|end|>": 107}
    template = (
        "{% for m in messages %}<|assistant|>\n{{ m.content }}<|end|>\n{% endfor %}"
        "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"
    )
    named = {"eos_token": "<|endoftext|>"}

    assert (
        "'<|end|>' (id 107)"
        in _one(*_facts(tokens, template, {"eos_token_id": 100}, model_type="phi3", named=named)).message
    )
    _silent(*_facts(tokens, template, {"eos_token_id": [100, 107]}, model_type="phi3", named=named))


def test_glm_stops_where_the_next_turn_begins() -> None:
    tokens = {"<|endoftext|>": 100, "<|user|>": 101, "<|assistant|>": 102}
    template = "[gMASK]{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{% endfor %}"
    named = {"eos_token": "<|endoftext|>"}

    problem = _one(*_facts(tokens, template, {"eos_token_id": 100}, model_type="glm4v", named=named))

    assert "'<|user|>' (id 101)" in problem.message
    _silent(*_facts(tokens, template, {"eos_token_id": [100, 101]}, model_type="glm4v", named=named))


def test_a_template_that_cannot_be_rendered_is_read_for_the_tokens_that_it_names() -> None:
    unknown = CHATML + "{{ strange_function(1) }}{% include 'x' %}"

    assert "'<|im_end|>'" in _one(*_facts(QWEN, unknown, {"eos_token_id": 100}, named=IM_END)).message


@pytest.mark.parametrize(
    ("value", "said"), [(7, "the ordinary token 'word'"), (150, "which the tokenizer does not have")]
)
def test_fires_on_an_id_that_ends_nothing(value: int, said: str) -> None:
    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": value}, named=IM_END))

    assert said in problem.message
    assert _edits(problem) == {"/eos_token_id": 102}


def test_padding_with_the_end_is_normal() -> None:
    same = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "bos_token": "<|endoftext|>"}

    _silent(*_facts(QWEN, None, {"eos_token_id": 100, "pad_token_id": 100}, named=same))


def test_padding_with_the_placeholder_of_an_image() -> None:
    named = IM_END | {"pad_token": "<|image_pad|>"}

    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": 102}, named=named, image_token_id=103))

    assert "'<|image_pad|>' is the image placeholder (id 103)" in problem.message


def test_padding_on_the_right_is_a_note_and_only_of_models_that_generate() -> None:
    problem = _one(*_facts(QWEN, CHATML, {"eos_token_id": 102}, named=IM_END, side="right"))

    assert problem.severity is Severity.NOTE
    assert _edits(problem) == {"/padding_side": "left"}
    _silent(*_facts(QWEN, CHATML, {"eos_token_id": 102}, named=IM_END, side="left"))
    _silent(*_facts(QWEN, None, None, model_type="clip", side="right"))


@pytest.mark.parametrize("key", ["decoder_start_token_id", "forced_bos_token_id"])
def test_fires_on_a_first_token_without_a_row(key: str) -> None:
    problem = _one(*_facts(QWEN, None, {key: 200, "eos_token_id": 100}))

    assert f"{key} is 200, and the embedding has 200 rows" in problem.message
    assert problem.severity is Severity.ERROR
    _silent(*_facts(QWEN, None, {key: 199, "eos_token_id": 100}))


WHISPER = {"<|endoftext|>": 100, "<|startoftranscript|>": 101, "<|en|>": 102, "<|transcribe|>": 103}


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"decoder_start_token_id": 100}, "/decoder_start_token_id"),
        ({"lang_to_id": {"<|en|>": 103}}, "/lang_to_id/<|en|>"),
        ({"task_to_id": {"transcribe": 102}}, "/task_to_id/transcribe"),
    ],
)
def test_whispers_prompt_is_of_the_tokenizers_ids(wrong: dict[str, Any], pointer: str) -> None:
    right = {"decoder_start_token_id": 101, "lang_to_id": {"<|en|>": 102}, "task_to_id": {"transcribe": 103}}
    stated = right | {"eos_token_id": 100}

    _silent(*_facts(WHISPER, None, stated, model_type="whisper"))
    problem = _one(*_facts(WHISPER, None, stated | wrong, model_type="whisper"))

    assert problem.severity is Severity.ERROR
    assert problem.because[0].at.pointer == pointer


@pytest.mark.parametrize("value", ["102", {"a": 1}, [[102]], -1, True, [None, "x"], 10**30])
def test_values_of_other_types_crash_nothing(value: object) -> None:
    facts = _facts(QWEN, CHATML, {"eos_token_id": value, "lang_to_id": value, "decoder_start_token_id": value})

    assert list(eos_and_padding_settings.function(*facts)) is not None  # type: ignore[arg-type] # facts by position
