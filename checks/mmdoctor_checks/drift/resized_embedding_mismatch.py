from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.geometry import text_widths
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.dtypes import dtype
from mmdoctor.facts.model import MultimodalModel, SpecialTokenIds, TextModel
from mmdoctor.facts.parts import AttentionBlocks, Embeddings, Parts, Role
from mmdoctor.finding import Edit
from mmdoctor.location import Reading

_EXTRA_ROWS = {"mllama": 8, "mllama_text_model": 8}
"""Embedding rows beyond `vocab_size` (transformers models/mllama/modeling_mllama.py, `vocab_size + 8`)."""

_FEWER_HEAD_ROWS = {"imagegpt": 1}
"""Rows that the head has less than `vocab_size`: ImageGPT never predicts its start token (modeling_imagegpt.py)."""

_OWN_VOCABULARY = (
    *("csm", "clvp", "kyutai_speech_to_text", "moshi", "musicgen", "musicgen_melody"),
    *("molmo", "molmo2", "molmo2_text", "xgenmm", "blt"),
)
"""Types whose tables hold more than the text's vocabulary: audio codes, added tokens in a table of their own."""


@check("DRF017", Severity.ERROR, yields_to=("INT008",))
def resized_embedding_mismatch(
    parts: Parts,
    embeddings: Embeddings,
    blocks: AttentionBlocks | None,
    model: MultimodalModel,
    special: SpecialTokenIds | None,
) -> Iterator[Problem]:
    """The embedding or the head has another number of rows than the vocabulary of the configuration.

    ## What it checks

    The rows of the token embedding and of the output head against the `vocab_size` of the text section (not the top
    level's, where there are both), the id of the padding token against the rows, and the tables that an adapter brings
    against those of its base. Llama 3.2 Vision has eight more embedding rows than head rows; a vocabulary padded to a
    multiple that the configuration states is fine, and so is a tokenizer with fewer tokens than rows (DRF016).

    ## Why it matters

    Loading stops with `size mismatch for model.embed_tokens.weight: torch.Size([32001,4096]) vs [32000,4096]`, or an id
    without a row ends in `Assertion srcIndex < srcSelectDimSize` on the GPU.

    ## How to fix it

    Write the number of rows into the text section's `vocab_size`. When resizing, use `pad_to_multiple_of` and never
    shrink: trained rows would be lost.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/15124
    - https://github.com/hiyouga/LLaMA-Factory/issues/3125
    - https://github.com/huggingface/transformers/issues/23401
    - https://github.com/unslothai/unsloth-zoo/issues/923
    """
    text = model.text
    if text is None or text.vocab_size is None:
        return
    vocabulary = text.vocab_size
    if model.config.model_type in _OWN_VOCABULARY:
        return
    table, head = _plain(embeddings.embedding), _plain(embeddings.head)
    if table is not None and _of_another(table, text, blocks):
        return
    if model.known or model.config.model_type in class_defaults():
        allowed = _allowed(vocabulary.value, model)
        extra = _EXTRA_ROWS.get(model.config.model_type or "", 0)
        wrong = [
            (what, tensor)
            for what, tensor, more in (
                ("embedding", table, extra),
                ("head", head, -_FEWER_HEAD_ROWS.get(model.config.model_type or "", 0)),
            )
            if tensor is not None and tensor.shape[0] not in {rows + more for rows in allowed}
        ]
        if wrong and not ("vocab_size" in text.by_default and model.remote_code):
            yield _mismatch(wrong, vocabulary, extra, tied=head is None, certain=table)
            return
    yield from _padding(table, special, vocabulary)
    yield from _adapter(parts, vocabulary)


