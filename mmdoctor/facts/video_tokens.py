"""Tokens of a video as the processor and as the model count them."""

import msgspec

from mmdoctor.facts.image_tokens import Pixels, Side


class VideoTokenCount(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' counts for one video."""

    frames: int
    """That are taken of the video; the ones before sampling do not matter."""
    width: int
    """Of the video, in pixels."""
    height: int
    pixels: Pixels
    """Of one frame."""
    steps: int
    """Frames after those are put together that make up one patch (`temporal_patch_size`)."""
    placeholders: Side
    features: Side

    @property
    def agree(self) -> bool:
        """Whether prompt and model fit."""
        return self.placeholders.count == self.features.count


class VideoTokenCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Both counts for a few videos."""

    processor_class: str
    video_processor_class: str
    counts: tuple[VideoTokenCount, ...]
    """One a video, those left out that the video processor refuses by design."""

    def of(self, frames: int, width: int, height: int) -> VideoTokenCount | None:
        """The counts for a video of that size, if it is among them."""
        wanted = (frames, width, height)
        return next((c for c in self.counts if (c.frames, c.width, c.height) == wanted), None)
