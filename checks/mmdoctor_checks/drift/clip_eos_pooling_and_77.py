"""DRF024."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.model import MultimodalModel, TextModel
from mmdoctor.facts.parts import Parts
from mmdoctor.facts.tokenizer import AddedToken, Tokenizer
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location, Reading

# transformers 5.23 and 4.57, models/clip/modeling_clip.py, CLIPTextTransformer.forward, and its copies.
LEGACY = ("clip", "clip_text_model", "clipseg", "clipseg_text_model", "groupvit", "groupvit_text_model")
"""Types that pool at the largest id where `eos_token_id` is 2, else at the first one that is `eos_token_id`."""
FIRST = ("metaclip_2", "metaclip_2_text_model", "aimv2", "aimv2_text_model")
"""Types that pool at the first id that is `eos_token_id`, whatever it is."""
LARGEST = ("xclip", "owlvit", "owlvit_text_model", "owlv2", "owlv2_text_model")
"""Types that always pool at the largest id."""

OLD_EOS = 2
"""Wrong in every configuration of OpenAI's CLIP, and kept."""
DEFAULT_EOS = 49407
"""Of the configuration classes."""
ENDLESS = 10**9
"""`model_max_length` from which on it stands for no limit at all (transformers writes 10**30)."""


@check("DRF024", Severity.ERROR)
def clip_eos_pooling_and_77(
    model: MultimodalModel, text: TextModel, tokenizer: Tokenizer, parts: Parts | None
) -> Iterator[Problem]:
    """The text encoder takes a text's embedding from the wrong token, or texts may be longer than it can read.

    ## What it checks

    CLIP and its relatives describe a text by the state at its last token. They find that token by `eos_token_id` of
    the text section, which must be the id that the tokenizer gives to its `eos_token`. The value 2 of OpenAI's
    configurations is wrong and yet harmless: the code then takes the largest id of the text, which is the end of it,
    unless tokens were added behind it. MetaCLIP 2 has no such exception, its end of text really has the id 2; OWL-ViT
    always takes the largest id.

    The longest text that the tokenizer lets through (`model_max_length`) against the positions of the encoder, 77 of
    CLIP and 16 of OWL-ViT, and these against the stored position table.

    ## Why it matters

    An id that is in no text is found at position 0, the start of the text, which is the same for all: every text gets
    the same embedding, without an error. With added tokens (textual inversion) a text is described by its first part
    only. A text of more than 77 tokens is refused, or is an index error.

    ## How to fix it

    Set `eos_token_id` of the text section to the tokenizer's id. A value of 2 needs no fix while no tokens are added.

    ## Sources

    - https://github.com/huggingface/transformers/issues/24650
    - https://github.com/huggingface/transformers/pull/24777
    - https://github.com/huggingface/transformers/issues/39821
    - https://github.com/huggingface/diffusers/issues/10754
    - https://github.com/mlfoundations/open_clip/issues/1151
    - https://github.com/openai/CLIP/issues/187
    """
    kinds = {model.config.model_type, text.model_type}
    if not kinds & {*LEGACY, *FIRST, *LARGEST}:
        return
    named = tokenizer.named.get("eos_token")
    end = tokenizer.id_of(named.value) if named is not None else None
    if named is not None and end is not None:
        yield from _pooling(model, text, tokenizer, kinds, Reading(end, named.at))
    yield from _length(text, tokenizer)
    yield from _table(text, parts)


def _pooling(
    model: MultimodalModel, text: TextModel, tokenizer: Tokenizer, kinds: set[str | None], end: Reading[int]
) -> Iterator[Problem]:
    document, pointer = model.config.document, f"{text.section}/eos_token_id"
    stated = document.read(pointer, int)
    value = stated.value if stated is not None else DEFAULT_EOS
    at = document.at(pointer if stated is not None else text.section)
    largest = bool(kinds & {*LARGEST}) or (bool(kinds & {*LEGACY}) and value == OLD_EOS)
    if largest:
        yield from _largest(tokenizer, end, value if kinds & {*LEGACY} else None, at)
    elif value != end.value:
        yield Problem(
            f"the text encoder looks for the end of a text at id {value}, and the tokenizer writes {end.value}: it "
            "finds none and takes position 0, so that texts are described by their start, which is the same for all",
            because=[
                Evidence("eos_token_id of the text encoder", value, at, end.value),
                Evidence("id of the tokenizer's eos_token", end.value, end.at),
            ],
            fix=Fix(f"set eos_token_id to {end.value}", (Edit(file=document.file, pointer=pointer, value=end.value),)),
        )


