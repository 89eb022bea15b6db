"""DRF028 fires on rotary settings that fail or contradict themselves; usual oddities are normal."""

from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.rope import rotary_embeddings
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.machine import Libraries, Target
from mmdoctor.facts.rope import RotaryEmbeddings
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.rope_config_version import rope_config_version
from tests.architectures.made import config

NEW = Libraries(versions={"transformers": "5.23.0"}, complete=True)
OLD = Libraries(versions={"transformers": "4.57.6"}, complete=True)
SIZES = {"hidden_size": 1024, "num_attention_heads": 8}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LISTS = {"short_factor": [1.0] * 64, "long_factor": [2.0] * 64}


def _ropes(text: dict[str, Any], model_type: str = "llama") -> RotaryEmbeddings:
    return rotary_embeddings(multimodal_model(config({"model_type": model_type, **SIZES, **text})))


def _composite(model_type: str, text: dict[str, Any]) -> RotaryEmbeddings:
    return rotary_embeddings(multimodal_model(config({"model_type": model_type, "text_config": {**SIZES, **text}})))


def _one(ropes: RotaryEmbeddings, libraries: Libraries = NEW, target: Target | None = None) -> Problem:
    (problem,) = fires(rope_config_version, ropes, libraries, target or Target())
    return problem


def _silent(ropes: RotaryEmbeddings, libraries: Libraries = NEW) -> None:
    silent(rope_config_version, ropes, libraries, Target())


@pytest.mark.parametrize("layout", ["rope_scaling", "rope_parameters"])
@pytest.mark.parametrize("key", [key for key in LLAMA3 if key != "rope_type"])
def test_fires_where_a_needed_setting_is_missing(layout: str, key: str) -> None:
    settings = {k: v for k, v in LLAMA3.items() if k != key}

    problem = _one(_ropes({layout: settings, "rope_theta": 5e5}))

    assert f"need {key}" in problem.message
    assert problem.because[0].at.pointer == f"/{layout}/rope_type"
    _silent(_ropes({layout: LLAMA3, "rope_theta": 5e5}))


@pytest.mark.parametrize("kind", ["linear", "dynamic", "yarn"])
def test_scaling_needs_a_factor(kind: str) -> None:
    assert "need factor" in _one(_ropes({"rope_scaling": {"type": kind}})).message
    _silent(_ropes({"rope_scaling": {"type": kind, "factor": 2.0}}))


