"""How sound gets into a model: what each feature extractor makes of it, and what the encoder behind it reads.

The classes' defaults and formulae: transformers 5.23 and 4.57, models/*/feature_extraction_*.py; what the encoders
read: models/*/modeling_*.py of the types named below.
"""

from collections.abc import Iterator, Mapping

import msgspec

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.documents import JsonDocument, escape
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Parts
from mmdoctor.facts.sound import Bins, SoundPath, Window
from mmdoctor.facts.tokenizer import AudioProcessor, Settings

LARGEST = 2**31
"""Larger values of a setting are taken as nonsense."""


class _Extractor(msgspec.Struct, frozen=True):
    """A feature extractor's class."""

    bins: tuple[str, int] | None = None
    """Setting of the numbers in a frame, and its default."""
    keys: tuple[str, ...] = ()
    """Keys of config.json for what the encoder reads a frame."""
    stacked: tuple[str, int] = ("", 1)
    """Setting of the frames that are stacked into one (empty: fixed), and its default."""
    rate: int = 16000
    window: str = ""
    """How the fixed window is counted: `seconds`, `frames`; empty where there is none."""


_WHISPER = _Extractor(("feature_size", 80), ("num_mel_bins", "n_mels"), window="seconds")
_EXTRACTORS: Mapping[str, _Extractor] = {
    "WhisperFeatureExtractor": _WHISPER,
    "MossTranscribeDiarizeFeatureExtractor": _WHISPER,
    "Qwen3ASRFeatureExtractor": _Extractor(("feature_size", 128), ("num_mel_bins",)),
    "VoxtralRealtimeFeatureExtractor": _Extractor(("feature_size", 128), ("num_mel_bins",)),
    "ParakeetFeatureExtractor": _Extractor(("feature_size", 80), ("num_mel_bins",)),
    "NemotronAsrStreamingFeatureExtractor": _Extractor(("feature_size", 80), ("num_mel_bins",)),
    "LasrFeatureExtractor": _Extractor(("feature_size", 128), ("num_mel_bins",)),
    "CohereAsrFeatureExtractor": _Extractor(("feature_size", 128), ("num_mel_bins",)),
    "Gemma3nAudioFeatureExtractor": _Extractor(("feature_size", 128), ("input_feat_size",)),
    "Phi4MultimodalFeatureExtractor": _Extractor(("feature_size", 80), ("input_size",)),
    "GraniteSpeechFeatureExtractor": _Extractor(("n_mels", 80), ("input_dim", "num_mel_bins"), ("", 2)),
    "GraniteSpeech5FeatureExtractor": _Extractor(("num_mel_bins", 80), ("num_mel_bins",)),
    "SeamlessM4TFeatureExtractor": _Extractor(("num_mel_bins", 80), ("feature_projection_input_dim",), ("stride", 2)),
    "Speech2TextFeatureExtractor": _Extractor(("num_mel_bins", 80), ("input_feat_per_channel",)),
    "ASTFeatureExtractor": _Extractor(("num_mel_bins", 128), ("num_mel_bins",), window="frames"),
    "ClapFeatureExtractor": _Extractor(("feature_size", 64), ("num_mel_bins",), rate=48000),
    "EncodecFeatureExtractor": _Extractor(("feature_size", 1), ("audio_channels",), rate=24000),
    "Wav2Vec2FeatureExtractor": _Extractor(),
}

_USUAL: Mapping[str, str] = {
    **dict.fromkeys(
        ("qwen2_5_omni", "qwen2_5_omni_thinker", "qwen3_omni_moe", "qwen3_omni_moe_thinker"), "WhisperFeatureExtractor"
    ),
    **dict.fromkeys(
        ("whisper", "qwen2_audio", "voxtral", "audioflamingo3", "musicflamingo", "glmasr"), "WhisperFeatureExtractor"
    ),
    "audio-spectrogram-transformer": "ASTFeatureExtractor",
    "clap": "ClapFeatureExtractor",
    "speech_to_text": "Speech2TextFeatureExtractor",
    "seamless_m4t": "SeamlessM4TFeatureExtractor",
    "seamless_m4t_v2": "SeamlessM4TFeatureExtractor",
    "granite_speech": "GraniteSpeechFeatureExtractor",
    "gemma3n": "Gemma3nAudioFeatureExtractor",
    "phi4_multimodal": "Phi4MultimodalFeatureExtractor",
    "encodec": "EncodecFeatureExtractor",
}
"""Class by model type, where the settings do not name it (FEATURE_EXTRACTOR_MAPPING_NAMES)."""

