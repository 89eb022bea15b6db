"""DRF026 fires where feature extractor, configuration and weights disagree on a spectrogram."""

from typing import Any

import pytest

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.sound import sound_path
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.facts.sound import SoundPath
from mmdoctor.facts.tokenizer import AudioProcessor, Settings
from mmdoctor.finding import Edit, Problem, Severity
from mmdoctor.readers.processors import audio_processor
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.whisper_mel_and_length import whisper_mel_and_length
from tests.architectures.made import config, tensor

WHISPER = {"model_type": "whisper", "num_mel_bins": 80, "max_source_positions": 1500, "max_target_positions": 448}
QWEN = {
    "model_type": "qwen2_audio",
    "audio_config": {"model_type": "qwen2_audio_encoder", "num_mel_bins": 128, "max_source_positions": 1500},
    "text_config": {"model_type": "qwen2"},
}
EARS = {"feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80, "sampling_rate": 16000}
WINDOW = {"chunk_length": 30, "hop_length": 160}
SHAPES = {
    "model.encoder.conv1.weight": (64, 80, 3),
    "model.encoder.embed_positions.weight": (1500, 64),
    "model.decoder.embed_positions.weight": (448, 64),
}
NOTHING = Documents(by_file={})


def _parts(shapes: dict[str, tuple[int, ...]]) -> Parts:
    tensors = tuple(tensor(name, shape) for name, shape in shapes.items())
    return Parts(parts=(Part(role=Role.AUDIO, prefix="", tensors=tensors),))


def _documents(**files: dict[str, Any]) -> Documents:
    return Documents(by_file={f"{f}.json": JsonDocument(file=f"{f}.json", value=v) for f, v in files.items()})


def _path(model: dict[str, Any], ears: dict[str, Any], shapes: dict[str, tuple[int, ...]] | None = None) -> SoundPath:
    """The path of settings in the layout of transformers 4."""
    found = audio_processor(_documents(preprocessor_config=ears))
    return sound_path(multimodal_model(config(model)), found, _parts(shapes) if shapes is not None else None)


def _nested(model: dict[str, Any], ears: dict[str, Any], own: dict[str, Any] | None = None) -> SoundPath:
    """The path of settings in the layout of transformers 5, perhaps with a copy in that of 4."""
    files = {"processor_config": {"feature_extractor": ears}}
    found = audio_processor(_documents(**files, **({"preprocessor_config": own} if own is not None else {})))
    return sound_path(multimodal_model(config(model)), found)


def _edits(problem: Problem) -> list[tuple[str, str, object]]:
    assert problem.fix is not None
    return [(e.file, e.pointer, e.value) for e in problem.fix.edits if isinstance(e, Edit)]


def test_fires_on_the_extractor_of_another_size() -> None:
    (problem,) = fires(whisper_mel_and_length, _path(WHISPER, EARS | {"feature_size": 128}, SHAPES), NOTHING)

    assert "makes 128 numbers a frame, and the encoder reads 80: every sound fails" in problem.message
    assert problem.severity is None
    assert problem.because[0].at.pointer == "/feature_size"
    assert _edits(problem) == [("preprocessor_config.json", "/feature_size", 80)]


def test_fires_on_the_nested_section_of_transformers_5() -> None:
    (problem,) = fires(whisper_mel_and_length, _nested(QWEN, EARS), NOTHING)

    assert _edits(problem) == [("processor_config.json", "/feature_extractor/feature_size", 128)]


def test_an_absent_feature_size_is_80() -> None:
    ears = {key: value for key, value in EARS.items() if key != "feature_size"}

    silent(whisper_mel_and_length, _path(WHISPER, ears), NOTHING)
    (problem,) = fires(whisper_mel_and_length, _path(QWEN, ears), NOTHING)

    assert "makes 80 numbers a frame, and the encoder reads 128" in problem.message


def test_warns_where_another_copy_is_right() -> None:
    sound = _nested(WHISPER, EARS, own=EARS | {"feature_size": 128})

    (problem,) = fires(whisper_mel_and_length, sound, NOTHING)

    assert problem.severity is Severity.WARNING
    assert "where preprocessor_config.json is read" in problem.message
    assert _edits(problem) == [("preprocessor_config.json", "/feature_size", 80)]


_OTHERS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("AST", {"num_mel_bins": 64}, {"model_type": "audio-spectrogram-transformer", "num_mel_bins": 128}),
    ("Clap", {"feature_size": 128}, {"model_type": "clap", "audio_config": {"num_mel_bins": 64}}),
    ("Speech2Text", {"num_mel_bins": 64}, {"model_type": "speech_to_text", "input_feat_per_channel": 80}),
    ("SeamlessM4T", {"num_mel_bins": 64}, {"model_type": "seamless_m4t", "feature_projection_input_dim": 160}),
    ("SeamlessM4T", {"stride": 1}, {"model_type": "wav2vec2-bert", "feature_projection_input_dim": 160}),
    ("GraniteSpeech", {"n_mels": 64}, {"model_type": "granite_speech", "encoder_config": {"input_dim": 160}}),
    ("Gemma3nAudio", {"feature_size": 80}, {"model_type": "gemma3n", "audio_config": {"input_feat_size": 128}}),
    ("Phi4Multimodal", {"feature_size": 64}, {"model_type": "phi4_multimodal", "audio_config": {"input_size": 80}}),
    ("Parakeet", {"feature_size": 128}, {"model_type": "parakeet_ctc", "encoder_config": {"num_mel_bins": 80}}),
    ("Encodec", {"feature_size": 2}, {"model_type": "encodec", "audio_channels": 1}),
    ("Whisper", {}, {"model_type": "qwen2_5_omni", "thinker_config": {"audio_config": {"num_mel_bins": 128}}}),
    ("Whisper", {"feature_size": 80}, {"model_type": "someones_own", "audio_encoder": {"n_mels": 128}}),
)


