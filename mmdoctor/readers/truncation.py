"""Whether a processor cuts its prompts although nobody asked it to.

A processor takes the arguments of each call that its tokenizer was made with for its own defaults (processing_utils.py,
`_merge_kwargs`, `tokenizer_init_kwargs`): `max_length`, `truncation` and `padding` of tokenizer_config.json. A
`max_length` alone cuts wherever prompts are not padded (tokenization_utils_base.py,
`_get_padding_truncation_strategies`), and tokenizer.json's own truncation or padding counts as one
(tokenization_utils_tokenizers.py, `TokenizersBackend.__init__`; tokenization_utils_fast.py in 4.57). Tried with
transformers 4.57.6 and 5.23.0. `model_max_length` cuts nothing by itself.
"""

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.tokenizer import TokenizerFile, Truncation
from mmdoctor.location import Reading

CONFIG = "tokenizer_config.json"
UNSET = 1_000_000_000
"""A `model_max_length` from here on means that there is none; the library writes 1e30."""


def truncation(documents: Documents, file: TokenizerFile | None) -> Truncation:
    """The length to which prompts are cut.

    Raises:
        NotApplicable: no setting makes a processor cut prompts.
    """
    config = documents.find(CONFIG) or JsonDocument(file=CONFIG, value={})
    limit = config.read("/max_length", int)
    if limit is None and file is not None and config.get("/max_length") is None:
        limit = file.truncation or file.fixed_length
    switch = _switch(config, "/truncation")
    if switch is not None and switch.value not in (False, "do_not_truncate"):
        limit = limit or config.read("/model_max_length", int)
    elif switch is not None or _pads(config):
        limit = None
    if limit is None or not 0 < limit.value < UNSET:
        raise NotApplicable("no setting of the tokenizer cuts prompts")
    return Truncation(limit=limit, switch=switch)


def _pads(config: JsonDocument) -> bool:
    padding = _switch(config, "/padding")
    return padding is not None and padding.value not in (False, "do_not_pad")


def _switch(config: JsonDocument, pointer: str) -> Reading[bool] | Reading[str] | None:
    flag = config.read(pointer, bool)
    return config.read(pointer, str) if flag is None else flag
