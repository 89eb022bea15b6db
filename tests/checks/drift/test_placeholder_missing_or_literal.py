"""DRF013 fires where the chat template does not put the placeholder into the prompt."""

from typing import Any

import pytest
from msgspec.structs import replace

from mmdoctor.architectures.expectations import expectations
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.machine import Target
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.tokenizer import AddedToken, ChatTemplate, ChatTemplates, Processor, Settings, Tokenizer
from mmdoctor.finding import Confidence, Severity
from mmdoctor.location import Location
from mmdoctor.probes.templates.rendering import rendered_template
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.drift.placeholder_missing_or_literal import placeholder_missing_or_literal
from tests.specimens import templates

RULE = placeholder_missing_or_literal
TEXT_ONLY = """\
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""
VICUNA_IMAGES = templates.VICUNA.replace("'video'", "'nothing'")


def _tokenizer(*added: str, **named: str) -> Tokenizer:
    tokens = tuple(
        AddedToken(id=n, content=text, special=True, at=Location(file="tokenizer.json")) for n, text in enumerate(added)
    )
    return Tokenizer(
        file="tokenizer.json",
        kind="BPE",
        vocabulary={},
        added=tokens,
        max_id=reading(len(added)),
        max_token="",
        named={key: reading(text) for key, text in named.items()},
    )


def _facts(
    text: str,
    model_type: str = "qwen2_vl",
    tokenizer: Tokenizer | None = None,
    config: dict[str, Any] | None = None,
    processor: dict[str, Any] | None = None,
    engine: str | None = None,
    at: Location | None = None,
) -> tuple[Any, ...]:
    document = JsonDocument(file="config.json", value=config or {})
    model = MultimodalModel(config=ModelConfig(document=document, model_type=model_type), family="x", known=True)
    template = ChatTemplate(at=at or Location(file="chat_template.jinja"), text=text)
    rendered = rendered_template(ChatTemplates(copies=(template,)), tokenizer)
    joint = Processor(settings=Settings(document=JsonDocument(file="processor_config.json", value=processor or {})))
    documents = Documents(by_file={"config.json": document})
    return rendered, model, expectations(model), joint, tokenizer, documents, Target(engine=engine)


QWEN = _tokenizer("<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>")
LLAVA = _tokenizer("<image>", "<video>")


@pytest.mark.parametrize(
    ("model_type", "tokenizer"), [("qwen2_vl", QWEN), ("llava", LLAVA), ("idefics3", LLAVA), ("gemma3", None)]
)
@pytest.mark.parametrize("text", [TEXT_ONLY, TEXT_ONLY.replace(" + message['content'] + ", " ~ message['content'] ~ ")])
def test_fires_on_the_template_of_a_language_model(model_type: str, tokenizer: Tokenizer | None, text: str) -> None:
    (problem,) = fires(RULE, *_facts(text, model_type, tokenizer))

    assert problem.severity is Severity.ERROR
    assert "every request with an image fails" in problem.message
    assert problem.because[0].at.file == "chat_template.jinja"


def test_fires_where_the_image_is_dropped() -> None:
    (problem,) = fires(RULE, *_facts(templates.chatml(video="<|video_pad|>"), tokenizer=QWEN))

    assert "leaves an image out of the prompt" in problem.message


def test_a_missing_branch_for_videos_is_a_warning() -> None:
    (problem,) = fires(RULE, *_facts(templates.chatml(image="<|image_pad|>"), tokenizer=QWEN))

    assert problem.severity is Severity.WARNING
    assert "leaves a video out of the prompt" in problem.message


@pytest.mark.parametrize("literal", ["<image>", "<|vision_start|>"])
def test_fires_on_the_placeholder_of_another_family(literal: str) -> None:
    (problem,) = fires(RULE, *_facts(templates.chatml(literal, "<|video_pad|>"), tokenizer=QWEN))

    assert f"writes {literal!r} for an image, and not <|image_pad|>" in problem.message


def test_fires_on_a_text_that_is_no_token() -> None:
    (problem,) = fires(RULE, *_facts(templates.VICUNA.replace("<image>", "<picture>"), "llava", _tokenizer("<s>")))

    assert "which is no token of the tokenizer" in problem.message


def test_fires_on_two_placeholders_for_an_image() -> None:
    (problem,) = fires(RULE, *_facts(VICUNA_IMAGES.replace("<image>", "<image><image>"), "llava", LLAVA))

    assert "writes <image> 2 times for an image" in problem.message


def test_fires_on_a_placeholder_without_an_image() -> None:
    (problem,) = fires(RULE, *_facts("<image>" + VICUNA_IMAGES, "llava", LLAVA))

    assert "every request without an image fails" in problem.message


def test_fires_on_what_is_no_template() -> None:
    (problem,) = fires(RULE, *_facts("one\n{% if messages %}\n", "llama"))

    assert problem.confidence is Confidence.CERTAIN
    assert problem.because[0].at.line is not None


def test_the_line_is_told_in_words_where_the_template_is_in_json() -> None:
    at = Location(file="tokenizer_config.json", pointer="/chat_template")

    (problem,) = fires(RULE, *_facts("one\n{% oops %}", "llama", at=at))

    assert "line 2 of the template" in problem.message
    assert problem.because[0].at == at


def test_warns_of_a_template_without_end() -> None:
    text = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}"

    (problem,) = fires(RULE, *_facts(text, "llama"))

    assert problem.severity is Severity.WARNING
    assert "200000 steps" in problem.because[0].observed  # type: ignore[operator] - a text here


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_engines_that_insert_the_placeholder_make_it_a_warning(engine: str) -> None:
    (problem,) = fires(RULE, *_facts(TEXT_ONLY, tokenizer=QWEN, engine=engine))

    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("model_type", "text", "tokenizer"),
    [
        ("qwen2_vl", templates.chatml("<|vision_start|><|image_pad|>", "<|video_pad|>"), QWEN),
        ("llava", templates.VICUNA, LLAVA),
        ("llava", templates.PIXTRAL, _tokenizer("[IMG]")),
        ("llava_onevision", templates.VICUNA, LLAVA),
        ("gemma3", templates.gemma("<start_of_image>"), _tokenizer("<start_of_image>", "<image_soft_token>")),
        ("gemma3", templates.gemma("<start_of_image>"), None),
        ("glm4v", templates.GLM, _tokenizer("<|image|>", "<|video|>")),
        ("mllama", templates.llama("<|h|>", "<|t|>", "<|e|>"), _tokenizer("<|image|>")),
        ("llama4", templates.llama("<|h|>", "<|t|>", "<|e|>"), _tokenizer("<|image|>", "<|patch|>")),
        ("aya_vision", templates.AYA, _tokenizer("<image>", "<|IMG_PATCH|>")),
        ("idefics3", templates.idefics("<s>"), LLAVA),
        ("janus", templates.JANUS, _tokenizer("<image_placeholder>")),
        ("qwen2_audio", templates.chatml(audio="<|AUDIO|>"), _tokenizer("<|AUDIO|>")),
    ],
)
def test_silent_on_published_templates(model_type: str, text: str, tokenizer: Tokenizer | None) -> None:
    silent(RULE, *_facts(text, model_type, tokenizer))


def test_silent_where_the_processor_names_another_placeholder() -> None:
    silent(
        RULE, *_facts(templates.PIXTRAL, "llava", _tokenizer("[IMG]", "<image>"), processor={"image_token": "[IMG]"})
    )


@pytest.mark.parametrize("model_type", ["phi3_v", "internvl_chat", "llama", "blip-2", "paligemma"])
def test_silent_where_the_prompt_is_built_elsewhere(model_type: str) -> None:
    silent(RULE, *_facts(TEXT_ONLY, model_type, QWEN))


def test_silent_on_models_with_code_of_their_own() -> None:
    silent(RULE, *_facts(TEXT_ONLY, "qwen2_vl", QWEN, config={"auto_map": {"AutoProcessor": "processing.P"}}))


def test_silent_where_the_template_puts_the_image_into_every_message() -> None:
    silent(RULE, *_facts(TEXT_ONLY.replace("'\\n' + m", "'\\n<image>' + m"), "llava", LLAVA))


def test_silent_on_a_template_that_uses_what_is_not_rendered_here() -> None:
    silent(RULE, *_facts("{{ messages|groupby('role') }}" + TEXT_ONLY, "qwen2_vl", QWEN))


def test_silent_on_a_complete_set_where_only_the_tokenizer_is_unknown() -> None:
    facts = _facts(templates.chatml("<made up>", "<|video_pad|>"))

    silent(RULE, *facts)
    silent(RULE, *(*facts[:4], replace(QWEN, complete=False), *facts[5:]))