def test_fires_in_the_settings_of_one_type_of_layers() -> None:
    layers = {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    ropes = _composite("gemma3", {"model_type": "gemma3_text", "rope_parameters": layers})

    problem = _one(ropes)

    assert problem.because[0].at.pointer == "/text_config/rope_parameters/full_attention/rope_type"


@pytest.mark.parametrize("kind", ["llama31", "mrope", 3, None, ["yarn"]])
def test_fires_on_a_kind_that_does_not_exist(kind: object) -> None:
    assert "transformers does not have" in _one(_ropes({"rope_scaling": {"rope_type": kind, "factor": 2.0}})).message


def test_code_of_the_artefact_may_have_its_own_kinds() -> None:
    _silent(_ropes({"rope_scaling": {"type": "su", **LISTS}}, model_type="phi3_v"))
    _silent(_ropes({"rope_scaling": {"type": "xdrope"}}, model_type="someones_own"))


@pytest.mark.parametrize("value", ["yarn", [1], 4.0, True])
def test_fires_on_settings_that_are_no_object(value: object) -> None:
    assert "not an object" in _one(_ropes({"rope_scaling": value})).message


@pytest.mark.parametrize("factor", ["8", 0, -1, [8], True, 10**30])
def test_fires_on_a_factor_that_is_no_usable_number(factor: object) -> None:
    assert "not a number above 0" in _one(_ropes({"rope_scaling": LLAMA3 | {"factor": factor}})).message


@pytest.mark.parametrize("theta", ["1e6", 0, -10000.0, 1, [1]])
def test_fires_on_a_base_that_is_no_usable_number(theta: object) -> None:
    assert "not a number above 1" in _one(_ropes({"rope_theta": theta})).message


@pytest.mark.parametrize("high", [1.0, 0.5, "4"])
def test_fires_where_the_high_frequency_is_not_above_the_low_one(high: object) -> None:
    assert "is not above" in _one(_ropes({"rope_scaling": LLAMA3 | {"high_freq_factor": high}})).message


def test_longrope_has_a_number_for_each_pair() -> None:
    settings = {"type": "longrope", **LISTS}
    problem = _one(_ropes({"rope_scaling": settings | {"short_factor": [1.0] * 48}}, model_type="phi3"))

    assert "short_factor has 48 numbers" in problem.message
    assert problem.because[0].expected == 64
    _silent(_ropes({"rope_scaling": settings}, model_type="phi3"))
    _silent(_ropes({"rope_scaling": settings | {"type": "su"}}, model_type="phi3"), OLD)


def test_longrope_rotates_a_part_of_the_head() -> None:
    lists = {"short_factor": [1.0] * 48, "long_factor": [2.0] * 48}

    _silent(_ropes({"rope_scaling": {"type": "longrope", **lists}, "partial_rotary_factor": 0.75}, model_type="phi3"))
    # multi-head latent attention: MiniCPM3 rotates 32 numbers beside a head of 64
    latent = {"original_max_position_embeddings": 32768, "short_factor": [1.0] * 16, "long_factor": [1.0] * 16}
    _silent(_ropes({"qk_rope_head_dim": 32, "rope_scaling": {"type": "longrope", **latent}}, model_type="minicpm3"))


@pytest.mark.parametrize(("libraries", "severity"), [(NEW, Severity.ERROR), (Libraries(), Severity.NOTE)])
def test_transformers_5_refuses_su_without_the_original_length(libraries: Libraries, severity: Severity) -> None:
    ropes = _ropes(
        {"rope_scaling": {"type": "su", **LISTS}, "original_max_position_embeddings": 4096}, model_type="phi3"
    )

    problem = _one(ropes, libraries)

    assert problem.severity is severity
    assert problem.fix is not None
    assert problem.fix.edits == (Edit(file="config.json", pointer="/rope_scaling/type", value="longrope"),)


@pytest.mark.parametrize(
    ("length", "factor", "original", "odd"),
    [
        (131072, 4.0, 32768, False),
        (32768, 4.0, 32768, False),  # as the cards of Qwen 2.5 and 3 tell users to do
        (40960, 4.0, 32768, False),
        (163840, 40, 4096, False),
        (131072, 2.0, 32768, True),
        (131072, 32, 32768, True),
        (131072, 4.0, 0, False),
    ],
)
def test_yarn_reaches_the_stated_length(length: int, factor: float, original: int, odd: bool) -> None:
    settings = {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original}
    ropes = _ropes({"rope_scaling": settings, "max_position_embeddings": length, "rope_theta": 1e6}, "qwen2")

    if odd:
        assert _one(ropes).severity is Severity.WARNING
    else:
        _silent(ropes)


@pytest.mark.parametrize(
    ("model_type", "section", "more"),
    [
        ("qwen2_vl", [16, 24, 24], {}),
        ("qwen2_5_vl", [16, 24, 24], {}),
        ("qwen3_vl", [24, 20, 20], {"head_dim": 128, "mrope_interleaved": True}),
        ("glm4v", [8, 12, 12], {"partial_rotary_factor": 0.5}),
        ("qwen3_5", [11, 11, 10], {"head_dim": 256, "partial_rotary_factor": 0.25}),
    ],
)
@pytest.mark.parametrize("layout", ["rope_scaling", "rope_parameters"])
def test_the_axes_make_up_the_rotated_part(
    model_type: str, section: list[int], more: dict[str, Any], layout: str
) -> None:
    def ropes(parts: list[int]) -> RotaryEmbeddings:
        settings = {"rope_type": "default", "mrope_section": parts, "rope_theta": 1e6}
        return _composite(model_type, {layout: settings, **more})

    _silent(ropes(section))
    problem = _one(ropes([*section[:2], section[2] + 1]))
    assert f"there are {2 * sum(section)}" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.pointer == f"/text_config/{layout}/mrope_section"

    swapped = _one(ropes([section[0] + 1, section[1] - 1, section[2]]))
    assert swapped.severity is Severity.WARNING
    assert "were trained with" in swapped.message


@pytest.mark.parametrize("section", ["16", [16, "24", 24], {"t": 16}, [16.0, 24.0, 24.0], [True, 63]])
def test_fires_on_axes_that_are_no_list_of_numbers(section: object) -> None:
    settings = {"rope_type": "default", "mrope_section": section}

    assert "not a list of numbers" in _one(_composite("qwen2_vl", {"rope_parameters": settings})).message


def test_axes_that_are_missing_and_whose_default_does_not_fit() -> None:
    problem = _one(_composite("qwen2_vl", {"head_dim": 64, "rope_parameters": {"rope_type": "default"}}))

    assert "not 64: the first forward pass fails" in problem.message
    assert problem.severity is Severity.ERROR


def test_defaults_of_the_library_that_do_not_fit_each_other_are_no_models_fault() -> None:
    blank = {"hidden_size": 4096, "num_attention_heads": 32, "rope_parameters": {"rope_type": "default"}}

    assert _one(_composite("glm4v", blank)).severity is Severity.NOTE
    assert _one(_composite("glm4v", blank | {"num_attention_heads": 16})).severity is Severity.ERROR


def test_axes_that_are_missing_in_the_layout_of_transformers_4() -> None:
    lost = _one(_composite("qwen2_vl", {"rope_theta": 1e6, "rope_scaling": {"type": "default"}}))
    nothing = _one(_composite("qwen2_vl", {"rope_theta": 1e6, "rope_scaling": None}))
    flat = _one(_ropes({"rope_theta": 1e6, "rope_scaling": {"type": "default"}}, model_type="qwen2_vl"))

    assert [p.severity for p in (lost, nothing, flat)] == [Severity.ERROR] * 3
    assert "transformers 4 fails without it" in lost.message
    assert lost.fix is not None
    assert [str(e.pointer) for e in lost.fix.edits if isinstance(e, Edit)] == [
        "/text_config/rope_scaling/mrope_section"
    ]


def test_axes_that_transformers_5_does_not_need() -> None:
    ropes = _composite("qwen2_vl", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})

    assert _one(ropes).severity is Severity.NOTE
    assert _one(ropes, target=Target(engine="vllm")).severity is Severity.ERROR


