"""Tokens of a sound as the processor and as the model count them."""

import msgspec

from mmdoctor.facts.image_tokens import Side
from mmdoctor.location import Reading


class Frames(msgspec.Struct, frozen=True, kw_only=True):
    """What a feature extractor makes of one sound."""

    samples: int
    """Of the sound, at the extractor's sampling rate."""
    frames: int
    """Frames of each tensor, padding included; of raw waves, their samples."""
    valid: tuple[int, ...]
    """Frames of each tensor that are no padding, as the attention mask tells."""
    bins: int
    """Numbers in a frame: mel bins; 1 of raw waves."""
    taken: int
    """Samples that are used; fewer than `samples` where a long sound is cut off."""
    announced: int | None = None
    """Vectors that the extractor announces to processor and model (`audio_embed_sizes`)."""

    @property
    def windows(self) -> int:
        """Tensors for the one sound."""
        return len(self.valid)

    @property
    def text(self) -> str:
        """Such as `2 x 3000 frames`."""
        return f"{self.windows} x {self.frames} frames" if self.windows > 1 else f"{self.frames} frames"


class AudioTokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' counts for one sound."""

    seconds: float
    """Length of the sound."""
    frames: Frames
    placeholders: Side | None
    """Placeholders that the processor writes into the prompt; None where the text holds none, since the decoder attends
    to the sound by cross-attention or no text is involved."""
    features: Side
    """Vectors that the model makes of the sound."""

    @property
    def agree(self) -> bool:
        """Whether prompt and model fit; where the text holds no placeholders, whether the model takes the sound."""
        if self.placeholders is None:
            return self.features.count is not None
        return self.placeholders.count == self.features.count


class AudioTokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Both counts for a few sounds: short, usual, as long as a window, longer."""

    processor_class: str | None
    """The class that joins tokenizer and feature extractor, as stated or as the model type usually has it."""
    extractor_class: str
    sampling_rate: Reading[int]
    """Hertz; at the file where the class default holds."""
    counts: tuple[AudioTokenCount, ...]
    """One a sound, those left out that the feature extractor refuses by design."""
    longest: float | None = None
    """Seconds after which a sound is cut off; None where it is not."""

    def of(self, seconds: float) -> AudioTokenCount | None:
        """The counts for a sound of that length, if it is among them."""
        return next((c for c in self.counts if c.seconds == seconds), None)
