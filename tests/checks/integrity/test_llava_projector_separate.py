"""INT013 fires where a model of the original LLaVA lacks its projector, and is silent wherever it may be."""

from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.quantisation import Adapter
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.llava_projector_separate import llava_projector_separate
from tests.checks.integrity.made import file, loaded, source, tensor, weights

TOWER = {"model_type": "llava_llama", "mm_vision_tower": "openai/clip", "mm_projector_type": "mlp2x_gelu"}
ADAPTER = Adapter(settings=Settings(document=JsonDocument(file="adapter_config.json", value={})))


def config(value: dict) -> ModelConfig:
    return ModelConfig(document=JsonDocument(file="config.json", value=value))


def complete(*names: str) -> CompleteCheckpoint:
    found: Checkpoint = loaded(weights("model.safetensors", *(tensor(name) for name in names)))
    return CompleteCheckpoint(checkpoint=found)


LLM = complete("model.layers.0.q_proj.weight")
WHOLE = complete("model.layers.0.q_proj.weight", "model.mm_projector.0.weight")


def folder(*names: str, name: str = "model") -> Source:
    made = source(*(file(n) for n in names))
    return Source(root=made.root, name=name, files=made.files)


def test_fires_on_weights_without_a_projector():
    (problem,) = fires(llava_projector_separate, folder("model.safetensors"), config(TOWER), LLM, None)

    assert "the model cannot see" in problem.message


def test_silent_where_the_projector_is_in_the_weights_or_beside_them():
    silent(llava_projector_separate, folder("model.safetensors"), config(TOWER), WHOLE, None)
    for name in ("mm_projector.bin", "non_lora_trainables.bin"):
        silent(llava_projector_separate, folder("model.safetensors", name), config(TOWER), LLM, None)


def test_fires_on_an_adapter_without_its_side_file():
    (problem,) = fires(llava_projector_separate, folder("a.safetensors", name="x-lora"), config(TOWER), None, ADAPTER)

    assert "non_lora_trainables.bin" in problem.message


def test_an_adapter_whose_folder_is_not_called_one_is_a_warning():
    files = ("a.safetensors", "non_lora_trainables.bin")
    (problem,) = fires(llava_projector_separate, folder(*files, name="mine"), config(TOWER), None, ADAPTER)

    assert problem.severity is Severity.WARNING
    silent(llava_projector_separate, folder(*files, name="mine-LoRA"), config(TOWER), None, ADAPTER)


def test_silent_on_the_layout_of_transformers_and_on_language_models():
    silent(llava_projector_separate, folder(), config({**TOWER, "vision_config": {}}), LLM, None)
    silent(llava_projector_separate, folder(), config({"model_type": "llama"}), LLM, None)
    silent(llava_projector_separate, folder(), config(TOWER), None, None)
