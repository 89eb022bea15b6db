"""DRF014."""

import re
from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import Expectations, Processor, Tokenizer
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location, Reading


@check("DRF014", Severity.ERROR)
def image_token_id_mismatch(
    model: MultimodalModel, tokenizer: Tokenizer, processor: Processor | None, expected: Expectations
) -> Iterator[Problem]:
    """The model looks for its image, video or audio placeholder under another id than the tokenizer gives it.

    ## What it checks

    Every placeholder id of config.json (`image_token_id`, `image_token_index`, `video_token_id`, `audio_token_index`,
    `vision_start_token_id` ...) against the id that the tokenizer gives to the placeholder's text. The text is the
    processor's `image_token`, the tokenizer's named token, or the default of the family's processor class. The
    tokenizer's id is the one it really gives: the `tokenizers` library renumbers added tokens that leave a gap.
    An id past the last row of the embedding is DRF016's.

    ## Why it matters

    The model replaces the embeddings at the placeholder's positions by image features. With another id it finds no
    placeholder (`Image features and image tokens do not match: tokens: 0`), or it overwrites ordinary words and
    ignores the image.

    ## How to fix it

    Restore the tokenizer files that the weights were trained with. If they are right, write their id into
    config.json.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/6224
    - https://github.com/huggingface/transformers/issues/34876
    - https://github.com/huggingface/transformers/issues/34223
    - https://github.com/huggingface/transformers/issues/34109
    - https://github.com/huggingface/transformers/issues/34225
    - https://github.com/meta-llama/llama-models/issues/219
    - https://github.com/huggingface/blog/issues/3133
    """
    found = dict(_wrong(model, tokenizer, processor, expected))
    if not found:
        return
    (_, problem), *others = found.items()
    if others:  # one cause: the tokenizer is not the one that config.json was written for
        also = ", ".join(_words(role) for role, _ in others)
        problem = Problem(
            f"{problem.message} (the same holds for: {also})",
            because=[evidence for each in found.values() for evidence in each.because],
            fix=problem.fix,
            severity=problem.severity,
            confidence=problem.confidence,
        )
    yield problem


def _wrong(
    model: MultimodalModel, tokenizer: Tokenizer, processor: Processor | None, expected: Expectations
) -> Iterator[tuple[str, Problem]]:
    """Role and problem of every placeholder that is not where config.json expects it, image first."""
    for role, stated in sorted(model.token_ids.items(), key=lambda item: item[0] != "image"):
        if stated.value < 0:  # IMAGE_TOKEN_INDEX = -200 of the original LLaVA is a mark, not an id
            continue
        texts = _texts(role, tokenizer, processor, expected)
        known = [(text, tokenizer.id_of(text.value)) for text in texts]
        if any(number == stated.value for _, number in known):
            continue
        other = next(((text, number) for text, number in known if number is not None), None)
        if other is not None:
            yield role, _other_id(role, stated, *other, tokenizer)
        elif texts and tokenizer.complete and not _is_placeholder(tokenizer.content_of(stated.value)):
            yield role, _unknown_text(role, stated, texts[0], tokenizer)
        elif not texts and tokenizer.complete and stated.value > tokenizer.max_id.value:
            yield role, _no_such_id(role, stated, tokenizer)


def _texts(role: str, tokenizer: Tokenizer, processor: Processor | None, expected: Expectations) -> list[Reading[str]]:
    """The placeholder's text: of the most explicit setting that there is, and the family's default."""
    found: list[Reading[str]] = []
    for key in expected.role_keys.get(role, ()):
        if processor is not None and (reading := processor.settings.read(key, str)) is not None:
            found.append(reading)
        if key in tokenizer.named:
            found.append(tokenizer.named[key])
        if found:
            break
    if role in expected.placeholders:
        found.append(Reading(expected.placeholders[role]))
    return found


def _is_placeholder(text: str | None) -> bool:
    """Whether a token looks like a placeholder, so that only its spelling is not the family's default (`[IMG]`)."""
    return text is not None and bool(
        re.search(r"im(a)?g|video|audio|vision|patch|media|sound|speech", text, re.IGNORECASE)
    )


def _other_id(role: str, stated: Reading[int], text: Reading[str], found: int, tokenizer: Tokenizer) -> Problem:
    added = next((token for token in tokenizer.added if token.content == text.value), None)
    at = added.id_at if added else Location(file=tokenizer.file)
    renumbered = f" (the file says {added.stated}, and the library renumbers it)" if added and added.stated else ""
    return Problem(
        f"config.json puts the {_words(role)} placeholder at id {stated.value}, and the tokenizer gives "
        f"{text.value!r} the id {found}{renumbered}: the model finds no placeholder and the input fails or is ignored",
        because=[
            Evidence(f"{_words(role)} placeholder id", stated.value, stated.at, expected=found),
            Evidence(f"id of {text.value!r} in the tokenizer", found, at),
        ],
        fix=Fix(
            f"restore the tokenizer that belongs to the weights; if it is right, set the id to {found}",
            edits=_edit(stated, found),
        ),
    )


def _unknown_text(role: str, stated: Reading[int], text: Reading[str], tokenizer: Tokenizer) -> Problem:
    held = tokenizer.content_of(stated.value)
    return Problem(
        f"the tokenizer has no token {text.value!r}, the {_words(role)} placeholder; config.json expects it at id "
        f"{stated.value}, where the tokenizer has {held!r}: the placeholder is split into pieces and the input fails",
        because=[
            Evidence(f"{_words(role)} placeholder id", stated.value, stated.at),
            Evidence(f"token with id {stated.value}", held, Location(file=tokenizer.file), expected=text.value),
        ],
        fix=Fix("restore the tokenizer files that belong to the weights"),
        confidence=Confidence.LIKELY,
    )


def _no_such_id(role: str, stated: Reading[int], tokenizer: Tokenizer) -> Problem:
    return Problem(
        f"config.json puts the {_words(role)} placeholder at id {stated.value}, and the tokenizer's largest id is "
        f"{tokenizer.max_id.value}: no text can produce the placeholder",
        because=[
            Evidence(f"{_words(role)} placeholder id", stated.value, stated.at),
            Evidence("largest token id", tokenizer.max_id.value, tokenizer.max_id.at),
        ],
        fix=Fix("restore the tokenizer files that belong to the weights, or the id in config.json"),
        severity=Severity.WARNING,
        confidence=Confidence.LIKELY,
    )


def _edit(stated: Reading[int], value: int) -> tuple[Edit, ...]:
    return (Edit(file=stated.at.file, pointer=stated.at.pointer, value=value),) if stated.at.pointer else ()


def _words(role: str) -> str:
    return {"boi": "begin-of-image", "eoi": "end-of-image"}.get(role, role.replace("_", "-"))