def test_mrope_beside_default_is_normal() -> None:
    both = {"type": "mrope", "rope_type": "default", "mrope_section": [16, 24, 24]}

    _silent(_composite("qwen2_vl", {"rope_theta": 1e6, "rope_scaling": both}))
    _silent(
        _composite("qwen2_5_vl", {"rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}})
    )
    yarn = {"type": "yarn", "factor": 4.0, "mrope_section": [16, 24, 24]}
    _silent(_ropes({"rope_theta": 1e6, "rope_scaling": yarn}, model_type="qwen2_vl"))


def test_a_kind_that_is_newer_than_the_library() -> None:
    ropes = _ropes({"rope_scaling": LLAMA3})

    problem = _one(ropes, Libraries(versions={"transformers": "4.42.4"}))

    assert "need transformers 4.43" in problem.message
    _silent(ropes, OLD)
    _silent(ropes, Libraries())


def test_settings_shared_by_all_layers_may_stand_beside_those_of_some() -> None:
    layers = {"rope_theta": 1e4, "full_attention": {"rope_type": "default", "rope_theta": 1e6}}

    _silent(_composite("gemma3", {"model_type": "gemma3_text", "rope_parameters": layers}))


def test_a_model_without_rotary_embeddings_has_none() -> None:
    with pytest.raises(NotApplicable, match="no rotary"):
        _ropes({"rope_theta": 1e4}, model_type="bert")
