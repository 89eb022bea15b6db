"""Which processor and feature extractor a model type goes with when its files do not name one.

transformers 5.23, models/auto/processing_auto.py and feature_extraction_auto.py.
"""

from collections.abc import Mapping

_WHISPER, _WAVES = "WhisperFeatureExtractor", "Wav2Vec2FeatureExtractor"

USUAL: Mapping[str, tuple[str | None, str]] = {
    "whisper": (None, _WHISPER),
    "qwen2_audio": ("Qwen2AudioProcessor", _WHISPER),
    "qwen2_5_omni": ("Qwen2_5OmniProcessor", _WHISPER),
    "qwen2_5_omni_thinker": ("Qwen2_5OmniProcessor", _WHISPER),
    "qwen3_omni_moe": ("Qwen3OmniMoeProcessor", _WHISPER),
    "qwen3_omni_moe_thinker": ("Qwen3OmniMoeProcessor", _WHISPER),
    "audioflamingo3": ("AudioFlamingo3Processor", _WHISPER),
    "musicflamingo": ("MusicFlamingoProcessor", _WHISPER),
    "glmasr": ("GlmAsrProcessor", _WHISPER),
    "voxtral": ("VoxtralProcessor", _WHISPER),
    "granite_speech": ("GraniteSpeechProcessor", "GraniteSpeechFeatureExtractor"),
    "granite_speech_plus": ("GraniteSpeechProcessor", "GraniteSpeechFeatureExtractor"),
    "gemma3n": ("Gemma3nProcessor", "Gemma3nAudioFeatureExtractor"),
    "phi4_multimodal": ("Phi4MultimodalProcessor", "Phi4MultimodalFeatureExtractor"),
    "clap": (None, "ClapFeatureExtractor"),
    "audio-spectrogram-transformer": (None, "ASTFeatureExtractor"),
    "moonshine": (None, _WAVES),
    **dict.fromkeys(
        ("wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"),
        (None, _WAVES),
    ),
}
"""`model_type` to (processor class, feature extractor class); no processor class where the text has no placeholders."""
