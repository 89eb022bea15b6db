"""What DRF025 knows of the end of a turn: which token the template writes, and which ones end a generation."""

import re
from collections.abc import Iterator

import msgspec

from mmdoctor.facts.documents import Documents
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.templates import RenderedTemplate
from mmdoctor.facts.tokenizer import ChatTemplates, Expectations, Tokenizer
from mmdoctor.location import Location, Reading

CONFIG, GENERATION = "config.json", "generation_config.json"

_END = re.compile(r"end|eot|eom|eos|stop|return|^</s>$", re.IGNORECASE)
_OTHER = re.compile(
    r"vision|ima?ge?|audio|video|object|box|quad|ref|tool|think|role|header|start|func|plugin|fim|file|repo|patch"
    r"|channel|context|prefix|suffix|middle|sound|speech|doc|column|row|table|code|latex|chart|seg|point",
    re.IGNORECASE,
)
"""Words of tokens that open or close something inside of a turn."""


class Stops(msgspec.Struct, frozen=True, kw_only=True):
    """Ids that end a generation."""

    stated: tuple[Reading[int], ...] = ()
    """As transformers' `generate` takes them: of generation_config.json, else of config.json."""
    source: str = ""
    """The file that they come from."""
    tokenizer: Reading[str] | None = None
    """The tokenizer's own, which engines add and `generate` does not."""


def stops(model: MultimodalModel, documents: Documents, tokenizer: Tokenizer) -> Stops:
    """What ends a generation of the model.

    transformers, generation/configuration_utils.py: without generation_config.json, or without `eos_token_id` in it,
    the values of config.json and of its text section are taken (`from_model_config`).
    """
    generation = documents.find(GENERATION)
    found: list[Reading[int]] = []
    source = CONFIG
    if generation is not None:
        found, source = list(_ids(generation.get("/eos_token_id"), generation.at("/eos_token_id"))), GENERATION
    if not found:
        source = CONFIG
        sections = ["", *([model.text.section] if model.text is not None and model.text.section else [])]
        for section in sections:
            pointer = f"{section}/eos_token_id"
            found += _ids(model.config.document.get(pointer), model.config.document.at(pointer))
    return Stops(stated=tuple(found), source=source, tokenizer=tokenizer.named.get("eos_token"))


def _ids(value: object, at: Location) -> Iterator[Reading[int]]:
    numbers = value if isinstance(value, list) else [value]
    for index, number in enumerate(numbers[:64]):
        if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
            inside = f"{at.pointer}/{index}" if isinstance(value, list) else at.pointer
            yield Reading(number, Location(file=at.file, pointer=inside))


def turn_ends(
    rendered: RenderedTemplate | None, templates: ChatTemplates, tokenizer: Tokenizer, expected: Expectations
) -> list[Reading[str]]:
    """Tokens of the tokenizer with which the template closes the model's turn, at the copy that writes it.

    What it writes after an answer, or else, of a known token, before the next question (GLM). Where the template cannot
    be rendered, the tokens that it names: those of turns before `eos_token`, which closes the whole conversation.
    """
    if rendered is not None and rendered.after_answer is not None:
        own = tokenizer.named.get("eos_token")
        first = _first_token(rendered.after_answer, tokenizer)
        if first is not None and not is_end(first, expected) and (own is None or first != own.value):
            return []
        if first is None and not rendered.after_answer.strip():
            begins = _first_token(rendered.after_turn or "", tokenizer)
            first = begins if begins in expected.turn_ends else None
        return [Reading(first, rendered.template.at)] if first is not None else []
    copy = next((c for c in templates.copies if c.name == "default"), None)
    if copy is None:
        return []
    found = {t.content for t in tokenizer.added if t.content in copy.text and is_end(t.content, expected)}
    known = found & expected.turn_ends
    named = tokenizer.named.get("eos_token")
    if named is not None and not known and re.search(r"\beos_token\b", copy.text):
        found.add(named.value)
    return [Reading(content, copy.at) for content in sorted(known or found)]


def _first_token(text: str, tokenizer: Tokenizer) -> str | None:
    """The added token that a text begins with, after blanks."""
    start = text.lstrip()
    return max((t.content for t in tokenizer.added if t.content and start.startswith(t.content)), key=len, default=None)


_SPARE = re.compile(r"unused|reserved|extra_id|special", re.IGNORECASE)
"""Words of tokens that are given a meaning later on."""


def may_end(content: str, expected: Expectations) -> bool:
    """Whether a generation may be meant to end at a token, even if its words do not say so."""
    return is_end(content, expected) or content in expected.turn_ends or bool(_SPARE.search(content))


def is_end(content: str, expected: Expectations) -> bool:
    """Whether a token's own words say that it ends a turn or a text."""
    if content in expected.turn_ends:
        return content != "<|user|>"  # that begins a turn; GLM stops where the next one would
    return len(content) > 2 and bool(_END.search(content)) and not _OTHER.search(content)
