"""Which settings of a tokenizer cut prompts."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmdoctor.engine import Engine, NotApplicable
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import Truncation
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source

VOCABULARY = {"type": "BPE", "vocab": {"a": 0}, "merges": []}


def cut(folder: Path, config: Any, tokenizer: Any = None) -> Truncation | None:
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps({"model": VOCABULARY, **(tokenizer or {})}))
    try:
        return Engine(Providers(), {Source: open_source(folder)}).fact(Truncation)
    except NotApplicable:
        return None


def test_tokenizer_config_wins_over_tokenizer_json(tmp_path: Path) -> None:
    found = cut(tmp_path, {"max_length": 50}, {"truncation": {"max_length": 70}})

    assert found is not None
    assert (found.limit.value, found.limit.at.file) == (50, "tokenizer_config.json")


def test_truncation_of_tokenizer_json_wins_over_its_padding(tmp_path: Path) -> None:
    found = cut(tmp_path, {}, {"truncation": {"max_length": 70}, "padding": {"strategy": {"Fixed": 90}}})

    assert found is not None
    assert found.limit.at.pointer == "/truncation/max_length"


@pytest.mark.parametrize("padding", [{"strategy": "BatchLongest"}, None, "Fixed", {"strategy": {"Fixed": "9"}}])
def test_padding_without_a_length_says_nothing(tmp_path: Path, padding: object) -> None:
    assert cut(tmp_path, {}, {"padding": padding}) is None


def test_the_setting_that_turns_it_on_is_remembered(tmp_path: Path) -> None:
    found = cut(tmp_path, {"truncation": "longest_first", "model_max_length": 99})

    assert found is not None
    assert found.switch is not None
    assert (found.limit.value, found.switch.value) == (99, "longest_first")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON, other=JSON, section=JSON)
def test_any_value_is_an_answer(tmp_path_factory: pytest.TempPathFactory, value: Any, other: Any, section: Any) -> None:
    folder = tmp_path_factory.mktemp("any")
    config = {"max_length": value, "truncation": other, "padding": value, "model_max_length": other}

    found = cut(folder, config, {"truncation": section, "padding": section})

    assert found is None or found.limit.value > 0
