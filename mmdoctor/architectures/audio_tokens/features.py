"""How many vectors transformers' models make of one sound.

`get_audio_features` and the encoders of models/*/modeling_*.py in transformers 5.23; defaults are those of the
configuration classes (configuration_*.py).
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.audio_tokens.placeholders import chunked, merged, pooled
from mmdoctor.architectures.image_tokens.values import MAX_LISTED, Refused, UnknownValue, Values
from mmdoctor.facts.audio_tokens import Frames

Counted = tuple[int, str]
"""(count, arithmetic)."""


class ModelClass(msgspec.Struct, frozen=True):
    """A model class: values for absent keys at its top level and in its audio section, and what it makes of a sound."""

    count: Callable[[Values, Values, Frames], Counted]
    """From the top level, the audio section, and what the feature extractor made."""
    top: Mapping[str, Any] = {}
    tower: Mapping[str, Any] = {}


def _bins(tower: Values, frames: Frames) -> None:
    bins = tower.integer("num_mel_bins")
    if frames.bins != bins:
        raise Refused(f"the encoder takes {bins} mel bins, and gets {frames.bins}")


def _whole_window(tower: Values, frames: Frames) -> int:
    """Encoder positions of a window; Whisper's encoder takes no other length than its table has."""
    _bins(tower, frames)
    positions = tower.integer("max_source_positions")
    if frames.frames != 2 * positions:
        raise Refused(f"the encoder takes {2 * positions} frames only, and gets {frames.frames}")
    return positions


def _whisper(_: Values, tower: Values, frames: Frames) -> Counted:
    positions = _whole_window(tower, frames)
    return positions, f"{frames.frames} frames / 2; the decoder attends to all of them"


def _pooled_window(_: Values, tower: Values, frames: Frames) -> Counted:
    _whole_window(tower, frames)
    count = sum(pooled(v) for v in frames.valid)
    return count, f"((({sum(frames.valid)} - 1) // 2 + 1) - 2) // 2 + 1"


