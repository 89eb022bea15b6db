"""PRE008."""

import pytest

from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.finding import Severity
from mmdoctor.location import Reading
from mmdoctor.testing import fires, silent
from mmdoctor_checks.precision.mixed_dtype_matmul import mixed_dtype_matmul


def tensor(name: str, dtype: str, *shape: int) -> Tensor:
    return Tensor(name=name, dtype=dtype, shape=shape, file="model.safetensors", nbytes=0)


def part(role: Role, *tensors: Tensor) -> Part:
    return Part(role=role, prefix=f"{role.name.lower()}.", tensors=tensors)


def model(*, custom: bool) -> MultimodalModel:
    config = ModelConfig(document=JsonDocument(file="config.json", value={}))
    code = (Reading("modeling_x.X"),) if custom else ()
    return MultimodalModel(config=config, family="x", known=True, remote_code=code)


TEXT = part(Role.TEXT, tensor("q.weight", "BF16", 64, 64), tensor("norm.weight", "F32", 64))
PROJECTOR = part(Role.PROJECTOR, tensor("p.weight", "F32", 64, 32))


def test_a_float32_projector_beside_a_half_model_with_code_of_its_own_is_a_warning() -> None:
    (problem,) = fires(mixed_dtype_matmul, Parts(parts=(TEXT, PROJECTOR)), model(custom=True))

    assert problem.severity is Severity.WARNING
    assert "projector F32" in problem.message
    assert problem.because[0].at.tensor == "q.weight"


def test_with_transformers_own_code_it_is_a_note() -> None:
    (problem,) = fires(mixed_dtype_matmul, Parts(parts=(TEXT, PROJECTOR)), model(custom=False))

    assert problem.severity is None
    assert mixed_dtype_matmul.severity is Severity.NOTE


def test_without_a_configuration_it_is_a_note() -> None:
    (problem,) = fires(mixed_dtype_matmul, Parts(parts=(TEXT, PROJECTOR)), None)

    assert problem.severity is None


def test_a_float32_vision_tower_is_legal_even_with_custom_code() -> None:
    vision = part(Role.VISION, tensor("v.weight", "F32", 64, 64))
    (problem,) = fires(mixed_dtype_matmul, Parts(parts=(TEXT, vision)), model(custom=True))

    assert problem.severity is None


def test_one_type_everywhere() -> None:
    silent(mixed_dtype_matmul, Parts(parts=(TEXT, part(Role.PROJECTOR, tensor("p", "BF16", 4, 4)))), model(custom=True))


def test_norms_gates_frequencies_and_scales_in_float32_do_not_count() -> None:
    small = (tensor("norm.weight", "F32", 64), tensor("rotary.inv_freq", "F32", 32), tensor("logit_scale", "F32"))
    projector = part(Role.PROJECTOR, tensor("p.weight", "BF16", 64, 64), tensor("gate", "F32", 1))
    silent(mixed_dtype_matmul, Parts(parts=(part(Role.TEXT, *TEXT.tensors, *small), projector)), model(custom=True))


def test_a_few_float32_matrices_in_a_half_part_do_not_count() -> None:
    router = tensor("mlp.gate.weight", "F32", 8, 64)
    vision = part(Role.VISION, tensor("v", "BF16", 64, 64))
    silent(mixed_dtype_matmul, Parts(parts=(part(Role.TEXT, *TEXT.tensors, router), vision)), model(custom=True))


def test_quantised_weights_do_not_count() -> None:
    text = part(Role.TEXT, tensor("q.qweight", "I32", 8, 64), tensor("q.weight", "F8_E4M3", 8, 64))
    silent(mixed_dtype_matmul, Parts(parts=(text, PROJECTOR)), model(custom=True))


def test_a_float32_model_throughout_its_text_with_a_half_projector_is_a_note() -> None:
    text = part(Role.TEXT, tensor("q", "F32", 64, 64))
    projector = part(Role.PROJECTOR, tensor("p", "F16", 64, 64))
    (problem,) = fires(mixed_dtype_matmul, Parts(parts=(text, projector)), model(custom=True))

    assert problem.severity is None


def test_the_fault_is_real() -> None:
    torch = pytest.importorskip("torch")
    projector, text = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4, dtype=torch.bfloat16)

    with pytest.raises(RuntimeError, match="same dtype"):
        text(projector(torch.ones(1, 4)))
