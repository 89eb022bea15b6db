"""PRE011 fires where configuration and tensors disagree, and leaves their many spellings alone."""

import pytest

from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint, Tensor
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.quantisation import PackedModules, QuantisationConfig
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Severity
from mmdoctor.location import Location
from mmdoctor.testing import fires, reading, silent
from mmdoctor_checks.precision.quant_config_vs_weights_vs_flag import ALIASES, LAYOUTS, quant_config_vs_weights_vs_flag

DOCUMENT = JsonDocument(file="config.json", value={"quantization_config": {}})
MODEL = ModelConfig(document=DOCUMENT)
WEIGHT = Tensor(name="layers.0.q_proj.weight", dtype="BF16", shape=(8, 8), file="model.safetensors", nbytes=128)
COMPLETE = CompleteCheckpoint(checkpoint=Checkpoint(files=(), tensors={WEIGHT.name: WEIGHT}))


def _packed(method: str | None, *alternatives: str, mixed: tuple[str, ...] = ()) -> PackedModules:
    at = Location(file="model.safetensors", tensor="layers.0.q_proj.qweight")
    modules = ("layers.0.q_proj",) if method else ()
    return PackedModules(
        method=method, alternatives=alternatives, mixed_with=mixed, modules=modules, signs={"qweight": 1}, at=at
    )


def _stated(method: str) -> QuantisationConfig:
    settings = Settings(document=DOCUMENT, pointer="/quantization_config")
    return QuantisationConfig(settings=settings, method=reading(method, pointer="/quantization_config/quant_method"))


def test_fires_on_packed_tensors_that_nothing_announces() -> None:
    (problem,) = fires(quant_config_vs_weights_vs_flag, _packed("gptq"), COMPLETE, MODEL, None)

    assert "packed as gptq" in problem.message
    assert problem.because[0].at.tensor == "layers.0.q_proj.qweight"


@pytest.mark.parametrize("method", ["gptq", "awq", "gptq_marlin", "compressed-tensors"])
def test_fires_on_a_method_without_packed_tensors(method: str) -> None:
    (problem,) = fires(quant_config_vs_weights_vs_flag, _packed(None), COMPLETE, MODEL, _stated(method))

    assert problem.severity is Severity.ERROR
    assert "none of the 1 tensors is packed" in problem.message


@pytest.mark.parametrize("method", ["bitsandbytes", "fp8"])
def test_warns_only_where_an_engine_may_quantise_while_it_loads(method: str) -> None:
    (problem,) = fires(quant_config_vs_weights_vs_flag, _packed(None), COMPLETE, MODEL, _stated(method))

    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("stated", "shown"), [("gptq", "awq"), ("awq", "gptq"), ("fp8", "gptq"), ("bitsandbytes", "mlx")]
)
def test_fires_where_they_disagree(stated: str, shown: str) -> None:
    (problem,) = fires(quant_config_vs_weights_vs_flag, _packed(shown), COMPLETE, MODEL, _stated(stated))

    assert stated in problem.message
    assert shown in problem.message
    assert problem.because[0].at.pointer == "/quantization_config/quant_method"


@pytest.mark.parametrize("method", LAYOUTS)
def test_silent_where_they_agree(method: str) -> None:
    for shown in LAYOUTS[method]:
        silent(quant_config_vs_weights_vs_flag, _packed(shown), COMPLETE, MODEL, _stated(method))


@pytest.mark.parametrize("alias", ALIASES)
def test_silent_on_a_kernels_name_for_the_same_layout(alias: str) -> None:
    silent(quant_config_vs_weights_vs_flag, _packed(ALIASES[alias]), COMPLETE, MODEL, _stated(alias))


def test_silent_where_the_layout_is_shared_by_methods() -> None:
    packed = _packed("compressed-tensors", "fp8", "fbgemm_fp8", "modelopt")

    silent(quant_config_vs_weights_vs_flag, packed, COMPLETE, MODEL, _stated("modelopt"))


def test_silent_on_mixed_precision_by_the_stated_method() -> None:
    silent(quant_config_vs_weights_vs_flag, _packed("gptq", mixed=("awq",)), COMPLETE, MODEL, _stated("awq"))


def test_silent_on_a_method_that_is_not_known() -> None:
    silent(quant_config_vs_weights_vs_flag, _packed("gptq"), COMPLETE, MODEL, _stated("brand_new"))
    silent(quant_config_vs_weights_vs_flag, _packed(None), COMPLETE, MODEL, _stated("brand_new"))


def test_silent_on_plain_weights() -> None:
    silent(quant_config_vs_weights_vs_flag, _packed(None), COMPLETE, MODEL, None)
