"""The converted Whisper is the trained one, and mmdoctor finds it healthy."""

import math
import shutil
import subprocess
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmdoctor import Severity, check_path
from tests.real import whisper

pytestmark = pytest.mark.real
transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SENTENCE = " The quick brown fox jumps over the lazy dog and runs down to the river."


@pytest.fixture(scope="module")
def folder() -> Path:
    return whisper.folder()


@pytest.fixture(scope="module")
def loaded(folder: Path) -> tuple[Any, Any, dict[str, Any]]:
    model, info = transformers.AutoModelForSpeechSeq2Seq.from_pretrained(folder, output_loading_info=True)
    return model.eval().float(), transformers.AutoProcessor.from_pretrained(folder), info


def test_every_key_is_matched(loaded: tuple[Any, Any, dict[str, Any]]) -> None:
    model, _, info = loaded

    assert {key: value for key, value in info.items() if key.endswith("_keys") and value} == {}
    assert sum(parameter.numel() for parameter in model.parameters()) == 37_760_256


def test_the_decoder_knows_english(loaded: tuple[Any, Any, dict[str, Any]]) -> None:
    """Random weights give every one of 51,864 tokens the same chance, 10.9 nats; trained ones know what comes next."""
    model, processor, _ = loaded
    silence = processor(np.zeros(16000, "float32"), sampling_rate=16000, return_tensors="pt").input_features
    words = processor.tokenizer(SENTENCE, add_special_tokens=False).input_ids

    with torch.no_grad():
        ids = torch.tensor([[whisper.START, whisper.NO_TIMESTAMPS, *words]])
        logits = model(input_features=silence, decoder_input_ids=ids).logits[0, 1:-1]
    loss = float(torch.nn.functional.cross_entropy(logits, torch.tensor(words)))

    assert loss < 0.6 * math.log(51864)


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed: nobody to speak")
def test_it_writes_down_what_is_said(loaded: tuple[Any, Any, dict[str, Any]], tmp_path: Path) -> None:
    model, processor, _ = loaded
    said, file = "Hello world. This is a test of the speech recognition model.", tmp_path / "said.wav"
    subprocess.run(["espeak-ng", "-w", str(file), "-s", "140", said], check=True)
    with wave.open(str(file)) as sound:
        rate, frames = sound.getframerate(), np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
    steps = np.arange(0, len(frames), rate / 16000)
    heard = np.interp(steps, np.arange(len(frames)), frames / 32768).astype("float32")

    features = processor(heard, sampling_rate=16000, return_tensors="pt").input_features
    text = processor.batch_decode(model.generate(features, max_new_tokens=40), skip_special_tokens=True)[0].lower()

    assert "hello world" in text
    assert "speech recognition" in text


def test_mmdoctor_finds_it_healthy(folder: Path) -> None:
    report = check_path(folder)

    assert [(found.code, found.message) for found in report.findings if found.severity is not Severity.NOTE] == []
    assert report.artifact.model_type == "whisper"
    assert report.artifact.parameters == 37_760_256
    assert set(report.artifact.dtypes) == {"F16"}
