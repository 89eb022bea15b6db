"""DRF025."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.templates import RenderedTemplate
from mmdoctor.facts.tokenizer import ChatTemplates, Expectations, Tokenizer
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location, Reading
from mmdoctor_checks.drift.stop_tokens import GENERATION, Stops, may_end, stops, turn_ends

FED = ("decoder_start_token_id", "forced_bos_token_id", "bos_token_id")
"""Ids that a generation begins with, so that they are looked up in the embedding."""
OPENING = ("bos_token", "unk_token")
"""Named tokens that begin a text or stand for the unknown."""
BASE_WITH_TEMPLATE = frozenset({"qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next", "idefics3"})
"""Types of which models are published that carry a template and end at the end of a text."""
TUNED_ONLY = frozenset({"phi3", "phimoe", "gemma", "gemma2", "gemma3_text"})
"""Types for text whose models have a template only where they were tuned for chat."""
_GENERATE = "transformers' generate goes on after the answer; engines that add the tokenizer's eos_token stop"


@check("DRF025", Severity.WARNING)
def eos_and_padding_settings(
    model: MultimodalModel,
    tokenizer: Tokenizer,
    documents: Documents,
    templates: ChatTemplates,
    rendered: RenderedTemplate | None,
    expected: Expectations,
    embeddings: Embeddings | None,
) -> Iterator[Problem]:
    """A generation does not stop where a turn ends, or begins or pads with the wrong token.

    ## What it checks

    For models that generate text:

    - The token that the chat template writes after the model's answer (it is rendered, by mmdoctor's own interpreter)
      must be among those that end a generation: `eos_token_id` of generation_config.json, or of config.json where that
      states none. The tokenizer's own `eos_token` ends it in engines, not in transformers' `generate`.
    - An id that ends a generation should be an end-of-text token, not an ordinary word.
    - The first token of a generation must have a row in the embedding. Whisper's start, language and task ids must be
      those that the tokenizer gives to these tokens.
    - The padding token must not be the placeholder of an image.
    - Tokens that are padded on the right make batches of a generating model wrong: a note, since most callers pad
      themselves.

    Lists of ids are normal, and so is padding with the end-of-text token. A base model ends no turns.

    ## Why it matters

    The model goes on after its answer: it prints `<|im_end|>` or `<end_of_turn>` and talks to itself until the length
    runs out, which costs time and money in every request.

    ## How to fix it

    Write the ids of all tokens that end a turn or a text into `eos_token_id` of generation_config.json, as a list.

    ## Sources

    - https://github.com/Blaizzy/mlx-vlm/issues/2112
    - https://github.com/Blaizzy/mlx-vlm/issues/1496
    - https://github.com/openvinotoolkit/openvino.genai/issues/1612
    - https://github.com/huggingface/lighteval/issues/1279
    - https://github.com/NVIDIA-NeMo/Megatron-Bridge/issues/5246
    - https://github.com/huggingface/transformers/issues/32268
    - https://github.com/LLaVA-VL/LLaVA-NeXT/issues/398
    """
    if model.text is None or not model.text.is_decoder:
        return
    found = stops(model, documents, tokenizer)
    wrong = [] if model.remote_code else list(_ordinary(tokenizer, expected, found))
    yield from wrong or _turn_end(
        model, tokenizer, turn_ends(rendered, templates, tokenizer, expected), expected, found
    )
    beyond = list(_first(model, documents, embeddings))
    yield from beyond
    generation = documents.find(GENERATION)
    if model.config.model_type == "whisper" and generation is not None and not beyond:
        yield from _whisper(generation, tokenizer)
    yield from _padding(model, tokenizer, templates, found)


def _turn_end(
    model: MultimodalModel, tokenizer: Tokenizer, ends: list[Reading[str]], expected: Expectations, found: Stops
) -> Iterator[Problem]:
    ids = {end.value: number for end in ends if (number := tokenizer.id_of(end.value)) is not None}
    stated = {reading.value for reading in found.stated}
    if not ids or not stated or stated & set(ids.values()):
        return
    own = found.tokenizer.value if found.tokenizer is not None else None
    end = next((end for end in ends if end.value == own), ends[-1])
    number = ids.get(end.value)
    if number is None:
        return
    shown = ", ".join(f"{reading.value} {tokenizer.content_of(reading.value)!r}" for reading in found.stated[:4])
    engines = own == end.value
    yield Problem(
        f"the chat template closes a turn with {end.value!r} (id {number}), and a generation ends at {shown} only: "
        + (_GENERATE if engines else "the model goes on after its answer until the length runs out"),
        because=[
            Evidence("ids that end a generation", shown, found.stated[0].at, expected=f"{number} among them"),
            Evidence("end of a turn in the chat template", end.value, end.at),
        ],
        fix=_add(found, number),
        severity=None if _is_chat(model, expected, own, engines=engines) else Severity.NOTE,
        confidence=Confidence.LIKELY,
    )


def _is_chat(model: MultimodalModel, expected: Expectations, own: str | None, *, engines: bool) -> bool:
    """Whether it must stop there, rather than be a base model with a template, or stop in code of its own."""
    if model.remote_code or model.config.model_type in BASE_WITH_TEMPLATE:
        return engines and not model.remote_code
    tuned = model.vision is not None or model.audio is not None or model.config.model_type in TUNED_ONLY
    return bool(expected.chat) or tuned or engines or own in expected.turn_ends


def _add(found: Stops, number: int) -> Fix:
    ids = [*(reading.value for reading in found.stated), number]
    at = found.stated[0].at
    pointer = (at.pointer or "").rpartition("/eos_token_id")[0] + "/eos_token_id"
    edits = (Edit(file=at.file, pointer=pointer, value=list(dict.fromkeys(ids))),)
    return Fix(f"set eos_token_id in {at.file} to {ids}", edits)


def _ordinary(tokenizer: Tokenizer, expected: Expectations, found: Stops) -> Iterator[Problem]:
    """A generation that ends at an ordinary word, or at nothing."""
    own = found.tokenizer
    number = tokenizer.id_of(own.value) if own is not None else None
    other = {t.value: name for name, t in tokenizer.named.items() if name in OPENING and (own is None or t != own)}
    special = {token.id for token in tokenizer.added if token.special} | {
        known for reading in tokenizer.named.values() if (known := tokenizer.id_of(reading.value)) is not None
    }
    contents = [(reading, tokenizer.content_of(reading.value)) for reading in found.stated]
    wrong = [
        (reading, content)
        for reading, content in contents
        if content is None
        or (content in other and reading.value != number)
        or not (reading.value in special or may_end(content, expected))
    ]
    if not wrong or len(wrong) < len(contents) or not tokenizer.complete:
        return
    reading, content = wrong[0]
    if content is None:
        said = "which the tokenizer does not have: the model never stops by itself"
    elif content in other:
        said = f"which is the tokenizer's {other[content]} {content!r}: the model does not stop at the end of a text"
    else:
        said = f"which is the ordinary token {content!r}: the model stops in the middle of a text, not at its end"
    yield Problem(
        f"a generation ends at id {reading.value}, {said}",
        because=[
            Evidence("eos_token_id", reading.value, reading.at, number),
            *([Evidence("eos_token of the tokenizer", own.value, own.at)] if own is not None else []),
        ],
        fix=Fix(
            "take the id of the tokenizer's eos_token",
            (Edit(file=reading.at.file, pointer=reading.at.pointer or "", value=number),) if number is not None else (),
        ),
    )


def _first(model: MultimodalModel, documents: Documents, embeddings: Embeddings | None) -> Iterator[Problem]:
    table = embeddings.embedding if embeddings is not None else None
    if table is None or not table.is_float or len(table.shape) != 2:
        return
    generation = documents.find(GENERATION)
    sections = dict.fromkeys(("", model.text.section if model.text is not None else ""))
    places = [(model.config.document, section) for section in sections]
    places += [(generation, "")] if generation is not None else []
    readings = (
        (key, found)
        for document, section in places
        for key in FED
        if (found := document.read(f"{section}/{key}", int)) is not None
    )
    for key, found in readings:
        if found.value >= table.shape[0]:
            yield Problem(
                f"{key} is {found.value}, and the embedding has {table.shape[0]} rows: a generation that begins with "
                "it ends in an index error",
                because=[
                    Evidence(key, found.value, found.at, f"below {table.shape[0]}"),
                    Evidence("rows of the embedding", table.shape[0], table.at),
                ],
                fix=Fix("take config.json and generation_config.json from the save that the weights are from"),
                severity=Severity.ERROR if key != "bos_token_id" else None,
            )
            return


def _whisper(generation: JsonDocument, tokenizer: Tokenizer) -> Iterator[Problem]:
    """The prompt of a transcription is built from ids of generation_config.json alone."""
    stated: list[tuple[str, str, object]] = [
        ("/decoder_start_token_id", "<|startoftranscript|>", generation.get("/decoder_start_token_id")),
        ("/no_timestamps_token_id", "<|notimestamps|>", generation.get("/no_timestamps_token_id")),
        ("/prev_sot_token_id", "<|startofprev|>", generation.get("/prev_sot_token_id")),
    ]
    for key, form in (("lang_to_id", "{}"), ("task_to_id", "<|{}|>")):
        table = generation.get(f"/{key}")
        items = table.items() if isinstance(table, dict) else ()
        stated += [(f"/{key}/{name}", form.format(name), value) for name, value in items]
    wrong = [
        (pointer, content, value, number)
        for pointer, content, value in stated
        if isinstance(value, int) and (number := tokenizer.id_of(content)) is not None and number != value
    ]
    if not wrong:
        return
    pointer, content, value, number = wrong[0]
    more = f" and {len(wrong) - 1} more ids" if len(wrong) > 1 else ""
    yield Problem(
        f"generation_config.json says {value} for {content!r}{more}, and the tokenizer gives it {number}: every "
        "transcription begins with wrong tokens, and its text is wrong",
        because=[
            Evidence(f"id of {content!r}", value, generation.at(pointer), number),
            Evidence("id in the tokenizer", number, Location(file=tokenizer.file)),
        ],
        fix=Fix("take tokenizer and generation_config.json from one and the same model"),
        severity=Severity.ERROR,
    )


def _padding(model: MultimodalModel, tokenizer: Tokenizer, templates: ChatTemplates, found: Stops) -> Iterator[Problem]:
    pad = tokenizer.named.get("pad_token")
    number = tokenizer.id_of(pad.value) if pad is not None else None
    role = next((role for role, stated in model.token_ids.items() if stated.value == number), None)
    if pad is not None and number is not None and role in ("image", "video", "audio"):
        stated = model.token_ids[role]
        yield Problem(
            f"the padding token {pad.value!r} is the {role} placeholder (id {number}): in a batch every padded place "
            f"asks for a feature of the {role}, and the request fails",
            because=[
                Evidence("pad_token", pad.value, pad.at),
                Evidence(f"{role} placeholder id", stated.value, stated.at),
            ],
            fix=Fix("pad with a token of its own, or with the end-of-text token"),
        )
    side = tokenizer.padding_side
    multimodal = model.vision is not None or model.audio is not None
    if side is not None and side.value == "right" and multimodal and templates.copies and found.stated:
        if model.config.document.get("/is_encoder_decoder") is True:
            return
        yield Problem(
            "the tokenizer pads on the right: a batch of prompts of different lengths goes on after padding and gives "
            "other answers than each prompt alone; right is for training",
            because=[Evidence("padding_side", side.value, side.at, expected="left")],
            fix=Fix(
                "set padding_side to left, or pass it to the processor",
                (Edit(file=side.at.file, pointer=side.at.pointer or "", value="left"),),
            ),
            severity=Severity.NOTE,
        )