_ONE_RATE = frozenset(
    {"WhisperFeatureExtractor", "ClapFeatureExtractor", "ASTFeatureExtractor", "SeamlessM4TFeatureExtractor"}
    | {"Speech2TextFeatureExtractor", "Gemma3nAudioFeatureExtractor", "ParakeetFeatureExtractor"}
    | {"wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "unispeech", "unispeech-sat", "sew", "moonshine"}
)
"""Classes, and model types with classes that others use at other rates, whose published models have the same rate."""

_FIXED = frozenset(
    {"whisper", "qwen2_audio", "qwen2_audio_encoder", "voxtral", "voxtral_encoder", "audioflamingo3"}
    | {"audioflamingo3_encoder", "musicflamingo", "moss_transcribe_diarize", "moss_transcribe_diarize_audio"}
)
"""Types whose encoder takes `max_source_positions x 2` frames and nothing else (`expected_seq_length`, or an addition
of the whole position table)."""
_STRIDE = 2
"""Frames an encoder position: strides 1 and 2 of the two convolutions."""

_STEMS: tuple[tuple[str, int], ...] = (
    (".conv1.weight", 3),
    (".conv.conv_layers.0.weight", 3),
    ("encoder.input_linear.weight", 2),
    ("feature_projection.projection.weight", 2),
    ("audio_encoder.batch_norm.weight", 1),
)
"""End of the name and number of dimensions of a first layer; the second, or the only
one, is the numbers in a frame."""
_PLAIN_KEYS = frozenset(
    {"num_mel_bins", "n_mels", "input_feat_per_channel", "feature_projection_input_dim", "input_dim"}
)


def sound_path(model: MultimodalModel, audio: AudioProcessor, parts: Parts | None = None) -> SoundPath:
    """Both sides of a model that hears.

    Raises:
        NotApplicable: the feature extractor is of a class that is not known.
    """
    usual = _USUAL.get(model.config.model_type or "", "")
    extractor = audio.type.value if audio.type is not None else usual
    known = _EXTRACTORS.get(extractor)
    if known is None:
        raise NotApplicable(f"what {extractor or 'the feature extractor'} makes of a sound is not known")
    document = model.config.document
    copies = (audio.settings, *audio.others)
    channels = _channels(model, known)
    stem = _stem(parts, channels)
    positions, window, stride = _positions(model, extractor)
    prefix = stem.name.removesuffix("conv1.weight") if stem is not None and stem.name.endswith("conv1.weight") else None
    target = _whole(document, "/max_target_positions") if model.config.model_type == "whisper" else None
    return SoundPath(
        extractor=extractor,
        settings=copies,
        rate=_setting(audio.settings, "sampling_rate", known.rate, extractor),
        usual_rate=known.rate if extractor in _ONE_RATE or model.config.model_type in _ONE_RATE else None,
        bins=tuple(filter(None, (_bins(copy, known, extractor) for copy in copies))) if channels is not None else (),
        channels=channels,
        stem=stem,
        stem_channels=stem.shape[min(1, len(stem.shape) - 1)] if stem is not None else 0,
        windows=tuple(filter(None, (_window(copy, known, extractor) for copy in copies))) if window else (),
        window=window,
        positions=positions,
        stride=stride,
        table=_named(parts, f"{prefix}embed_positions.weight") if prefix is not None else None,
        target_positions=target,
        target_table=_named(parts, "decoder.embed_positions.weight") if target is not None else None,
        views=_views(model, audio.settings) if extractor == "ClapFeatureExtractor" else None,
    )


def _views(model: MultimodalModel, settings: Settings) -> tuple[Used, Used] | None:
    """CLAP: four spectrograms of a sound for a model that reads one (defaults: `fusion` and False)."""
    pointer = "/audio_config/enable_fusion"
    fusion, truncation = model.config.document.get(pointer), settings.get("truncation")
    if fusion not in (None, False) or truncation not in (None, "fusion") or model.config.model_type != "clap":
        return None
    at = model.config.document.at(pointer if fusion is False else "/audio_config")
    default = None if truncation else "ClapFeatureExtractor"
    where = settings.at("truncation" if truncation else "")
    return (
        Used("truncation", "fusion", where, default_of=default),
        Used("audio_config.enable_fusion", False, at, default_of=None if fusion is False else "ClapAudioConfig"),
    )


def _setting(settings: Settings, key: str, default: int, owner: str) -> Used | None:
    """A setting of the extractor, or its class's default; None where it is no whole number above zero."""
    value = settings.get(key)
    if value is None and key not in settings:
        return Used(key, default, settings.at(), default_of=owner)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST:
        return Used(key, value, settings.at(key))
    return None


def _bins(settings: Settings, known: _Extractor, owner: str) -> Bins | None:
    if known.bins is None:
        return None
    key, times = known.stacked
    stated = _setting(settings, *known.bins, owner)
    stacked = _setting(settings, key, times, owner) if key else Used("", times)
    if stated is None or stacked is None:
        return None
    count, by = int(stated.value or 0), int(stacked.value or 0)
    return Bins(count=count * by, stated=stated, stacked=by, stacking=key, usually_stacked=times, settings=settings)


def _window(settings: Settings, known: _Extractor, owner: str) -> Window | None:
    if known.window == "frames":
        longest = _setting(settings, "max_length", 1024, owner)
        if longest is None:
            return None
        frames = int(longest.value or 0)
        return Window(frames=frames, arithmetic=f"max_length {frames}", used=(longest,), settings=settings)
    if known.window != "seconds":
        return None
    names = (("chunk_length", 30), ("sampling_rate", known.rate), ("hop_length", 160))
    used = tuple(_setting(settings, key, default, owner) for key, default in names)
    found = tuple(each for each in used if each is not None)
    if len(found) != len(names):
        return None
    seconds, rate, hop = (int(each.value or 0) for each in found)
    return Window(
        frames=seconds * rate // hop, arithmetic=f"{seconds} s x {rate} Hz / {hop}", used=found, settings=settings
    )


def _channels(model: MultimodalModel, known: _Extractor) -> Used | None:
    """Numbers in a frame that the encoder reads, as config.json states it, or by its class's default."""
    document = model.config.document
    for pointer in _sections(model):
        for key in known.keys:
            if document.get(f"{pointer}/{key}") is not None:
                return _whole(document, f"{pointer}/{key}")
    default = model.audio.num_mel_bins if model.audio is not None else None
    if default is not None and model.audio is not None and "num_mel_bins" in known.keys:
        owner = model.audio.model_type or model.config.model_type or "the class"
        return Used("num_mel_bins", default.value, default.at, default_of=owner)
    return None


def _whole(document: JsonDocument, pointer: str) -> Used | None:
    found = document.read(pointer, int)
    if found is None or not 0 < found.value < LARGEST:
        return None
    return Used(pointer[1:].replace("/", "."), found.value, found.at)


def _sections(model: MultimodalModel) -> Iterator[str]:
    """Where an audio encoder's settings can stand: its section, the top level, sections with telling names."""
    document = model.config.document
    seen = {""}
    if model.audio is not None:
        seen.add(model.audio.section)
        yield model.audio.section
    yield ""
    level = [""]
    for _ in range(3):
        below = []
        for pointer in level:
            section = document.get(pointer) if pointer else document.value
            for key, value in section.items() if isinstance(section, dict) else ():
                if isinstance(value, dict) and any(word in key for word in _TELLING):
                    below.append(f"{pointer}/{escape(key)}")
        yield from (pointer for pointer in below if pointer not in seen)
        level = below[:64]


_TELLING = ("audio", "encoder", "speech", "sound", "thinker", "codec", "whisper")


def _positions(model: MultimodalModel, extractor: str) -> tuple[Used | None, int, int]:
    """Encoder positions, the frames that they make, and frames a position; zero where any number of frames is taken."""
    document = model.config.document
    if extractor == "ASTFeatureExtractor":
        stated = _whole(document, "/max_length")
        if stated is None or model.config.model_type != "audio-spectrogram-transformer":
            return None, 0, 1
        return stated, int(stated.value or 0), 1
    audio = model.audio
    types = {model.config.model_type, audio.model_type if audio is not None else None}
    if audio is None or audio.max_source_positions is None or not types & _FIXED:
        return None, 0, 1
    found = audio.max_source_positions
    key = f"{audio.section[1:]}.max_source_positions".lstrip(".").replace("/", ".")
    owner = (audio.model_type or "the class") if "max_source_positions" in audio.by_default else None
    return Used(key, found.value, found.at, default_of=owner), found.value * _STRIDE, _STRIDE


def _stem(parts: Parts | None, channels: Used | None) -> Tensor | None:
    """The first layer of the encoder, where its shape tells the numbers in a frame."""
    key = channels.what.rpartition(".")[2] if channels is not None else ""
    if parts is None or (key not in _PLAIN_KEYS):
        return None
    for part in parts.parts:
        for tensor in part.tensors:
            for suffix, dimensions in _STEMS:
                if not f".{tensor.name}".endswith(suffix) or len(tensor.shape) != dimensions or not tensor.is_float:
                    continue
                if dimensions == 3 and tensor.shape[2] not in (3, 5):
                    continue
                return tensor
    return None


def _named(parts: Parts | None, name: str) -> Tensor | None:
    """The table of that name, or of a longer one that ends so."""
    for part in parts.parts if parts is not None else ():
        for tensor in part.tensors:
            if f".{tensor.name}".endswith(f".{name}") and len(tensor.shape) == 2:
                return tensor
    return None
