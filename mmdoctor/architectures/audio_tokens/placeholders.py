"""How many placeholders transformers' processor classes write into the prompt for one sound.

`_process_audio` and `replace_audio_token` of models/*/processing_*.py in transformers 5.23; 4.57 computes the same in
`__call__`. Only the id that the model scatters features to is counted, no delimiters.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mmdoctor.architectures.audio_tokens.frames import Call
from mmdoctor.architectures.image_tokens.values import Refused, Values
from mmdoctor.facts.audio_tokens import Frames

Counted = tuple[int, str]
"""(count, arithmetic)."""

_CHUNK = 100
"""Frames of a chunk of Qwen3-Omni (`n_window` 50, a constant of its processor class)."""


def pooled(frames: int) -> int:
    """Vectors after a convolution and a pooling by two each (Whisper's encoder with a pooler)."""
    return ((frames - 1) // 2 + 1 - 2) // 2 + 1


def chunked(frames: int, chunk: int) -> int:
    """Vectors after three convolutions by two, chunk by chunk of frames (Qwen3-Omni).

    A whole chunk counts 13, whatever its size: processing_qwen3_omni_moe.py, _get_feat_extract_output_lengths.
    """
    rest = (frames % chunk - 1) // 2 + 1
    return ((rest - 1) // 2 + 1 - 1) // 2 + 1 + frames // chunk * 13


def merged(frames: int) -> int:
    """Vectors after a convolution by two and stacking by four (processing_glmasr.py, _get_audio_token_length)."""
    return ((frames - 1) // 2 + 1 - 4) // 4 + 1


class ProcessorClass(msgspec.Struct, frozen=True):
    """A processor class."""

    defaults: Mapping[str, Any]
    count: Callable[[Values, Frames], Counted]
    """From its own settings, and what the feature extractor made."""
    call: Callable[[Values], Call] = lambda _: Call()
    """How it calls the feature extractor."""


def _pooled(_: Values, frames: Frames) -> Counted:
    valid = sum(frames.valid)
    return pooled(valid), f"((({valid} - 1) // 2 + 1) - 2) // 2 + 1"


def _chunked(_: Values, frames: Frames) -> Counted:
    valid = sum(frames.valid)
    return chunked(valid, _CHUNK), f"13 for each {_CHUNK} of {valid} frames, and an eighth of the rest"


def _merged(_: Values, frames: Frames) -> Counted:
    valid = sum(frames.valid)
    return merged(valid), f"((({valid} - 1) // 2 + 1) - 4) // 4 + 1"


def _fixed(values: Values, _: Frames) -> Counted:
    count = values.integer("audio_seq_length")
    return count, f"audio_seq_length {count}"


def _announced(values: Values, frames: Frames) -> Counted:
    if frames.announced is None:
        raise Refused(f"the feature extractor makes no audio_embed_sizes: KeyError in {values.owner}")
    return frames.announced, f"audio_embed_sizes {frames.announced}"


def _eighth(_: Values, frames: Frames) -> Counted:
    # mistral_common, tokens/tokenizers/audio.py: 12.5 tokens a second of the sound padded to whole windows.
    count = math.ceil(frames.windows * frames.frames / 8)
    return count, f"{frames.windows} x {frames.frames} frames / 8"


def _in_windows(values: Values) -> Call:
    return Call(padding="windows", seconds=values.number("max_audio_len"))


CLASSES: Mapping[str, ProcessorClass] = {
    "Qwen2AudioProcessor": ProcessorClass({}, _pooled),
    "Qwen2_5OmniProcessor": ProcessorClass({}, _pooled),
    "Qwen3OmniMoeProcessor": ProcessorClass({}, _chunked, lambda _: Call(padding="longest")),
    "AudioFlamingo3Processor": ProcessorClass({"max_audio_len": 600}, _pooled, _in_windows),
    "MusicFlamingoProcessor": ProcessorClass({"max_audio_len": 1200}, _pooled, _in_windows),
    "GlmAsrProcessor": ProcessorClass({"max_audio_len": 655}, _merged, _in_windows),
    "VoxtralProcessor": ProcessorClass({}, _eighth, lambda _: Call(padding="multiple")),
    "GraniteSpeechProcessor": ProcessorClass({}, _announced),
    "Gemma3nProcessor": ProcessorClass({"audio_seq_length": 188}, _fixed),
    "Phi4MultimodalProcessor": ProcessorClass({}, _announced),
}
"""By class name."""
