"""Faults of sound, rotary embeddings and ends are real: the library fails on them, or answers otherwise."""

import json
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

from mmdoctor import check_path  # noqa: E402 - the libraries come first, so that the module is skipped without them
from mmdoctor.finding import Severity  # noqa: E402 - see above
from tests import specimens  # noqa: E402 - see above
from tests.specimens.faults import Patient  # noqa: E402 - see above

pytestmark = pytest.mark.slow

RULES = ("DRF024", "DRF025", "DRF026", "DRF027", "DRF028", "DRF029")


def _patient(name: str, tmp_path: Path) -> Patient:
    patient = Patient.copy(specimens.build(name), tmp_path / name)
    assert _found(patient.path) == set(), "healthy to begin with"
    return patient


def _found(path: Path, worst: Severity = Severity.WARNING) -> set[str]:
    report = check_path(path, depth="headers", select=RULES, plugins=False)
    return {f.code for f in report.findings if f.severity.rank >= worst.rank}


def _settings(patient: Patient, changes: dict[str, Any]) -> None:
    """Change rotary settings of the text section, whichever layout the installed library saves."""
    text = "/text_config" if "text_config" in patient.json("config.json") else ""
    section = patient.json("config.json")["text_config"] if text else patient.json("config.json")
    key = "rope_parameters" if "rope_parameters" in section else "rope_scaling"
    values = {k: v for k, v in (section[key] | changes).items() if v is not None}
    patient.edit("config.json", {f"{text}/{key}": values})


def _load(path: Path) -> Any:
    name = json.loads((path / "config.json").read_text())["architectures"][0]
    return getattr(transformers, name).from_pretrained(path, dtype=torch.float32).eval()


def _logits(path: Path) -> Any:
    with torch.no_grad():
        return _load(path)(input_ids=torch.arange(20, 60)[None]).logits


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("whisper", {"feature_size": 128}),
        ("whisper", {"chunk_length": 20}),
        ("clap", {"feature_size": 80}),
        ("qwen2_audio", {"feature_size": 80}),
    ],
)
def test_the_encoder_refuses_other_spectrograms(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    patient = _patient(name, tmp_path)
    patient.feature_extractor({f"/{key}": value for key, value in changes.items()})
    assert _found(patient.path, Severity.ERROR) == {"DRF026"}

    ears = transformers.AutoFeatureExtractor.from_pretrained(patient.path)
    model = _load(patient.path)
    features = ears(torch.zeros(16000).numpy(), sampling_rate=ears.sampling_rate, return_tensors="pt")["input_features"]
    inner = getattr(model, "model", model)  # where the towers are, from transformers 5 on
    encoder = next(
        getattr(inner, tower) for tower in ("encoder", "audio_model", "audio_tower") if hasattr(inner, tower)
    )
    with pytest.raises((RuntimeError, ValueError)):
        encoder(features)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("qwen2_vl", {"mrope_section": [3, 3, 3]}),
        ("glm4v", {"mrope_section": None}),
        ("llama", {"factor": None}),
        ("mllama", {"rope_type": "llama31"}),
    ],
)
def test_the_library_refuses_the_settings(name: str, changes: dict[str, Any], tmp_path: Path) -> None:
    patient = _patient(name, tmp_path)
    _settings(patient, changes)
    assert _found(patient.path, Severity.ERROR) == {"DRF028"}

    with pytest.raises((RuntimeError, KeyError)):
        _logits(patient.path)


@pytest.mark.parametrize(("name", "at"), [("qwen2", ""), ("internvl", "/text_config"), ("smolvlm", "/text_config")])
def test_added_scaling_hides_the_base(name: str, at: str, tmp_path: Path) -> None:
    patient = _patient(name, tmp_path)
    section = patient.json("config.json")["text_config"] if at else patient.json("config.json")
    if "rope_parameters" not in section:
        pytest.skip("this transformers keeps the base beside the scaling")
    # a factor of 1 scales nothing, so that only the base can make a difference
    patient.edit("config.json", {f"{at}/rope_scaling": {"rope_type": "linear", "factor": 1.0}})
    assert _found(patient.path, Severity.ERROR) == {"DRF029"}
    broken = _logits(patient.path)

    patient.edit("config.json", {f"{at}/rope_theta": section["rope_parameters"]["rope_theta"]})
    assert _found(patient.path) == set()
    assert torch.equal(_logits(patient.path), _logits(specimens.build(name)))
    assert not torch.equal(broken, _logits(patient.path))


def test_every_text_gets_one_embedding(tmp_path: Path) -> None:
    patient = _patient("clip", tmp_path)
    patient.edit("config.json", {"/text_config/eos_token_id": 5})
    assert _found(patient.path, Severity.ERROR) == {"DRF024"}

    tokenizer = transformers.AutoTokenizer.from_pretrained(patient.path)
    texts = tokenizer(["a cat", "two dogs in the snow"], return_tensors="pt", padding=True)["input_ids"]
    with torch.no_grad():
        first, second = _load(patient.path).text_model(input_ids=texts).pooler_output
    assert torch.allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "end"), [("qwen2_5_vl", "<|im_end|>"), ("gemma3", "<end_of_turn>"), ("llama", "<|eot_id|>")]
)
def test_a_generation_goes_on_after_the_turn(name: str, end: str, tmp_path: Path) -> None:
    patient = _patient(name, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(patient.path)
    number = tokenizer.convert_tokens_to_ids(end)
    kept = [i for i in patient.json("generation_config.json")["eos_token_id"] if i != number][:1]
    patient.edit("generation_config.json", {"/eos_token_id": kept})
    assert _found(patient.path) == {"DRF025"}

    settings = transformers.GenerationConfig.from_pretrained(patient.path)
    stops = transformers.EosTokenCriteria(eos_token_id=settings.eos_token_id)
    assert not stops(torch.tensor([[20, number]]), None).item()