@pytest.mark.parametrize(("kind", "ears", "model"), _OTHERS)
def test_other_extractors_have_their_own_settings(kind: str, ears: dict[str, Any], model: dict[str, Any]) -> None:
    stated = {"feature_extractor_type": f"{kind}FeatureExtractor", "sampling_rate": 16000, "truncation": "rand_trunc"}

    (problem,) = fires(whisper_mel_and_length, _path(model, stated | ears), NOTHING)

    edit = {pointer[1:]: value for _, pointer, value in _edits(problem)}
    silent(whisper_mel_and_length, _path(model, stated | edit), NOTHING)


@pytest.mark.parametrize(
    ("wrong", "frames", "edit"),
    [
        ({"chunk_length": 20}, 2000, ("/chunk_length", 30)),
        ({"hop_length": 320}, 1500, ("/hop_length", 160)),
        ({"sampling_rate": 44100}, 8268, ("/sampling_rate", 16000)),
    ],
)
def test_fires_on_another_window(wrong: dict[str, int], frames: int, edit: tuple[str, int]) -> None:
    (problem,) = fires(whisper_mel_and_length, _path(WHISPER, EARS | WINDOW | wrong, SHAPES), NOTHING)

    assert f"windows of {frames} frames" in problem.message
    assert "takes 3000 only" in problem.message
    assert problem.because[0].at.pointer == edit[0]
    assert _edits(problem) == [("preprocessor_config.json", *edit)]


def test_a_shorter_window_is_right_if_both_sides_have_it() -> None:
    model = WHISPER | {"max_source_positions": 500}
    shapes = SHAPES | {"model.encoder.embed_positions.weight": (500, 64)}

    silent(whisper_mel_and_length, _path(model, EARS | {"chunk_length": 10}, shapes), NOTHING)


def test_values_that_the_class_computes_itself_do_not_matter() -> None:
    silent(whisper_mel_and_length, _path(WHISPER, EARS | {"n_samples": 160000, "nb_max_frames": 1000}), NOTHING)


