"""DRF029 fires where the base of the rotary embedding differs between readers; a default that is true is no loss."""

from typing import Any

import msgspec
import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.rope import rotary_embeddings
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.rope import RotaryEmbeddings
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.rope_theta_lost_v5_to_v4 import rope_theta_lost_v5_to_v4
from tests.architectures.made import config

NEW = Libraries(versions={"transformers": "5.23.0"}, complete=True)
OLD = Libraries(versions={"transformers": "4.57.6"}, where="installed here", complete=True)
UNKNOWN = Libraries()
SIZES = {"hidden_size": 1024, "num_attention_heads": 8, "vocab_size": 32000}
LAYERS = {
    "full_attention": {"rope_type": "default", "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}


def _ropes(text: dict[str, Any], model_type: str = "llama") -> RotaryEmbeddings:
    return rotary_embeddings(multimodal_model(config({"model_type": model_type, **SIZES, **text})))


def _composite(model_type: str, text: dict[str, Any]) -> RotaryEmbeddings:
    return rotary_embeddings(multimodal_model(config({"model_type": model_type, "text_config": {**SIZES, **text}})))


def _one(ropes: RotaryEmbeddings, libraries: Libraries = NEW) -> Problem:
    (problem,) = fires(rope_theta_lost_v5_to_v4, ropes, libraries)
    return problem


def _silent(ropes: RotaryEmbeddings, libraries: Libraries = NEW) -> None:
    silent(rope_theta_lost_v5_to_v4, ropes, libraries)


def _edits(problem: Problem) -> dict[str, Any]:
    assert problem.fix is not None
    edits = [edit for edit in problem.fix.edits if isinstance(edit, Edit)]
    return {e.pointer: msgspec.json.decode(e.value) if isinstance(e.value, msgspec.Raw) else e.value for e in edits}


def _settings(theta: float, **more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta, **more}}


@pytest.mark.parametrize("libraries", [NEW, OLD, UNKNOWN])
def test_fires_where_both_are_stated_and_differ(libraries: Libraries) -> None:
    problem = _one(_ropes({"rope_theta": 10000.0, **_settings(5e5)}), libraries)

    assert "10000 for transformers 4 (rope_theta) and 500000 for 5" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.pointer == "/rope_theta"
    assert _edits(problem) == {"/rope_theta": 5e5}


def test_no_edit_where_it_cannot_be_told_which_is_right() -> None:
    assert _edits(_one(_ropes({"rope_theta": 2e5, **_settings(5e5)}))) == {}


def test_the_base_that_nobody_chose_is_wrong() -> None:
    # the class of Qwen2.5-VL has 1000000 of its own
    problem = _one(_composite("qwen2_5_vl", {"rope_theta": 1e4, **_settings(1e6, mrope_section=[16, 24, 24])}))

    assert _edits(problem) == {"/text_config/rope_theta": 1e6}


@pytest.mark.parametrize(
    ("model_type", "key", "value", "layers"),
    [
        ("gemma3_text", "rope_theta", 1e4, "full attention"),
        ("gemma3_text", "rope_local_base_freq", 1e6, "sliding attention"),
        ("modernbert", "global_rope_theta", 1e4, "full attention"),
        ("modernbert", "local_rope_theta", 1e6, "sliding attention"),
    ],
)
def test_bases_by_type_of_layers(model_type: str, key: str, value: float, layers: str) -> None:
    right = {"rope_theta": 1e6, "global_rope_theta": 1e6, "rope_local_base_freq": 1e4, "local_rope_theta": 1e4}

    problem = _one(_ropes({"rope_parameters": LAYERS, key: value}, model_type))

    assert f"of the {layers} layers" in problem.message
    _silent(_ropes({"rope_parameters": LAYERS, key: right[key]}, model_type))


def test_the_same_number_twice_is_no_conflict() -> None:
    _silent(_ropes({"rope_theta": 500000, **_settings(500000.0)}))


@pytest.mark.parametrize(("libraries", "severity"), [(OLD, Severity.ERROR), (UNKNOWN, Severity.NOTE)])
def test_fires_where_transformers_4_finds_no_base(libraries: Libraries, severity: Severity) -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0}
    ropes = _ropes({"rope_parameters": {**scaling, "rope_theta": 5e5}})

    problem = _one(ropes, libraries)

    assert problem.severity is severity
    assert "rope_theta becomes 10000 instead of 500000 and the llama3 scaling is lost" in problem.message
    assert _edits(problem) == {"/rope_theta": 5e5, "/rope_scaling": scaling}
    _silent(ropes, NEW)


