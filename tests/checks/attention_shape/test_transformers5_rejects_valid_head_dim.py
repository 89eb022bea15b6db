"""ATT002 fires on valid head sizes that transformers 5 refuses, and is silent on all it takes."""

from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor_checks.attention_shape.transformers5_rejects_valid_head_dim import transformers5_rejects_valid_head_dim
from tests.architectures.made import LLAMA, changed, examine, llama, llava_config

KANANA = {"hidden_size": 1792, "num_attention_heads": 24, "num_key_value_heads": 8, "head_dim": 128}


def libraries(version: str | None) -> Libraries:
    return Libraries(versions={} if version is None else {"transformers": version}, where="installed here")


def found(value: dict[str, Any], version: str | None = "5.23.0") -> tuple[Any, ...]:
    return examine(transformers5_rejects_valid_head_dim, llama(), value, libraries(version))


def test_fires_on_a_head_size_of_its_own():
    (finding,) = found(changed(LLAMA, **KANANA))

    assert "transformers 5.23.0 (installed here) refuses" in finding.message


def test_fires_on_the_language_model_of_a_multimodal_one():
    assert found(changed(llava_config(), text_config={"model_type": "llama", **KANANA}))


@pytest.mark.parametrize("version", ["4.57.6", None])
def test_silent_where_another_version_loads_it(version: str | None):
    assert found(changed(LLAMA, **KANANA), version) == ()


@pytest.mark.parametrize(
    "more", [{"hidden_size": 3072}, {"model_type": "qwen3"}, {"model_type": "mistral"}, {"head_dim": None}]
)
def test_silent_on_what_is_taken(more: dict[str, Any]):
    assert found(changed(LLAMA, **{**KANANA, **more})) == ()


@pytest.mark.slow
@pytest.mark.parametrize("refused", [True, False])
def test_the_library_does_refuse_it(refused: bool):
    configuration = pytest.importorskip("transformers").LlamaConfig
    value = KANANA if refused else {**KANANA, "hidden_size": 3072}

    if refused:
        with pytest.raises(Exception, match="not a multiple of the number of attention heads"):
            configuration(**value)
    else:
        assert configuration(**value).head_dim == 128