def _timed_window(top: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_musicflamingo.py, _build_audio_timestamps: reads the places of the placeholders."""
    count, text = _pooled_window(top, tower, frames)
    if not all(pooled(v) for v in frames.valid):
        raise Refused("the model looks for the placeholders of each window, and one is too short for any")
    return count, text


def _pooled_chunks(_: Values, tower: Values, frames: Frames) -> Counted:
    _bins(tower, frames)
    valid = sum(frames.valid)
    chunk = 2 * tower.integer("n_window")
    if chunk > 2 * tower.integer("max_source_positions"):
        raise Refused(f"chunks of {chunk} frames are longer than max_source_positions")
    if chunk % 4 and valid > chunk:
        raise UnknownValue(f"n_window {chunk // 2} is odd")
    return pooled(valid), f"((({valid} - 1) // 2 + 1) - 2) // 2 + 1"


def _chunked(_: Values, tower: Values, frames: Frames) -> Counted:
    _bins(tower, frames)
    valid, chunk = sum(frames.valid), 2 * tower.integer("n_window")
    if chunk != 100:
        raise UnknownValue(f"n_window is {chunk // 2}, and the count of a whole chunk is known for 50 only")
    return chunked(valid, chunk), f"13 for each {chunk} of {valid} frames, and an eighth of the rest"


def _merged(_: Values, tower: Values, frames: Frames) -> Counted:
    _bins(tower, frames)
    return sum(merged(v) for v in frames.valid), f"((({sum(frames.valid)} - 1) // 2 + 1) - 4) // 4 + 1"


def _stacked(_: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_voxtral.py, get_audio_features: all positions, reshaped to the width of the projector."""
    total = _whole_window(tower, frames) * frames.windows * tower.integer("d_model")
    width = tower.integer("encoder_ffn_dim")
    if total % width:
        raise Refused(f"{total} numbers cannot be laid out in vectors of {width}")
    return total // width, f"{frames.windows} x {frames.frames // 2} positions x {tower.integer('d_model')} / {width}"


def _queries(top: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_granite_speech.py, GraniteSpeechEncoderProjector, then the mask that the extractor made."""
    if frames.bins != tower.integer("input_dim"):
        raise Refused(f"the encoder takes {tower.integer('input_dim')} numbers a frame, and gets {frames.bins}")
    window, rate = top.integer("window_size"), top.integer("downsample_rate")
    count = math.ceil(frames.frames / window) * (window // rate)
    if count != frames.announced:
        raise Refused(f"the projector makes {count} vectors, the mask has {frames.announced}")
    return count, f"ceil({frames.frames} / {window}) x ({window} // {rate})"


def _gemma(top: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_gemma3n.py: Gemma3nAudioEncoder, then padding to a fixed number in Gemma3nModel.forward."""
    if frames.bins != tower.integer("input_feat_size"):
        raise Refused(f"the encoder takes {tower.integer('input_feat_size')} mel bins, and gets {frames.bins}")
    if not frames.frames:
        raise Refused(f"{frames.samples} samples are less than a frame")
    strides = tower.get("sscp_conv_stride_size")
    steps = [p[0] for p in strides if isinstance(p, list) and p] if isinstance(strides, list) else []
    if len(steps) < 2 or not all(type(s) is int and s > 0 for s in steps):
        raise UnknownValue("sscp_conv_stride_size is not two pairs of numbers")
    made = math.ceil(math.ceil(frames.frames / steps[0]) / steps[1])
    made = math.ceil(made / tower.integer("conf_reduction_factor"))
    count = top.integer("audio_soft_tokens_per_image")
    if made > count:
        raise Refused(f"the encoder makes {made} vectors, more than the {count} of audio_soft_tokens_per_image")
    return count, f"{made} vectors, padded to audio_soft_tokens_per_image {count}"


def _phi(_: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_phi4_multimodal.py: the strided convolutions, then the first `audio_embed_sizes` of their vectors."""
    if frames.bins != tower.integer("input_size"):
        raise Refused(f"the encoder takes {tower.integer('input_size')} mel bins, and gets {frames.bins}")
    made, factor = frames.frames, tower.integer("time_reduction")
    for _step in range(int(math.log2(factor))):
        made = math.ceil(made / 2)
    count = made if frames.announced is None else min(made, frames.announced)
    return count, f"ceil({frames.frames} / {factor})"


def _convolved(_: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_wav2vec2.py, _get_feat_extract_output_lengths; the adapter's convolutions are padded by one."""
    steps = list(zip(tower.numbers("conv_kernel"), tower.numbers("conv_stride"), strict=False))
    count = frames.frames
    for kernel, stride in steps:
        if not kernel or not stride:
            raise UnknownValue("a convolution has no width")
        if count < kernel:
            raise Refused(f"{frames.frames} samples are too few for the convolutions")
        count = (count - kernel) // stride + 1
    if tower.flag("add_adapter"):
        kernel, stride = tower.integer("adapter_kernel_size"), tower.integer("adapter_stride")
        for _step in range(min(tower.integer("num_adapter_layers"), MAX_LISTED)):
            count = (count + 2 - kernel) // stride + 1
    if count < 1:
        raise Refused(f"{frames.frames} samples are too few for the convolutions")
    return count, f"{frames.frames} samples through {len(steps)} convolutions"


def _moonshine(_: Values, __: Values, frames: Frames) -> Counted:
    """modeling_moonshine.py, MoonshineEncoder: the three convolutions are constants of the class."""
    count = frames.frames
    for kernel, stride in ((127, 64), (7, 3), (3, 2)):
        if count < kernel:
            raise Refused(f"{frames.frames} samples are too few for the convolutions")
        count = (count - kernel) // stride + 1
    return count, f"{frames.frames} samples through 3 convolutions"


def _patches(_: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_audio_spectrogram_transformer.py, ASTEmbeddings: patches that overlap, a class and a second token."""
    bins, length, patch = (tower.integer(key) for key in ("num_mel_bins", "max_length", "patch_size"))
    if (frames.bins, frames.frames) != (bins, length):
        raise Refused(f"the encoder takes {length} frames of {bins}, and gets {frames.frames} of {frames.bins}")
    rows = (bins - patch) // tower.integer("frequency_stride") + 1
    columns = (length - patch) // tower.integer("time_stride") + 1
    return rows * columns + 2, f"{rows} x {columns} patches + 2"


def _swin(_: Values, tower: Values, frames: Frames) -> Counted:
    """modeling_clap.py, ClapAudioEncoder: the spectrogram is folded to a square image."""
    size, bins = tower.integer("spec_size"), tower.integer("num_mel_bins")
    ratio = size // bins
    if not ratio or frames.bins > size // ratio or frames.frames > size * ratio:
        raise Refused(f"{frames.frames} frames of {frames.bins} do not fit into {size} x {size}")
    stages = len(tower.numbers("depths"))
    strides = tower.numbers("patch_stride")
    if not all(strides):
        raise UnknownValue("patch_stride is nothing")
    rows, columns = size // 2 ** (stages - 1) // strides[0], size // 2 ** (stages - 1) // strides[-1]
    if not rows or not columns:
        raise Refused("the stages leave nothing of the spectrogram")
    return rows * columns, f"{size} px / 2^{stages - 1} / {strides[0]}, squared; one embedding for the sound"


_WHISPER_TOWER = {"num_mel_bins": 128, "max_source_positions": 1500}
_WAVE_TOWER = {
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "add_adapter": False,
    "num_adapter_layers": 3,
    "adapter_kernel_size": 3,
    "adapter_stride": 2,
}
_OMNI = ModelClass(_pooled_chunks, tower={**_WHISPER_TOWER, "n_window": 100})
_OMNI_3 = ModelClass(_chunked, tower={**_WHISPER_TOWER, "n_window": 50})
_GRANITE = ModelClass(_queries, top={"window_size": 15, "downsample_rate": 5}, tower={"input_dim": 160})

CLASSES: Mapping[str, ModelClass] = {
    "whisper": ModelClass(_whisper, tower={"num_mel_bins": 80, "max_source_positions": 1500}),
    "qwen2_audio": ModelClass(_pooled_window, tower=_WHISPER_TOWER),
    "qwen2_5_omni": _OMNI,
    "qwen2_5_omni_thinker": _OMNI,
    "qwen3_omni_moe": _OMNI_3,
    "qwen3_omni_moe_thinker": _OMNI_3,
    "audioflamingo3": ModelClass(_pooled_window, tower=_WHISPER_TOWER),
    "musicflamingo": ModelClass(_timed_window, tower=_WHISPER_TOWER),
    "glmasr": ModelClass(_merged, tower=_WHISPER_TOWER),
    "voxtral": ModelClass(_stacked, tower={**_WHISPER_TOWER, "d_model": 1280, "encoder_ffn_dim": 5120}),
    "granite_speech": _GRANITE,
    "granite_speech_plus": _GRANITE,
    "gemma3n": ModelClass(
        _gemma,
        top={"audio_soft_tokens_per_image": 188},
        tower={"input_feat_size": 128, "conf_reduction_factor": 4, "sscp_conv_stride_size": [[2, 2], [2, 2]]},
    ),
    "phi4_multimodal": ModelClass(_phi, tower={"input_size": 80, "time_reduction": 8}),
    "clap": ModelClass(
        _swin, tower={"spec_size": 256, "num_mel_bins": 64, "depths": [2, 2, 6, 2], "patch_stride": [4, 4]}
    ),
    "audio-spectrogram-transformer": ModelClass(
        _patches,
        tower={"num_mel_bins": 128, "max_length": 1024, "patch_size": 16, "frequency_stride": 10, "time_stride": 10},
    ),
    "moonshine": ModelClass(_moonshine),
    **dict.fromkeys(
        ("wav2vec2", "wav2vec2-conformer", "hubert", "wavlm", "unispeech", "unispeech-sat", "data2vec-audio"),
        ModelClass(_convolved, tower=_WAVE_TOWER),
    ),
}
"""By `model_type`."""
