"""DRF012."""

from collections.abc import Iterator

import msgspec

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImagePrices, ImageRequest, LargestImage, TokenCount
from mmdoctor.facts.machine import Target
from mmdoctor.facts.model import MultimodalModel, TextModel
from mmdoctor.facts.tokenizer import Tokenizer, Truncation
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Removal, Severity
from mmdoctor.location import Location, Reading
from mmdoctor.wording import counted
from mmdoctor_checks.drift.image_tokens_vs_features import CAUSES
from mmdoctor_checks.drift.tile_settings import named

TEXT = 256
"""Tokens for a question and a short answer beside the images."""
NEVER_CUT = ("blip-2", "instructblip")
"""Model types whose processor tokenizes the placeholders apart from the text, and does not cut them
(processing_blip_2.py, processing_instructblip.py)."""
PADDED = ("aya_vision", "cohere2_vision")
"""Those whose processor pads by default, so that a length alone cuts nothing (processing_aya_vision.py)."""
UNSET = 1_000_000_000
"""A `model_max_length` from here on means that there is none."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """The images of one prompt."""

    text: str
    """Such as `2 images of 1024x768 cost`."""
    tokens: int
    usual: int
    """What a usual image costs."""
    least: int
    """What the cheapest image costs."""
    count: TokenCount
    asked: bool
    """The user named the images, or how many of them."""


@check("DRF012", Severity.WARNING, yields_to=("DRF001", *CAUSES))
def truncation_removes_image_tokens(
    model: MultimodalModel,
    largest: LargestImage,
    request: ImageRequest,
    prices: ImagePrices,
    target: Target,
    text: TextModel | None,
    truncation: Truncation | None,
    tokenizer: Tokenizer | None,
) -> Iterator[Problem]:
    """The images of a prompt do not fit into the length that it is cut to.

    ## What it checks

    What the dearest image costs in tokens (or those of `--image`), times `--images-per-prompt`, with 256 tokens for a
    question and its answer, against three lengths:

    - the one to which the tokenizer's settings cut every prompt. A processor takes `max_length` and `truncation` of
      tokenizer_config.json, and the truncation or fixed padding that is stored in tokenizer.json, for its own defaults,
      and `max_length` alone is enough to cut;
    - `--max-model-len`;
    - without that, the positions that config.json states for the language model, which engines take for their limit; it
      is a note as long as an image of 1024 x 768 pixels fits and no images were named.

    `model_max_length` cuts nothing by itself and is often wrong. One that images exceed is a note.

    ## Why it matters

    `Mismatch in image token count between text and input_ids. Got ids=[19] and text=[576]. Likely due to
    truncation='max_length'`, or in older releases `tokens 1035 vs features 1152`. An engine refuses the request.

    ## How to fix it

    Remove `max_length` and `truncation` from the tokenizer's files, raise the length (LLaMA-Factory: `cutoff_len`), or
    let images become fewer tokens (`max_pixels`, `size`, `max_patches`).

    ## Sources

    - https://github.com/hiyouga/LlamaFactory/issues/7376
    - https://github.com/hiyouga/LlamaFactory/issues/8226
    - https://github.com/vllm-project/vllm/issues/7998
    - https://github.com/QwenLM/Qwen2-Audio/issues/117
    """
    cost = _cost(largest, request, prices)
    family = model.config.model_type or ""
    if cost.tokens <= 1:
        return
    if truncation is not None and not (family in PADDED and truncation.switch is None):
        yield from _cut(cost, truncation, family)
    positions = _positions(model, text)
    if target.max_model_len is not None:
        yield from _too_long(cost, Reading(target.max_model_len, Location()), "--max-model-len", asked=True)
    elif positions is not None:
        yield from _too_long(cost, positions, "max_position_embeddings", asked=cost.asked)
    length = tokenizer.model_max_length if tokenizer is not None and truncation is None else None
    if length is not None and 0 < length.value < min(cost.tokens, UNSET):
        yield Problem(
            f"{cost.text} {counted(cost.tokens, 'token')}, more than model_max_length {length.value:,}: nothing "
            "is cut to it unless a request or a training asks for truncation",
            because=[Evidence("model_max_length (tokens)", length.value, length.at), *_evidence(cost)],
            fix=Fix(f"do not ask for truncation, or state a model_max_length of at least {cost.tokens + TEXT}"),
            severity=Severity.NOTE,
        )


def _cost(largest: LargestImage, request: ImageRequest, prices: ImagePrices) -> Cost:
    known = [price for price in prices.prices if price.count is not None and price.count.placeholders.count]
    best = max(known, key=lambda price: _placeholders(price.count), default=None)
    count = best.count if best is not None and best.count is not None else largest.dearest
    each = _placeholders(count) + (best.markers or 0 if best is not None else 0)
    size = f"{count.width}x{count.height}"
    many = request.per_prompt > 1
    return Cost(
        text=f"{request.per_prompt} images of {size} cost" if many else f"an image of {size} costs",
        tokens=each * request.per_prompt,
        usual=min(_placeholders(largest.usual), _placeholders(count)),
        least=min(_placeholders(largest.cheapest), _placeholders(count)),
        count=count,
        asked=best is not None or many,
    )


def _placeholders(count: TokenCount | None) -> int:
    return (count.placeholders.count or 0) if count is not None else 0


def _cut(cost: Cost, truncation: Truncation, family: str) -> Iterator[Problem]:
    limit, switch = truncation.limit, truncation.switch
    if limit.value >= cost.tokens + TEXT or (family in NEVER_CUT and limit.value >= cost.tokens):
        return
    always = limit.value < cost.least
    end = "every request with an image fails" if always else "such requests fail or lose their text"
    yield Problem(
        f"the tokenizer's settings make the processor cut every prompt to {counted(limit.value, 'token')}, and "
        f"{cost.text} {cost.tokens:,}: {end}",
        because=[
            Evidence("length that prompts are cut to (tokens)", limit.value, limit.at, expected=cost.tokens + TEXT),
            *([Evidence("truncation", switch.value, switch.at)] if switch is not None else []),
            *_evidence(cost),
        ],
        fix=Fix(
            f"remove the setting from {limit.at.file}: who wants to cut prompts can ask for it", _removal(truncation)
        ),
        severity=Severity.ERROR if always else None,
    )


def _removal(truncation: Truncation) -> tuple[Edit | Removal, ...]:
    at, switch = truncation.limit.at, truncation.switch
    if at.file == "tokenizer.json":
        section = "/truncation" if (at.pointer or "").startswith("/truncation") else "/padding"
        return (Edit(file=at.file, pointer=section, value=None),)
    return tuple(
        Removal(file=place.file, pointer=place.pointer or "")
        for place in ([switch.at] if switch is not None else []) + ([at] if at.pointer == "/max_length" else [])
    )


def _too_long(cost: Cost, limit: Reading[int], name: str, *, asked: bool) -> Iterator[Problem]:
    if limit.value >= cost.tokens + TEXT:
        return
    always = limit.value < cost.least
    end = "every request with an image is refused" if always else "such requests are refused"
    severity = Severity.WARNING if asked or limit.value < cost.usual + TEXT else Severity.NOTE
    yield Problem(
        f"{cost.text} {counted(cost.tokens, 'token')}, with {TEXT} for the text {cost.tokens + TEXT:,} of the "
        f"{limit.value:,} that {name} allows: {end}",
        because=[Evidence(f"{name} (tokens)", limit.value, limit.at, expected=cost.tokens + TEXT), *_evidence(cost)],
        fix=Fix("raise the length, allow fewer images, or let the image processor make fewer tokens of one"),
        severity=Severity.ERROR if always else severity,
    )


def _positions(model: MultimodalModel, text: TextModel | None) -> Reading[int] | None:
    """The longest input that engines derive from the language model's section.

    Rope scaling that is stated makes it longer (vllm/config/model.py, _get_and_verify_max_len); of what is in doubt the
    longest counts.
    """
    stated = text.max_position_embeddings if text is not None and text.is_decoder else None
    if text is None or stated is None or stated.value <= 0:
        return None
    longest = float(stated.value)
    for section in ("rope_scaling", "rope_parameters"):
        longest = max([longest, *_scaled(model.config.document.get(f"{text.section}/{section}"), stated.value)])
    return Reading(int(min(longest, UNSET)), stated.at)


def _scaled(section: object, positions: int) -> Iterator[float]:
    for value in [section, *section.values()] if isinstance(section, dict) else []:
        factor = value.get("factor") if isinstance(value, dict) else None
        if isinstance(factor, (int, float)) and not isinstance(factor, bool) and 1 <= factor < UNSET:
            yield factor * positions


def _evidence(cost: Cost) -> Iterator[Evidence]:
    for used in cost.count.placeholders.used:
        if used.value is not None:
            yield Evidence(named(used), used.value, used.at)
