"""What transformers' feature extractors make of a sound: numbers of frames, without any samples.

The defaults are those of the classes in transformers 5.23 (models/*/feature_extraction_*.py); 4.57 has the same.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.image_tokens.values import Refused, UnknownValue, Values
from mmdoctor.facts.audio_tokens import Frames

MAX_WINDOWS = 4096
"""Windows of one sound; 34 hours at 30 seconds each."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """How a processor class calls its feature extractor."""

    padding: str = "max_length"
    """`max_length`: to `chunk_length`, cutting off what is longer. `longest`: neither padded nor cut. `windows`: cut
    into windows of `chunk_length`, up to `seconds`, each padded. `multiple`: padded to whole windows."""
    seconds: float | None = None
    """Most seconds that the processor takes."""


class ExtractorClass(msgspec.Struct, frozen=True):
    """A feature extractor class: its own values for absent keys, and the frames it makes."""

    defaults: Mapping[str, Any]
    frames: Callable[[Values, int, Call], Frames]


def _whisper(values: Values, samples: int, call: Call) -> Frames:
    """feature_extraction_whisper.py, __call__: the last frame of the centred transform is left out."""
    hop, rate = values.integer("hop_length"), values.integer("sampling_rate")
    window = int(values.number("chunk_length") * rate)
    bins, frames = values.integer("feature_size"), window // hop
    if not frames:
        raise UnknownValue(f"chunk_length is {window} samples, hop_length {hop}")
    if call.padding == "longest":
        if samples <= values.integer("n_fft") // 2:
            raise Refused(f"{samples} samples are too few for a transform of {values.integer('n_fft')}")
        return Frames(samples=samples, frames=samples // hop, valid=(samples // hop,), bins=bins, taken=samples)
    windows = _windows(call, samples, window, int(values.number("chunk_length")))
    taken = min(samples, windows * window)
    parts = (min(window, taken - i * window) for i in range(windows))
    valid = tuple(frames if call.padding == "multiple" else min(math.ceil(p / hop), frames) for p in parts)
    return Frames(samples=samples, frames=frames, valid=valid, bins=bins, taken=taken)


def _windows(call: Call, samples: int, window: int, seconds: int) -> int:
    if call.padding == "max_length":
        return 1
    windows = max(1, math.ceil(samples / window))
    if call.seconds is not None and windows > call.seconds // seconds:
        windows = int(call.seconds // seconds)
    if not 1 <= windows <= MAX_WINDOWS:
        raise UnknownValue(f"{windows} windows of {seconds} seconds")
    return windows


def _gemma(values: Values, samples: int, _: Call) -> Frames:
    """feature_extraction_gemma3n.py: at most 480,000 samples, padded to whole 128, in frames one sample too long."""
    rate = values.integer("sampling_rate")
    length, hop = (round(rate * values.number(key) / 1000) for key in ("frame_length_ms", "hop_length_ms"))
    taken = min(samples, 480_000)
    padded = math.ceil(taken / 128) * 128
    if not hop:
        raise UnknownValue("hop_length_ms is less than a sample")
    frames = max(0, (padded - (length + 1)) // hop + 1)
    valid = min(math.ceil(taken / hop), frames)
    return Frames(samples=samples, frames=frames, valid=(valid,), bins=values.integer("feature_size"), taken=taken)


def _phi(values: Values, samples: int, _: Call) -> Frames:
    """feature_extraction_phi4_multimodal.py, __call__ and _compute_audio_embed_size."""
    length, hop = values.integer("win_length"), values.integer("hop_length")
    frames = (samples - length) // hop + 1
    if frames < 1:
        raise Refused(f"{samples} samples are less than a frame of {length}")
    announced = math.ceil(frames * values.integer("audio_feat_stride") / values.integer("audio_compression_rate"))
    announced = math.ceil(announced / values.integer("audio_downsample_rate"))
    bins = values.integer("feature_size")
    return Frames(samples=samples, frames=frames, valid=(frames,), bins=bins, taken=samples, announced=announced)


def _granite(values: Values, samples: int, _: Call) -> Frames:
    """feature_extraction_granite_speech.py: two frames go into one, a last odd one is left out."""
    if samples <= values.integer("n_fft") // 2:
        raise Refused(f"{samples} samples are too few for a transform of {values.integer('n_fft')}")
    frames = (samples // values.integer("hop_length") + 1) // 2
    window = values.integer("projector_window_size")
    announced = math.ceil(frames / window) * (window // values.integer("projector_downsample_rate"))
    bins = 2 * values.integer("n_mels")
    return Frames(samples=samples, frames=frames, valid=(frames,), bins=bins, taken=samples, announced=announced)


def _waves(_: Values, samples: int, __: Call) -> Frames:
    return Frames(samples=samples, frames=samples, valid=(samples,), bins=1, taken=samples)


def _clap(values: Values, samples: int, _: Call) -> Frames:
    """feature_extraction_clap.py, _get_input_mel: always as long as `max_length_s`, repeated or cut to that."""
    window = int(values.number("max_length_s") * values.integer("sampling_rate"))
    frames = window // values.integer("hop_length") + 1
    bins = values.integer("feature_size")
    return Frames(samples=samples, frames=frames, valid=(frames,), bins=bins, taken=min(samples, window))


def _spectrogram(values: Values, samples: int, _: Call) -> Frames:
    """feature_extraction_audio_spectrogram_transformer.py: 25 ms every 10 ms, padded or cut to `max_length` frames."""
    rate, frames = values.integer("sampling_rate"), values.integer("max_length")
    made = (samples - rate // 40) // (rate // 100) + 1
    if made < 1:
        raise Refused(f"{samples} samples are less than a frame of {rate // 40}")
    taken = samples if made <= frames else rate // 40 + (frames - 1) * (rate // 100)
    bins = values.integer("num_mel_bins")
    return Frames(samples=samples, frames=frames, valid=(min(made, frames),), bins=bins, taken=taken)


_SECOND = 16_000

CLASSES: Mapping[str, ExtractorClass] = {
    "WhisperFeatureExtractor": ExtractorClass(
        {"feature_size": 80, "sampling_rate": _SECOND, "hop_length": 160, "chunk_length": 30, "n_fft": 400}, _whisper
    ),
    "Gemma3nAudioFeatureExtractor": ExtractorClass(
        {"feature_size": 128, "sampling_rate": _SECOND, "frame_length_ms": 32.0, "hop_length_ms": 10.0}, _gemma
    ),
    "Phi4MultimodalFeatureExtractor": ExtractorClass(
        {
            "feature_size": 80,
            "sampling_rate": _SECOND,
            "hop_length": 160,
            "win_length": 400,
            "audio_compression_rate": 8,
            "audio_downsample_rate": 1,
            "audio_feat_stride": 1,
        },
        _phi,
    ),
    "GraniteSpeechFeatureExtractor": ExtractorClass(
        {
            "sampling_rate": _SECOND,
            "n_fft": 512,
            "hop_length": 160,
            "n_mels": 80,
            "projector_window_size": 15,
            "projector_downsample_rate": 5,
        },
        _granite,
    ),
    "Wav2Vec2FeatureExtractor": ExtractorClass({"feature_size": 1, "sampling_rate": _SECOND}, _waves),
    "ClapFeatureExtractor": ExtractorClass(
        {"feature_size": 64, "sampling_rate": 48_000, "hop_length": 480, "max_length_s": 10}, _clap
    ),
    "ASTFeatureExtractor": ExtractorClass(
        {"num_mel_bins": 128, "sampling_rate": _SECOND, "max_length": 1024}, _spectrogram
    ),
}
"""By class name."""
