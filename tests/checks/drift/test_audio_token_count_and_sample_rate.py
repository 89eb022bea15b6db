"""DRF027 fires where a sound's placeholders are not its features; says what rate is expected; warns of odd ones."""

from typing import Any

import pytest

from mmdoctor.architectures import audio_model, multimodal_model
from mmdoctor.architectures.audio_tokens import audio_token_counts
from mmdoctor.architectures.sound import sound_path
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.readers.processors import audio_processor, processor
from mmdoctor.testing import fires
from mmdoctor_checks.drift.audio_token_count_and_sample_rate import audio_token_count_and_sample_rate
from tests.architectures.made import config

GEMMA = {
    "model_type": "gemma3n",
    "audio_soft_tokens_per_image": 188,
    "audio_config": {"model_type": "gemma3n_audio", "sscp_conv_stride_size": [[2, 2], [2, 2]]},
}
GEMMA_EARS = {"feature_extractor_type": "Gemma3nAudioFeatureExtractor", "feature_size": 128, "sampling_rate": 16000}
QWEN = {
    "model_type": "qwen2_audio",
    "audio_config": {"model_type": "qwen2_audio_encoder", "num_mel_bins": 128, "max_source_positions": 1500},
    "text_config": {"model_type": "qwen2"},
}
WHISPER_EARS = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 128, "sampling_rate": 16000}
CLAP = {"model_type": "clap", "audio_config": {"model_type": "clap_audio_model", "num_mel_bins": 64, "spec_size": 256}}
CLAP_EARS = {"feature_extractor_type": "ClapFeatureExtractor", "feature_size": 64, "sampling_rate": 48000}


def _run(model: dict[str, Any], ears: dict[str, Any], joint: dict[str, Any] | None = None) -> tuple[Problem, ...]:
    files = {"preprocessor_config.json": ears, "processor_config.json": joint or {}}
    documents = Documents(by_file={f: JsonDocument(file=f, value=v) for f, v in files.items()})
    known = multimodal_model(config(model))
    settings = audio_processor(documents)
    counts = audio_token_counts(known, audio_model(known), settings, processor(documents), documents)
    return fires(audio_token_count_and_sample_rate, settings, counts, sound_path(known, settings))


def test_fires_where_processor_and_model_count_differently() -> None:
    (problem,) = _run(GEMMA, GEMMA_EARS, {"processor_class": "Gemma3nProcessor", "audio_seq_length": 100})

    assert "100 placeholders" in problem.message
    assert "188 features" in problem.message
    assert "every request with a sound fails" in problem.message
    assert problem.severity is Severity.ERROR
    assert problem.because[0].at.pointer == "/audio_seq_length"
    assert problem.fix is not None
    assert problem.fix.edits == (Edit(file="processor_config.json", pointer="/audio_seq_length", value=188),)


def test_fires_where_the_model_refuses_the_window() -> None:
    (problem,) = _run(CLAP, CLAP_EARS | {"max_length_s": 20})

    assert "2001 frames of 64 do not fit into 256 x 256" in problem.message


def test_says_what_rate_is_expected_and_what_a_sound_costs() -> None:
    (problem,) = _run(QWEN, WHISPER_EARS, {"processor_class": "Qwen2AudioProcessor"})

    assert problem.severity is Severity.NOTE
    assert "sounds of 16000 Hz" in problem.message
    assert "30 s cost 750 tokens" in problem.message


@pytest.mark.parametrize(("rate", "heard"), [(44100, "1.09 times faster"), (96000, "2 times slower")])
def test_warns_of_a_rate_that_no_published_model_has(rate: int, heard: str) -> None:
    (problem,) = _run(CLAP, CLAP_EARS | {"sampling_rate": rate, "max_length_s": 5})

    assert problem.severity is Severity.WARNING
    assert heard in problem.message


def test_silent_on_any_rate_of_an_extractor_that_many_models_share() -> None:
    settings = audio_processor(
        Documents(
            by_file={
                "preprocessor_config.json": JsonDocument(
                    file="preprocessor_config.json",
                    value={"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 24000},
                )
            }
        )
    )
    known = multimodal_model(config({"model_type": "mert_model"}))

    (problem,) = fires(audio_token_count_and_sample_rate, settings, None, sound_path(known, settings))

    assert problem.severity is Severity.NOTE
    assert "24000 Hz" in problem.message
