"""DRF016."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import escape
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.tokenizer import AddedToken, ChatTemplates, Expectations, Tokenizer
from mmdoctor.finding import Confidence, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

PADDING = 1024
"""Rows that an embedding may have beyond the tokenizer without being worth a word; or 2 % of them."""


_TRAINED = "part of the vocabulary"


@check("DRF016", Severity.ERROR)
def vocab_rows_vs_tokenizer(
    tokenizer: Tokenizer,
    embeddings: Embeddings,
    model: MultimodalModel,
    templates: ChatTemplates | None,
    expected: Expectations,
) -> Iterator[Problem]:
    """The tokenizer can give an id that has no row in the token embedding.

    ## What it checks

    The largest id that the tokenizer gives, added tokens included, against the rows of the stored embedding. Ids past
    the end are an error where one of them is used: a named special token (pad, eos, image ...), a placeholder of
    config.json, or a token that the chat template writes. Where none is, they are a warning: some models have
    such tokens and never meet them (CodeLlama's infill tokens). More rows than ids is normal, embeddings are padded;
    far more is a note.

    ## Why it matters

    Looking up a row that is not there is a device-side assert on a GPU, which kills the process, and an IndexError on
    a CPU.

    ## How to fix it

    Ship the tokenizer that the weights were trained with. If tokens were added for training, resize the embedding to
    a multiple that covers them, train it, and save both together. Never shrink an embedding to `len(tokenizer)`:
    the padded rows may be trained.

    ## Sources

    - https://github.com/QwenLM/Qwen3/issues/29
    - https://github.com/QwenLM/Qwen3-VL/issues/350
    - https://github.com/huggingface/transformers/issues/26714
    - https://github.com/huggingface/tokenizers/issues/1609
    - https://github.com/unslothai/unsloth-zoo/issues/923
    """
    table = embeddings.embedding
    if table is None or len(table.shape) != 2 or not table.is_float:
        return
    rows = table.shape[0]
    beyond = sorted(_beyond(tokenizer, rows), key=lambda token: token.id)
    stored = Evidence("rows of the embedding", rows, table.at)
    if beyond:
        used = [(token, why) for token in beyond if (why := _use(token, tokenizer, model, templates, expected))]
        yield _out_of_range(beyond, used, stored, tokenizer, expected)
    elif tokenizer.complete and rows - tokenizer.max_id.value - 1 > max(PADDING, rows // 50):
        spare = rows - tokenizer.max_id.value - 1
        yield Problem(
            f"{spare:,} of the {rows:,} embedding rows belong to no token (largest id {tokenizer.max_id.value:,}): "
            "more than padding needs, so the tokenizer may be another model's",
            because=[stored, Evidence("largest token id", tokenizer.max_id.value, tokenizer.max_id.at)],
            severity=Severity.NOTE,
            confidence=Confidence.POSSIBLE,
        )


def _beyond(tokenizer: Tokenizer, rows: int) -> Iterator[AddedToken]:
    """Tokens whose id, as the library gives it or as the file states it, has no row; of trained ones the last."""
    known = set()
    for token in tokenizer.added:
        known.add(token.content)
        if max(token.id, token.stated or 0) >= rows:
            yield token
    if max(tokenizer.vocabulary.values(), default=-1) < rows:
        return
    trained = {c: number for c, number in tokenizer.vocabulary.items() if number >= rows and c not in known}
    if trained:
        content, number = max(trained.items(), key=lambda item: item[1])
        pointer = f"/model/vocab/{escape(content)}" if tokenizer.file == "tokenizer.json" else None
        yield AddedToken(id=number, content=content, special=False, at=Location(file=tokenizer.file, pointer=pointer))


def _use(
    token: AddedToken,
    tokenizer: Tokenizer,
    model: MultimodalModel,
    templates: ChatTemplates | None,
    expected: Expectations,
) -> str | None:
    """How the token gets into a prompt, or None where nothing shows that it does."""
    roles = [role for role, stated in model.token_ids.items() if stated.value == token.id]
    if roles:
        return None if expected.hides_placeholders else f"the {roles[0].replace('_', '-')} placeholder"
    name = next((key for key, reading in tokenizer.named.items() if reading.value == token.content), None)
    if name is not None:
        placeholder = any(name in keys for keys in expected.role_keys.values())
        return None if expected.hides_placeholders and placeholder else f"the {name.replace('_', ' ')}"
    if len(token.content) > 2 and any(token.content in copy.text for copy in (templates.copies if templates else ())):
        return "written by the chat template"
    return None if token.special or not _is_trained(token) else _TRAINED


def _is_trained(token: AddedToken) -> bool:
    """Whether it is an entry of the trained vocabulary, which ordinary text reaches."""
    return not (token.at.pointer or "").startswith(("/added_tokens", "/extra", "/additional"))


def _out_of_range(
    beyond: list[AddedToken],
    used: list[tuple[AddedToken, str]],
    stored: Evidence,
    tokenizer: Tokenizer,
    expected: Expectations,
) -> Problem:
    rows = stored.observed
    token, why = used[0] if used else (beyond[-1], "not used by template or configuration")
    number = max(token.id, token.stated or 0)
    last = int(rows or 0) - 1
    count = len(beyond) if why != _TRAINED else max(len(beyond), tokenizer.max_id.value - last)
    more = f" and {count - 1:,} more" if count > 1 else ""
    effect = (
        "a prompt with it crashes the lookup"
        if token.id >= int(rows or 0)
        else f"the library renumbers it to {token.id}, a row that was trained for another token"
    )
    harmless = not used and (expected.hides_placeholders or not tokenizer.complete)
    return Problem(
        f"{token.content!r} ({why}){more} has id {number:,}, and the embedding has {rows:,} rows: {effect}",
        because=[Evidence(f"id of {token.content!r}", number, token.id_at, expected=f"below {rows}"), stored],
        fix=Fix("ship the tokenizer that the weights were trained with, or resize the embedding, train and save both"),
        severity=Severity.ERROR if used else Severity.NOTE if harmless else Severity.WARNING,
    )