def _largest(tokenizer: Tokenizer, end: Reading[int], legacy: int | None, at: Location) -> Iterator[Problem]:
    """The largest id of a text is its end, unless tokens were added behind that."""
    behind = sorted((token for token in tokenizer.added if token.id > end.value), key=lambda token: token.id)
    pad = tokenizer.named.get("pad_token")
    padding = next((token for token in behind if pad is not None and token.content == pad.value), None)
    evidence = [] if legacy is None else [Evidence("eos_token_id of the text encoder", legacy, at, end.value)]
    evidence.append(Evidence("id of the tokenizer's eos_token", end.value, end.at))
    edits = (Edit(file=at.file, pointer=at.pointer, value=end.value),) if legacy is not None and at.pointer else ()
    if behind:
        yield _behind(padding or behind[0], len(behind), end, evidence, edits, padded=padding is not None)
    elif legacy is not None and legacy != end.value:
        yield Problem(
            f"eos_token_id {legacy} is not the id of the end of a text ({end.value}), and that is normal for CLIP: the "
            "code then takes the largest id, which is the end",
            because=evidence,
            severity=Severity.NOTE,
        )


def _behind(
    token: AddedToken, count: int, end: Reading[int], evidence: list[Evidence], edits: tuple[Edit, ...], *, padded: bool
) -> Problem:
    more = f" and {count - 1} more" if count > 1 else ""
    where = "every padded text" if padded else "a text with it"
    return Problem(
        f"the text encoder takes the largest id for the end of a text, and {token.content!r} (id {token.id}){more} is "
        f"larger than that of the end ({end.value}): {where} is described by another token, without an error",
        because=[Evidence(f"id of {token.content!r}", token.id, token.id_at, f"below {end.value}"), *evidence],
        fix=Fix(f"set eos_token_id to {end.value}", edits)
        if edits
        else Fix("give added tokens ids below the end of a text, or pool at that token yourself"),
    )


def _length(text: TextModel, tokenizer: Tokenizer) -> Iterator[Problem]:
    longest, positions = tokenizer.model_max_length, text.max_position_embeddings
    if longest is None or positions is None or longest.value <= positions.value:
        return
    limit = "no limit" if longest.value >= ENDLESS else f"{longest.value:.0f} tokens"
    yield Problem(
        f"the tokenizer cuts texts at {limit}, and the text encoder has {positions.value} positions: longer texts fail "
        "even with truncation",
        because=[
            Evidence("model_max_length", limit, longest.at, positions.value),
            Evidence("positions of the text encoder", positions.value, positions.at),
        ],
        fix=Fix(
            f"set model_max_length to {positions.value}",
            (Edit(file=longest.at.file, pointer=longest.at.pointer, value=positions.value),)
            if longest.at.pointer
            else (),
        ),
        severity=Severity.WARNING,
    )


def _table(text: TextModel, parts: Parts | None) -> Iterator[Problem]:
    positions = text.max_position_embeddings
    for part in parts.parts if parts is not None and positions is not None else ():
        for tensor in part.tensors:
            if not tensor.name.endswith("text_model.embeddings.position_embedding.weight") or len(tensor.shape) != 2:
                continue
            if positions is not None and tensor.shape[0] != positions.value:
                yield Problem(
                    f"max_position_embeddings is {positions.value}, and the stored position table of the text encoder "
                    f"has {tensor.shape[0]} rows: the weights do not load",
                    because=[
                        Evidence("max_position_embeddings", positions.value, positions.at, tensor.shape[0]),
                        Evidence("rows of the position table", tensor.shape[0], tensor.at),
                    ],
                    fix=Fix(
                        f"set max_position_embeddings to {tensor.shape[0]}",
                        (Edit(file=positions.at.file, pointer=positions.at.pointer, value=tensor.shape[0]),)
                        if positions.at.pointer
                        else (),
                    ),
                )
            return
