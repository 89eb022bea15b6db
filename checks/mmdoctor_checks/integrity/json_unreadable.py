"""INT025."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import ShardIndex
from mmdoctor.facts.documents import BrokenDocument, Documents
from mmdoctor.facts.tokenizer import TokenizerFile
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_OPTIONAL = frozenset({"params.json", "added_tokens.json", "special_tokens_map.json", "quant_config.json"})
"""Files that a loader reads only where others are missing, or that other tools wrote."""
_SILENT = frozenset({"generation_config.json"})
"""Files whose errors transformers swallows (5.23, modeling_utils.py: the defaults are used instead)."""


@check("INT025", Severity.ERROR)
def json_unreadable(
    documents: Documents, tokenizer: TokenizerFile | None, index: ShardIndex | None
) -> Iterator[Problem]:
    """A configuration or tokenizer file is not JSON that the loaders accept.

    ## What it checks

    Every configuration file of the top level, the index of the shards, tokenizer.json and the other vocabularies,
    read as the loaders read them: UTF-8 without byte order mark, no trailing commas, an object at the top, token ids
    that are numbers. NaN and Infinity pass where Python's loader takes them. Keys that stand twice in one object are
    reported as a warning: the last one wins.

    ## Why it matters

    `from_pretrained` stops with `It looks like the config file is not a valid JSON file`. A broken
    generation_config.json is skipped without a word, and the model generates with default settings.

    ## How to fix it

    Go to the line, put it right, and save as UTF-8 without a byte order mark. A file that ends in the middle was
    cut short: fetch it again.

    ## Sources

    - https://github.com/huggingface/transformers/blob/v5.0.0/src/transformers/configuration_utils.py
    - https://docs.python.org/3/library/json.html#json.JSONDecoder
    """
    large = [fact.broken for fact in (tokenizer, index) if fact and fact.broken]
    for document in (*documents.broken, *large):
        if not document.unopened:  # those are INT001's and INT020's
            yield _unreadable(document)
    for file, parsed in documents.by_file.items():
        if parsed.duplicates:
            first = parsed.duplicates[0]
            more = f" and {len(parsed.duplicates) - 1} more" if len(parsed.duplicates) > 1 else ""
            yield Problem(
                f"{file} has the key {first}{more} twice in one object: the last one wins, the other is ignored",
                because=[Evidence("key", first, parsed.at(first))],
                fix=Fix("remove one of the two"),
                severity=Severity.WARNING,
            )


def _unreadable(document: BrokenDocument) -> Problem:
    at = Location(file=document.file, line=document.line, column=document.column)
    where = f", line {document.line} column {document.column}" if document.line else ""
    severity, effect = Severity.ERROR, "the model does not load"
    if document.file in _SILENT:
        severity, effect = Severity.WARNING, "loaders ignore the whole file and generate with default settings"
    elif document.file in _OPTIONAL:
        severity, effect = Severity.WARNING, "loaders that need it fail"
    return Problem(
        f"{document.file} cannot be read{where}: {document.reason}; {effect}",
        because=[Evidence(document.file, document.reason, at)],
        fix=Fix("put the place right and save as UTF-8 without byte order mark, or fetch the file again"),
        severity=severity,
    )