def test_an_encoder_that_takes_any_length_has_no_window() -> None:
    omni = {"model_type": "qwen2_5_omni_thinker", "audio_config": {"num_mel_bins": 80, "max_source_positions": 1500}}

    silent(whisper_mel_and_length, _path(omni, EARS | {"chunk_length": 300}), NOTHING)


def test_fires_on_a_window_of_the_spectrogram_transformer() -> None:
    model = {"model_type": "audio-spectrogram-transformer", "num_mel_bins": 128, "max_length": 1024}
    ears = {"feature_extractor_type": "ASTFeatureExtractor", "num_mel_bins": 128, "max_length": 512}

    (problem,) = fires(whisper_mel_and_length, _path(model, ears), NOTHING)

    assert _edits(problem) == [("preprocessor_config.json", "/max_length", 1024)]
    silent(whisper_mel_and_length, _path(model, ears | {"max_length": 1024}), NOTHING)


@pytest.mark.parametrize(
    ("key", "value", "right"),
    [("num_mel_bins", 128, 80), ("max_source_positions", 1000, 1500), ("max_target_positions", 512, 448)],
)
def test_the_weights_are_right_and_config_json_is_not(key: str, value: int, right: int) -> None:
    (problem,) = fires(whisper_mel_and_length, _path(WHISPER | {key: value}, EARS | WINDOW, SHAPES), NOTHING)

    assert "the model does not load" in problem.message
    assert _edits(problem) == [("config.json", f"/{key}", right)]


@pytest.mark.parametrize(("multilingual", "most"), [(True, 445), (False, 447)])
def test_more_new_tokens_than_positions(multilingual: bool, most: int) -> None:
    sound = _path(WHISPER, EARS | WINDOW, SHAPES)
    generation = {"is_multilingual": multilingual, "max_length": 448}

    silent(whisper_mel_and_length, sound, _documents(generation_config=generation | {"max_new_tokens": most}))
    (problem,) = fires(
        whisper_mel_and_length, sound, _documents(generation_config=generation | {"max_new_tokens": most + 1})
    )

    assert "exceed the decoder's 448 positions" in problem.message
    assert _edits(problem) == [("generation_config.json", "/max_new_tokens", 444)]


@pytest.mark.parametrize("stated", [{}, {"truncation": "fusion"}])
def test_four_spectrograms_for_a_clap_that_reads_one(stated: dict[str, str]) -> None:
    model = {"model_type": "clap", "audio_config": {"num_mel_bins": 64, "enable_fusion": False}}
    ears = {"feature_extractor_type": "ClapFeatureExtractor", "feature_size": 64, "sampling_rate": 48000}

    (problem,) = fires(whisper_mel_and_length, _path(model, ears | stated), NOTHING)

    assert _edits(problem) == [("preprocessor_config.json", "/truncation", "rand_trunc")]
    silent(whisper_mel_and_length, _path(model, ears | {"truncation": "rand_trunc"}), NOTHING)
    fused = {"model_type": "clap", "audio_config": {"num_mel_bins": 64, "enable_fusion": True}}
    silent(whisper_mel_and_length, _path(fused, ears | {"truncation": "fusion"}), NOTHING)


@pytest.mark.parametrize("value", ["80", -1, 0, True, 1e30, [80], {"a": 1}, 10**30])
def test_a_setting_of_another_type_says_nothing(value: object) -> None:
    silent(whisper_mel_and_length, _path(WHISPER, EARS | {"feature_size": value, "chunk_length": value}), NOTHING)
    silent(whisper_mel_and_length, _path(WHISPER | {"num_mel_bins": value}, EARS), NOTHING)


def test_an_unknown_extractor_is_left_alone() -> None:
    ears = AudioProcessor(settings=Settings(document=JsonDocument(file="preprocessor_config.json", value={})))

    with pytest.raises(NotApplicable, match="is not known"):
        sound_path(multimodal_model(config({"model_type": "someones_own"})), ears)
