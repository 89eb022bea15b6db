"""DRF018 says that eight rows more are normal for Llama 3.2 Vision, as a note, and nothing of other models."""

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.mllama_head_smaller_than_embedding import mllama_head_smaller_than_embedding
from tests.architectures.made import config, tensor


def _model(model_type: str) -> MultimodalModel:
    return multimodal_model(config({"model_type": model_type, "text_config": {"vocab_size": 128256}}))


def _tables(rows: int, head: int | None) -> Embeddings:
    return Embeddings(
        embedding=tensor("model.language_model.embed_tokens.weight", (rows, 64)),
        head=tensor("lm_head.weight", (head, 64)) if head is not None else None,
    )


def test_a_note_and_nothing_worse() -> None:
    (problem,) = fires(mllama_head_smaller_than_embedding, _model("mllama"), _tables(128264, 128256))

    assert problem.message.startswith("the embedding has 128264 rows and the output head 128256: normal")
    assert mllama_head_smaller_than_embedding.severity is Severity.NOTE
    assert problem.severity is None


@pytest.mark.parametrize(
    ("model_type", "rows", "head"),
    [
        ("llava", 128264, 128256),
        ("mllama", 128256, 128256),
        ("mllama", 128265, 128256),
        ("mllama", 128256, 128264),
        ("mllama", 128264, None),
    ],
)
def test_silent_elsewhere(model_type: str, rows: int, head: int | None) -> None:
    silent(mllama_head_smaller_than_embedding, _model(model_type), _tables(rows, head))
