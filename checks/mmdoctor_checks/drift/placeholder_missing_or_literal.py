"""DRF013."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.machine import Target
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.templates import RenderedTemplate, Rendering
from mmdoctor.facts.tokenizer import Expectations, Processor, Tokenizer
from mmdoctor.finding import Confidence, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

NAMES = {"image": "an image", "video": "a video", "audio": "a sound"}
IN_PROMPT = {
    "gemma3": ("boi_token", "<start_of_image>"),
    "shieldgemma2": ("boi_token", "<start_of_image>"),
    "llama4": ("image_token", "<|image|>"),
    "aya_vision": ("image_token", "<image>"),
}
"""What a prompt holds for an image, by key and default, where the processor replaces that by its placeholders
(models/*/processing_*.py)."""
INSERTS = ("vllm", "sglang")
"""Engines that put the placeholder in themselves where a template takes plain texts only."""


@check("DRF013", Severity.ERROR)
def placeholder_missing_or_literal(
    rendered: RenderedTemplate,
    model: MultimodalModel,
    expected: Expectations,
    processor: Processor | None,
    tokenizer: Tokenizer | None,
    documents: Documents,
    target: Target,
) -> Iterator[Problem]:
    """The chat template leaves the image out of the prompt, or writes something else in its place.

    ## What it checks

    The template that transformers takes is rendered, by an interpreter of mmdoctor's own that runs no code and counts
    its steps, for a message of text alone and for one with an image, a video or a sound, as far as the model takes
    them. The prompt has to have the placeholder once for each of them and none without; whatever token of the tokenizer
    the template writes is taken for one where the type's own is not known (Gemma 3 writes `<start_of_image>`). A
    template that is broken or has no end is told too. Models with code of their own build their prompts themselves.

    ## Why it matters

    `Image features and image tokens do not match: tokens: 0, features 1080`, or no error and an answer that has nothing
    to do with the image. It happens when a fine-tune takes the template of the bare language model along, when a
    template has a branch for images and none for videos, and where the placeholder of another family is written, which
    the tokenizer takes for plain words.

    ## How to fix it

    Copy the template of the model that this one was tuned from. Engines such as vLLM put the placeholder in themselves
    where a template takes plain texts.

    ## Sources

    - https://github.com/QwenLM/Qwen3-VL/issues/1356
    - https://github.com/QwenLM/Qwen3-VL/issues/549
    - https://github.com/2U1/Qwen-VL-Series-Finetune/issues/181
    - https://github.com/ibm-granite/granite-vision-models/issues/1
    - https://github.com/sgl-project/sglang/issues/3819
    """
    if expected.chat is False:
        return
    if rendered.broken:
        yield _problem(rendered, "cannot be parsed", rendered.broken, rendered.line, "every chat request fails")
        return
    endless = next((r.endless for r in rendered.renderings.values() if r.endless), "")
    if endless:
        end = "every chat request blocks the server"
        yield _problem(rendered, "does not come to an end", endless, None, end, severity=Severity.WARNING)
        return
    own_code = bool(model.remote_code) or any(d.get("/auto_map") for d in documents.by_file.values())
    if own_code or not expected.known:
        return
    for kind in _kinds(expected):
        tokens = _tokens(kind, model, expected, processor, tokenizer)
        found = _judged(rendered, kind, tokens, tokenizer, target)
        yield from found
        if kind == "image" and found:  # the template knows text only: so it does of videos and sounds
            return


def _kinds(expected: Expectations) -> list[str]:
    kinds = {"image": expected.image, "video": "video" in expected.placeholders, "audio": expected.audio}
    return [kind for kind, taken in kinds.items() if (taken and expected.tokenizer) or kind in expected.placeholders]


def _tokens(
    kind: str, model: MultimodalModel, expected: Expectations, processor: Processor | None, tokenizer: Tokenizer | None
) -> tuple[str, ...]:
    """Texts that stand for one input of the kind in a prompt."""
    special = IN_PROMPT.get(model.config.model_type or "") if kind == "image" else None
    keys = (special[0],) if special else (f"{kind}_token", *expected.role_keys.get(kind, ()))
    found: list[object] = []
    for key in keys:
        found.append(processor.settings.get(key) if processor is not None else None)
        found.append(tokenizer.named[key].value if tokenizer is not None and key in tokenizer.named else None)
    found.append(special[1] if special else expected.placeholders.get(kind))
    return tuple(dict.fromkeys(text for text in found if isinstance(text, str) and text))


def _judged(
    rendered: RenderedTemplate, kind: str, tokens: tuple[str, ...], tokenizer: Tokenizer | None, target: Target
) -> list[Problem]:
    made = rendered.renderings
    one, plain, words = (made.get(name, Rendering()) for name in (kind, "text", "words"))
    puts_it_itself = plain.text is None and any(_count(words.text, token) == 1 for token in tokens)
    if puts_it_itself or any(r.unknown for r in (one, plain, words)):
        return []
    what, fails = NAMES[kind], f"every request with {NAMES[kind]} fails"
    milder = Severity.WARNING if kind != "image" else Severity.ERROR
    if one.text is None:
        strings = words.text is not None and plain.text is None
        said = "takes plain texts only" if strings else f"fails for a message with {what}"
        by_engine = strings and target.engine in INSERTS
        return [_problem(rendered, said, one.failure, one.line, fails, Severity.WARNING if by_engine else milder)]
    if plain.text is None:
        return []
    extra = next((t for t in tokens if _count(plain.text, t)), None)
    if extra is not None and kind == "image":
        end = "every request without an image fails"
        return [_problem(rendered, "writes a placeholder for a message without an image", extra, None, end)]
    counts = {token: _count(one.text, token) for token in tokens}
    if one.text == plain.text or "{'type'" in one.text:
        said = f"leaves {what} out of the prompt"
        return [_problem(rendered, said, _end_of(one.text), None, fails, milder)]
    if any(count > 1 for count in counts.values()) and 1 not in counts.values():
        token, count = max(counts.items(), key=lambda pair: pair[1])
        return [_problem(rendered, f"writes {token} {count} times for {what}", _end_of(one.text), None, fails, milder)]
    if tokenizer is None or not tokenizer.complete or any(counts.values()):
        return []
    right = next((token for token in tokens if tokenizer.id_of(token) is not None), None)
    if right is None and _writes_a_token(tokenizer, one.text, plain.text):
        return []
    known = f"and not {right}" if right is not None else "which is no token of the tokenizer"
    said = f"writes {_written(one.text, plain.text)!r} for {what}, {known}"
    return [_problem(rendered, said, _end_of(one.text), None, fails, milder)]


def _count(text: str | None, token: str) -> int:
    return text.count(token) if text is not None else 0


def _writes_a_token(tokenizer: Tokenizer, one: str, plain: str) -> bool:
    return any(one.count(token.content) > plain.count(token.content) for token in tokenizer.added if token.content)


def _written(one: str, plain: str) -> str:
    """What the prompt has more than that without the image."""
    start = next((i for i, (a, b) in enumerate(zip(one, plain, strict=False)) if a != b), min(len(one), len(plain)))
    return one[start : start + max(len(one) - len(plain), 1)][:60]


def _end_of(text: str) -> str:
    return text if len(text) <= 120 else f"... {text[-110:]}"


def _problem(
    rendered: RenderedTemplate, said: str, shown: str, line: int | None, end: str, severity: Severity | None = None
) -> Problem:
    at = rendered.template.at
    where = Location(file=at.file, line=line) if line is not None and at.pointer is None else at
    place = f" (line {line} of the template)" if line is not None and at.pointer is not None else ""
    return Problem(
        f"the chat template in {at.file} {said}{place}: {end}",
        because=[
            Evidence("it comes to" if not line else "it says", shown or "nothing", where, expected="one placeholder")
        ],
        fix=Fix("copy the template of the model that this one was tuned from"),
        severity=severity,
        confidence=Confidence.CERTAIN if rendered.broken else Confidence.LIKELY,
    )
