"""DRF019 fires where a model's processor files were left behind, on real folders read by the readers."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.engine import Engine, Ran
from mmdoctor.facts.source import Source
from mmdoctor.finding import Finding, Severity
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source
from mmdoctor_checks.drift.processor_files_missing import processor_files_missing

LLAVA = {
    "model_type": "llava",
    "architectures": ["LlavaForConditionalGeneration"],
    "text_config": {"model_type": "llama", "vocab_size": 10},
    "vision_config": {"model_type": "clip_vision_model", "patch_size": 14, "image_size": 28},
}
WEIGHTS = (2).to_bytes(8, "little") + b"{}"
TOKENIZER = '{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[]}'
IMAGE = {"image_processor_type": "CLIPImageProcessor", "size": 28}


def _findings(root: Path, config: dict[str, Any], **files: Any) -> tuple[Finding, ...]:
    root.mkdir(exist_ok=True)
    files = {"config_json": config, "model_safetensors": WEIGHTS} | files
    for name, value in files.items():
        path = root / name.replace("_json", ".json").replace("_safetensors", ".safetensors").replace("_gguf", ".gguf")
        data = value if isinstance(value, bytes) else (value if isinstance(value, str) else json.dumps(value)).encode()
        path.write_bytes(data)
    outcome = Engine(Providers(), {Source: open_source(root)}).run([processor_files_missing])["DRF019"]
    return outcome.findings if isinstance(outcome, Ran) else ()


def test_fires_without_an_image_processor(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, LLAVA, tokenizer_json=TOKENIZER)

    assert finding.severity is Severity.ERROR
    assert "llava needs the image processor" in finding.message
    assert finding.location.file == "preprocessor_config.json"


def test_names_the_file_of_the_newer_layout(tmp_path: Path) -> None:
    (finding,) = _findings(tmp_path, LLAVA | {"transformers_version": "5.2.0"}, tokenizer_json=TOKENIZER)

    assert finding.location.file == "processor_config.json"


@pytest.mark.parametrize(
    "left", [{"preprocessor_config_json": IMAGE}, {"processor_config_json": {"image_processor": IMAGE}}]
)
def test_fires_without_a_vocabulary(tmp_path: Path, left: dict[str, Any]) -> None:
    (finding,) = _findings(tmp_path, LLAVA, tokenizer_config_json={}, **left)

    assert "the tokenizer" in finding.message
    assert finding.location.file == "tokenizer.json"


def test_fires_without_a_feature_extractor(tmp_path: Path) -> None:
    whisper = {"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"], "num_mel_bins": 80}

    (finding,) = _findings(tmp_path, whisper, tokenizer_json=TOKENIZER)

    assert "the feature extractor" in finding.message


@pytest.mark.parametrize(
    "files",
    [
        {"preprocessor_config_json": IMAGE, "tokenizer_json": TOKENIZER},
        {"processor_config_json": {"image_processor": IMAGE}, "tokenizer_json": TOKENIZER},
        {"preprocessor_config_json": {"feature_extractor_type": "CLIPFeatureExtractor"}, "tokenizer_json": TOKENIZER},
    ],
    ids=["transformers 4", "transformers 5", "old name"],
)
def test_silent_where_all_is_there(tmp_path: Path, files: dict[str, Any]) -> None:
    assert _findings(tmp_path, LLAVA, **files) == ()


def test_silent_with_code_of_its_own(tmp_path: Path) -> None:
    minicpm = LLAVA | {"auto_map": {"AutoModel": "modeling_minicpmv.MiniCPMV"}}

    assert _findings(tmp_path, minicpm, tokenizer_json=TOKENIZER) == ()


def test_silent_in_mistrals_own_format(tmp_path: Path) -> None:
    tekken = {"config": {}, "vocab": []}

    assert _findings(tmp_path, LLAVA, params_json={}, tekken_json=tekken) == ()


def test_silent_without_weights(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"

    assert _findings(tmp_path, LLAVA, model_safetensors=pointer, tokenizer_json=TOKENIZER) == ()


@pytest.mark.parametrize("model_type", ["llama", "bert", "made_up"])
def test_silent_on_text_models_and_unknown_types(tmp_path: Path, model_type: str) -> None:
    assert _findings(tmp_path, {"model_type": model_type, "vocab_size": 10, "hidden_size": 8}) == ()


def test_silent_on_a_speech_encoder_without_a_tokenizer(tmp_path: Path) -> None:
    config = {"model_type": "wav2vec2", "architectures": ["Wav2Vec2ForPreTraining"], "conv_dim": [8]}
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "feature_size": 1}

    assert _findings(tmp_path, config, preprocessor_config_json=extractor) == ()


def test_silent_on_a_part_of_a_pipeline(tmp_path: Path) -> None:
    assert _findings(tmp_path / "image_encoder", LLAVA) == ()


def test_a_bare_model_gets_a_note_and_one_saved_to_generate_an_error(tmp_path: Path) -> None:
    (bare,) = _findings(tmp_path / "a", LLAVA)
    (saved,) = _findings(tmp_path / "b", LLAVA, generation_config_json={})

    assert (bare.severity, saved.severity) == (Severity.NOTE, Severity.ERROR)


def test_silent_where_the_file_is_there_and_broken(tmp_path: Path) -> None:
    assert _findings(tmp_path, LLAVA, preprocessor_config_json='{"size": ', tokenizer_json=TOKENIZER) == ()
