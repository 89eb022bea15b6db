"""Every model type of transformers on the meta device: roles as its modules have them, and no rule cries wolf."""

import re

import pytest

pytest.importorskip("transformers")

from huggingface_hub import errors

from mmdoctor.facts.parts import Role
from mmdoctor.finding import Severity
from mmdoctor_checks.attention_shape.gqa_fused_qkv_shape import gqa_fused_qkv_shape
from mmdoctor_checks.attention_shape.head_dim_not_derived import head_dim_not_derived
from mmdoctor_checks.attention_shape.projector_dimension import projector_dimension
from mmdoctor_checks.attention_shape.vision_head_count_wrong import vision_head_count_wrong
from mmdoctor_checks.attention_shape.vision_position_embedding_size import vision_position_embedding_size
from mmdoctor_checks.drift.resized_embedding_mismatch import resized_embedding_mismatch
from mmdoctor_checks.integrity.benign_extra_keys import benign_extra_keys
from mmdoctor_checks.integrity.lm_head_missing_tied import lm_head_missing_tied
from mmdoctor_checks.integrity.mtp_heads_extra_or_lost import mtp_heads_extra_or_lost
from mmdoctor_checks.integrity.silently_uninitialised_weights import silently_uninitialised_weights
from tests.architectures import library
from tests.architectures.made import examine, parts_of, role_of

RULES = (
    head_dim_not_derived,
    gqa_fused_qkv_shape,
    vision_head_count_wrong,
    vision_position_embedding_size,
    projector_dimension,
    silently_uninitialised_weights,
    lm_head_missing_tied,
    benign_extra_keys,
    mtp_heads_extra_or_lost,
    resized_embedding_mismatch,
)
ROLES = {"vision": Role.VISION, "audio": Role.AUDIO, "text": Role.TEXT}

SOME = [
    "sam3_video",
    "gemma3",
    "bert",
    "clip",
    "gpt2",
    "llava",
    "phi3",
    "qwen2_audio",
    "qwen3_vl",
    "siglip",
    "t5",
    "vit",
    "whisper",
]

NOT_BUILDABLE = (
    *(ImportError, LookupError, ValueError, TypeError, AttributeError, OSError, RuntimeError, AssertionError),
    errors.StrictDataclassError,
)
"""What building a type ends in where its own defaults make no model, or where it needs a package that is not here."""

INCONSISTENT = {"granite_speech", "granite_speech_plus"}
"""Types whose default projector does not read the width of their default tower."""


def _alarms(shapes: dict[str, tuple[int, ...]], value: dict | None) -> list[str]:
    found = [f for rule in RULES for f in examine(rule, shapes, value)]
    # the default flags of some types disagree between the two levels, which INT014 is right to say
    return [f"{f.code} {f.message}" for f in found if f.severity is not Severity.NOTE and f.code != "INT014"]


def _judge(value: dict, model: object) -> list[str]:
    shapes = library.shapes_of(model)
    return [*_alarms(shapes, value), *_alarms(shapes, None)] if shapes else []


@pytest.mark.parametrize("model_type", SOME)
def test_no_rule_fires_on_a_model_of_the_library(model_type: str):
    assert _judge(*library.build(model_type)) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_rule_fires_on_any_model_of_the_library():
    judged, wrong = 0, {}
    for model_type in library.types():
        try:
            value, model = library.build(model_type)
        except NOT_BUILDABLE:
            continue
        judged += 1
        if model_type not in INCONSISTENT and (alarms := _judge(value, model)):
            wrong[model_type] = alarms

    assert not wrong
    assert judged > 400


@pytest.mark.parametrize(
    "model_type", ["llava", "qwen2_audio", "qwen3_vl", "siglip2", "idefics3", "internvl", "mllama"]
)
def test_roles_are_those_of_the_modules(model_type: str):
    _, model = library.build(model_type)
    shapes = library.shapes_of(model)
    found, modules = parts_of(shapes), library.parts_by_module(model)
    assert {"vision", "text"} & set(modules.values())

    for name in shapes:
        kind = next((k for prefix, k in modules.items() if name.startswith(f"{prefix}.")), None)
        if kind is None or re.search(r"merger|lm_head", name):
            continue
        assert role_of(found, name) is ROLES[kind], name


def test_what_lies_between_is_the_projector():
    for model_type, fragment in (("llava", "multi_modal_projector"), ("qwen3_vl", "merger"), ("idefics3", "connector")):
        shapes = library.shapes_of(library.build(model_type)[1])
        found = parts_of(shapes)

        assert {role_of(found, n) for n in shapes if fragment in n} == {Role.PROJECTOR}
