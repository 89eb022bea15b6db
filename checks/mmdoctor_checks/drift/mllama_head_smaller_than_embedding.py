"""DRF018."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.finding import Evidence, Problem, Severity

EXTRA = 8
"""Rows for `<|image|>` and spare tokens: transformers 5.23, models/mllama/modeling_mllama.py, MllamaTextModel:
`nn.Embedding(config.vocab_size + 8, ...)`."""


@check("DRF018", Severity.NOTE)
def mllama_head_smaller_than_embedding(model: MultimodalModel, embeddings: Embeddings) -> Iterator[Problem]:
    """The output head of Llama 3.2 Vision has 8 rows fewer than its embedding: that is normal.

    ## What it checks

    Whether the embedding of a Llama 3.2 Vision model has exactly 8 rows more than its output head. Only then is this
    said; any other difference is DRF017's.

    ## Why it matters

    It does not, for serving: the 8 rows are for `<|image|>` (id 128256) and spare tokens, which the model reads and
    never writes. Tools and people report it as a fault. In training, labels of image tokens must be masked with -100,
    or the loss fails on a label out of range.

    ## How to fix it

    Leave it. `resize_token_embeddings` makes both the same size, and the model does not load afterwards.

    ## Sources

    - https://github.com/huggingface/transformers/issues/33819
    - https://github.com/huggingface/transformers/issues/36590
    - https://github.com/meta-llama/llama-models/issues/219
    """
    kinds = {model.config.model_type, model.text.model_type if model.text is not None else None}
    table, head = embeddings.embedding, embeddings.head
    if not kinds & {"mllama", "mllama_text_model"} or table is None or head is None:
        return
    if len(table.shape) == len(head.shape) == 2 and table.shape[0] == head.shape[0] + EXTRA:
        yield Problem(
            f"the embedding has {table.shape[0]} rows and the output head {head.shape[0]}: normal for Llama 3.2 "
            f"Vision, whose {EXTRA} last tokens (<|image|> and spare ones) are read and never written",
            because=[
                Evidence("rows of the embedding", table.shape[0], table.at),
                Evidence("rows of the output head", head.shape[0], head.at),
            ],
        )
