"""Speech models: Whisper, wav2vec 2.0 and their relatives, and language models that hear."""

from mmdoctor.architectures.family import Family, audio, text

_ENCODER = {"num_hidden_layers": ("encoder_layers",), "num_attention_heads": ("encoder_attention_heads",)}
_DECODER = {
    "num_hidden_layers": ("decoder_layers",),
    "num_attention_heads": ("decoder_attention_heads",),
    "intermediate_size": ("decoder_ffn_dim",),
    "max_position_embeddings": ("max_target_positions",),
    "encoder_layers": (),
}

FAMILIES = (
    Family(
        name="whisper",
        model_types=("whisper",),
        classes=("WhisperForConditionalGeneration",),
        text=text("", spelling=_DECODER),
        audio=audio("", spelling=_ENCODER),
    ),
    Family(
        name="speech_to_text",
        model_types=("speech_to_text", "moonshine"),
        text=text("", spelling=_DECODER | {"num_hidden_layers": ("decoder_layers", "decoder_num_hidden_layers")}),
        audio=audio("", spelling=_ENCODER),
    ),
    Family(
        name="wav2vec2",
        model_types=(
            (
                "wav2vec2",
                "hubert",
                "wavlm",
                "wav2vec2-bert",
                "wav2vec2-conformer",
                "unispeech",
                "unispeech-sat",
                "sew",
                "data2vec-audio",
            )
        ),
        audio=audio("", num_mel_bins=(), max_source_positions=()),
    ),
    Family(
        name="audio-spectrogram-transformer",
        model_types=("audio-spectrogram-transformer",),
        audio=audio("", max_source_positions=()),
    ),
    Family(
        name="speech-llm",
        model_types=("voxtral", "audioflamingo3", "musicflamingo", "glmasr", "qwen3_asr", "ultravox"),
        text=text("/text_config"),
        audio=audio("/audio_config"),
    ),
    Family(
        name="granite_speech",
        model_types=("granite_speech", "granite_speech_plus"),
        text=text("/text_config"),
        audio=audio("/encoder_config", hidden_size=("hidden_dim",)),
    ),
    Family(
        name="speech-encoder-decoder",
        model_types=("speech-encoder-decoder",),
        text=text("/decoder"),
        audio=audio("/encoder"),
    ),
)
