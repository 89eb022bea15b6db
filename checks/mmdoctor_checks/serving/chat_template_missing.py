"""SRV010."""

import re
from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.machine import Target
from mmdoctor.facts.model import MultimodalModel, SpecialTokenIds
from mmdoctor.facts.source import FileKind, Source
from mmdoctor.facts.tokenizer import ChatTemplates, Expectations, Tokenizer
from mmdoctor.finding import Confidence, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location, Reading
from mmdoctor.versions import older

_TUNED = re.compile(r"(?:^|[-_/. ])(?:instruct|chat|it|sft|dpo|rlhf|assistant|thinking)(?:[-_/. ]|$)", re.IGNORECASE)
_BASE = re.compile(r"(?:^|[-_/. ])(?:base|pt|pretrain(?:ed)?|embedding|reranker|reward)(?:[-_/. ]|$)", re.IGNORECASE)
_GENERATES = re.compile(r"ForConditionalGeneration|ForCausalLM|LMHeadModel|ForImageTextToText")

_VLLM_FALLBACKS = frozenset({"blip-2", "chameleon", "deepseek_vl_v2", "deepseek_ocr", "fuyu", "paligemma", "minicpmv"})
"""Types for which vLLM ships a template of its own (vllm/transformers_utils/chat_templates/registry.py)."""

FIRST_JINJA = "4.43"
"""The first transformers that reads chat_template.jinja; Text Generation Inference does not."""


@check("SRV010", Severity.ERROR)
def chat_template_missing(
    model: MultimodalModel,
    templates: ChatTemplates,
    expected: Expectations,
    source: Source,
    documents: Documents,
    tokenizer: Tokenizer | None,
    special: SpecialTokenIds | None,
    target: Target,
) -> Iterator[Problem]:
    """A model tuned for chat comes without a chat template, or with one that the engine does not read.

    ## What it checks

    All places of a template: chat_template.jinja, chat_template.json, processor_config.json, tokenizer_config.json and
    additional_chat_templates/. Where there is none it is an error if the model is tuned for chat: it stops at a token
    that closes a turn (`<|im_end|>`, `<|eot_id|>`, `<end_of_turn>` ...), it is named so (`-Instruct`, `-it`), or all
    published models of its type are. A base model is left alone, as are types whose processor builds the prompt
    (BLIP-2, PaliGemma, Whisper, CLIP) and models with code of their own.

    ## Why it matters

    `/v1/chat/completions` answers every request with `default chat template is no longer allowed`, and
    `apply_chat_template` raises. Completion requests work.

    ## How to fix it

    Copy the template from the model that this one was tuned from, or pass `--chat-template FILE` to the engine.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/39279
    - https://github.com/vllm-project/vllm/issues/29849
    - https://github.com/QwenLM/Qwen3-VL/issues/1405
    - https://github.com/huggingface/transformers/issues/46431
    - https://github.com/huggingface/text-generation-inference/issues/3247
    - https://github.com/sgl-project/sglang/issues/1759
    """
    if templates.copies:
        yield from _unread(templates, target)
        return
    if expected.chat is False or not _takes_chat(model, source, tokenizer):
        return
    if target.engine == "vllm" and model.config.model_type in _VLLM_FALLBACKS:
        return
    signs = list(_signs(model, expected, source, tokenizer, special))
    own_code = bool(model.remote_code) or any(d.get("/auto_map") for d in documents.by_file.values())
    if not signs or own_code:
        return
    weak = expected.base_models_exist and signs[0].what == "its type is"
    yield Problem(
        f"there is no chat template, and the model is tuned for chat ({signs[0].what} {signs[0].observed}): every chat "
        "request fails, only completion requests work",
        because=[Evidence("chat templates", "none", Location(file="chat_template.jinja"), expected="one"), *signs],
        fix=Fix("copy chat_template.jinja from the model that this one was tuned from, or pass --chat-template FILE"),
        severity=Severity.WARNING if weak else Severity.ERROR,
        confidence=Confidence.POSSIBLE if weak else Confidence.LIKELY,
    )


def _takes_chat(model: MultimodalModel, source: Source, tokenizer: Tokenizer | None) -> bool:
    """It generates text from a tokenizer's ids, and no GGUF with a template inside lies beside it."""
    generates = model.text is not None and model.text.is_decoder
    named = model.config.architectures
    if not generates or (named and not any(_GENERATES.search(name) for name in named)):
        return False
    return tokenizer is not None and not any(entry.kind is FileKind.GGUF for entry in source.top())


def _signs(
    model: MultimodalModel,
    expected: Expectations,
    source: Source,
    tokenizer: Tokenizer | None,
    special: SpecialTokenIds | None,
) -> Iterator[Evidence]:
    """What shows that the model was tuned for chat, the strongest first; nothing for one that is named a base model."""
    stated = model.config.document.read("/_name_or_path", str)
    names = [Reading(source.name), *([stated] if stated else [])]
    if any(_BASE.search(name.value) for name in names):
        return
    for key, reading in special.ids if special else ():
        text = tokenizer.content_of(reading.value) if tokenizer and key == "eos_token_id" else None
        if text in expected.turn_ends:
            yield Evidence("it stops at", text, reading.at)
            return
    eos = tokenizer.named.get("eos_token") if tokenizer else None
    if eos is not None and eos.value in expected.turn_ends:
        yield Evidence("it stops at", eos.value, eos.at)
    for name in names:
        if _TUNED.search(name.value):
            yield Evidence("its name is", name.value, name.at)
    if expected.chat:
        yield Evidence("its type is", model.config.model_type, model.config.document.at("/model_type"))


def _unread(templates: ChatTemplates, target: Target) -> Iterator[Problem]:
    """Only a .jinja file, for a loader from before there were any."""
    if any(not copy.at.file.endswith(".jinja") for copy in templates.copies):
        return
    old = target.engine == "transformers" and older(target.engine_version, FIRST_JINJA)
    if target.engine == "tgi" or old:
        loader = f"{target.engine} {target.engine_version or ''}".strip()
        yield Problem(
            f"the only chat template is {templates.copies[0].at.file}, and {loader} does not read such files: every "
            "chat request fails",
            because=[
                Evidence("chat template", templates.copies[0].at.file, templates.copies[0].at),
                Evidence("loader", loader, expected=f"transformers {FIRST_JINJA} or newer"),
            ],
            fix=Fix("write the template into tokenizer_config.json as chat_template too"),
        )