def test_the_edits_settle_it() -> None:
    found = {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e6}}
    edits = {pointer[1:]: value for pointer, value in _edits(_one(_ropes(found, "qwen2"), OLD)).items()}

    _silent(_ropes({**found, **edits}, "qwen2"), OLD)
    _silent(_ropes({**found, **edits}, "qwen2"), NEW)


def test_a_true_default_is_no_loss() -> None:
    _silent(_ropes(_settings(10000.0)), OLD)
    _silent(_ropes({"rope_parameters": LAYERS}, "gemma3_text"), OLD)
    _silent(_ropes({"rope_theta": 5e5}), OLD)


def test_local_layers_lose_their_own_base() -> None:
    layers = LAYERS | {"sliding_attention": {"rope_type": "default", "rope_theta": 5e4}}

    problem = _one(_ropes({"rope_parameters": layers}, "gemma3_text"), OLD)

    assert "rope_local_base_freq becomes 10000 instead of 50000" in problem.message


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"])
def test_lost_axes_make_transformers_4_fail(model_type: str) -> None:
    theta = {"qwen3_vl": 5e6, "glm4v": 1e4}.get(model_type, 1e6)

    problem = _one(_composite(model_type, _settings(theta, mrope_section=[16, 24, 24])), OLD)

    assert "the mrope_section is lost, and the model fails" in problem.message
    assert set(_edits(problem)) == {"/text_config/rope_theta", "/text_config/rope_scaling"}


def test_a_part_of_the_head_is_lost_where_the_class_rotates_all() -> None:
    problem = _one(_composite("glm4v", _settings(1e4, partial_rotary_factor=0.5, mrope_section=[8, 12, 12])), OLD)

    assert "partial_rotary_factor becomes 1 instead of 0.5" in problem.message


def test_phi_takes_three_fields_and_no_more() -> None:
    lists = {"short_factor": [1.0], "long_factor": [1.0]}
    settings = {"rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 4096, **lists}

    problem = _one(_ropes({"rope_parameters": settings}, "phi3"), OLD)

    assert _edits(problem)["/rope_scaling"] == {"type": "longrope", **lists}


def test_a_type_that_transformers_4_does_not_have_loses_nothing() -> None:
    _silent(_composite("qwen3_5", {"head_dim": 256, **_settings(1e7, partial_rotary_factor=0.25)}), OLD)


def test_fires_where_added_scaling_hides_the_base() -> None:
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}

    problem = _one(_ropes({"rope_scaling": yarn, **_settings(1e6)}, "qwen2"))

    assert "the base is 10000, the default of qwen2, and not 1000000" in problem.message
    assert _edits(problem) == {"/rope_theta": 1e6}
    _silent(_ropes({"rope_scaling": yarn, "rope_theta": 1e6, **_settings(1e6)}, "qwen2"))
    _silent(_ropes({"rope_scaling": yarn | {"rope_theta": 1e6}, **_settings(1e6)}, "qwen2"))
    # Gemma merges the two
    linear = {"rope_type": "linear", "factor": 8.0}
    _silent(_ropes({"rope_scaling": linear, "rope_parameters": LAYERS}, "gemma3_text"))


def test_a_base_that_nothing_states_and_that_depends_on_the_version() -> None:
    problem = _one(_composite("qwen3_vl", {"rope_scaling": {"rope_type": "default", "mrope_section": [24, 20, 20]}}))

    assert "5000000 in transformers 4 and 500000 in 5" in problem.message
    assert problem.severity is Severity.WARNING


def test_a_base_that_nothing_states_and_that_llama_3_never_had() -> None:
    scaling = {"rope_type": "llama3", "factor": 8.0}

    assert _one(_ropes({"rope_scaling": scaling})).severity is Severity.WARNING
    _silent(_ropes({}))
    _silent(_ropes({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}))


@pytest.mark.parametrize("value", ["1e6", [1], {}, True, None, -5, 10**30])
def test_values_of_other_types_say_nothing(value: object) -> None:
    _silent(_ropes({"rope_theta": value, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}), NEW)
    _silent(_ropes({"rope_theta": 1e4, "rope_parameters": value}), OLD)
    _silent(_ropes({"rope_theta": 1e4, "rope_parameters": {"rope_type": value, "rope_theta": 1e4}}), NEW)
