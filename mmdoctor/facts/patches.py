"""Images and videos cut into patches by their processor, beside the patches that the vision tower takes."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.tokenizer import Settings


class VideoProcessor(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the video processor, from the copy that transformers 5 takes."""

    settings: Settings
    type: str | None = None
    """`video_processor_type` as stated."""
    others: tuple[Settings, ...] = ()
    """Other copies that this loader passes over and another version would take; see `ImageProcessor.others`."""
    borrowed: bool = False
    """The settings are the image processor's: there are none for videos, and the library reads those instead."""


class Areas(msgspec.Struct, frozen=True, kw_only=True):
    """How a class reads `size`: `shortest_edge` and `longest_edge` are numbers of pixels, not edges."""

    least: int
    """Class default of the least number of pixels."""
    most: int
    """Class default of the largest number of pixels."""
    renamed: bool
    """`min_pixels` and `max_pixels` are taken too, and win over `size`; otherwise they are ignored."""
    frames: int = 1
    """How often one image counts against the limits (GLM counts it once a frame of a temporal patch)."""
    of: str = "image"
    """What the limits are of: an `image`, each `frame`, or the whole `video`."""


class PackedInput(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of input that goes to the vision tower as a sequence of patches with `image_grid_thw`."""

    kind: str
    """`image` or `video`."""
    processor: str
    """The class, without what only names its backend."""
    settings: Settings
    """The section of a file that it is loaded from."""
    read_by: str = ""
    """The generation of the library that reads this copy, `transformers 4` or `transformers 5`; empty where all do."""
    another: bool = False
    """Whether another copy, which another generation reads, fits the model."""
    ours: Mapping[str, Used] = {}
    """What the processor cuts by: `patch_size` (pixels), `merge_size` (patches), `temporal_patch_size` (frames)."""
    theirs: Mapping[str, Used] = {}
    """What the model takes, under the same names; only those that its code reads from the configuration."""
    trained: Mapping[str, Used] = {}
    """What the shapes of the weights say, under the same names, as far as they do."""
    channels: int = 3
    """Of a pixel."""
    known: bool = True
    """Whether the model type is one whose code is known to need equal values."""
    areas: Areas | None = None

    @property
    def wrong(self) -> tuple[str, ...]:
        """Names of the values in which processor and model differ."""
        return tuple(key for key, theirs in self.theirs.items() if self.ours[key].value != theirs.value)

    @property
    def edge(self) -> int:
        """Pixels along one edge of what becomes one visual token, as the processor cuts; 0 where that is not known."""
        patch, merge = self.ours.get("patch_size"), self.ours.get("merge_size")
        return int(patch.value or 0) * int(merge.value or 0) if patch and merge else 0


class PatchGeometry(msgspec.Struct, frozen=True, kw_only=True):
    """Every copy of settings by which images and videos are cut into patches."""

    inputs: tuple[PackedInput, ...]