def _of_another(table: Tensor, text: TextModel, blocks: AttentionBlocks | None) -> bool:
    """Whether the table belongs to another text encoder, as in BLIP-2's class for retrieval without a language model.

    Its width is not the configured one, and it goes with the only text layers that there are.
    """
    widths = text_widths(blocks.blocks) if blocks is not None else set()
    stated = text.hidden_size.value if text.hidden_size is not None else None
    return stated is not None and len(table.shape) == 2 and stated not in {table.shape[1], *widths} and not widths


def _plain(tensor: Tensor | None) -> Tensor | None:
    """The tensor if its rows are those of the vocabulary: packed ones may not be."""
    if tensor is None or dtype(tensor.dtype).kind not in ("float", "quantised"):
        return None
    return tensor if tensor.numel else None


def _allowed(vocabulary: int, model: MultimodalModel) -> set[int]:
    allowed = {vocabulary}
    section = model.text.section if model.text else ""
    multiple = model.config.document.get(f"{section}/pad_vocab_size_multiple")
    if isinstance(multiple, int) and not isinstance(multiple, bool) and multiple > 1:
        allowed.add(-(-vocabulary // multiple) * multiple)
    return allowed


def _mismatch(
    wrong: list[tuple[str, Tensor]], vocabulary: Reading[int], extra: int, *, tied: bool, certain: Tensor | None
) -> Problem:
    rows = " and ".join(f"the {what} has {tensor.shape[0]} rows" for what, tensor in wrong)
    counts = {tensor.shape[0] - (extra if what == "embedding" else 0) for what, tensor in wrong}
    agreed = next(iter(counts)) if len(counts) == 1 and (tied or len(wrong) == 2) and certain is not None else None
    edits = (Edit(file=vocabulary.at.file, pointer=vocabulary.at.pointer or "", value=agreed),) if agreed else ()
    return Problem(
        f"{rows}, the text section's vocab_size is {vocabulary.value}"
        + (f" (and {extra} more rows)" if extra else "")
        + ": the weights will not load",
        because=[
            *(Evidence(f"rows of the {what}", t.shape[0], t.at, vocabulary.value) for what, t in wrong),
            Evidence("vocab_size", vocabulary.value, vocabulary.at, expected=agreed),
        ],
        fix=Fix(f"set vocab_size to {agreed} in the text section", edits if vocabulary.at.pointer else ())
        if agreed
        else Fix("take embedding, head and config.json from one and the same save"),
    )


def _padding(table: Tensor | None, special: SpecialTokenIds | None, vocabulary: Reading[int]) -> Iterator[Problem]:
    if table is None or special is None:
        return
    for name, token in special.ids:
        if name == "pad_token_id" and token.value >= table.shape[0]:
            yield Problem(
                f"pad_token_id is {token.value}, the embedding has {table.shape[0]} rows: padding a batch ends in an "
                "index error",
                because=[
                    Evidence("pad_token_id", token.value, token.at),
                    Evidence("rows of the embedding", table.shape[0], table.at),
                    Evidence("vocab_size", vocabulary.value, vocabulary.at),
                ],
                fix=Fix(
                    "set pad_token_id to a token of the vocabulary, or resize embedding, head and vocab_size together"
                ),
            )
            return


def _adapter(parts: Parts, vocabulary: Reading[int]) -> Iterator[Problem]:
    for part in parts.of(Role.ADAPTER):
        for tensor in part.tensors:
            table = "embed_tokens" in tensor.name or "lm_head" in tensor.name
            if table and "lora_" not in tensor.name and len(tensor.shape) == 2 and tensor.shape[0] != vocabulary.value:
                yield Problem(
                    f"the adapter's {tensor.name} has {tensor.shape[0]} rows, the model's vocab_size is "
                    f"{vocabulary.value}: the adapter will not load",
                    because=[
                        Evidence("rows of the adapter's table", tensor.shape[0], tensor.at, vocabulary.value),
                        Evidence("vocab_size", vocabulary.value, vocabulary.at),
                    ],
                    fix=Fix("resize the base model's embedding as it was in training, then load the adapter"),
                )
                return
