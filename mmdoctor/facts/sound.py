"""Sound on its way into the model: what the feature extractor makes, and what the encoder reads."""

import msgspec

from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.tokenizer import Settings


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers in one frame of features, as one copy of the feature extractor's settings makes them."""

    count: int
    """The frame as the encoder gets it: bins, times the frames that are stacked into one."""
    stated: Used
    """The setting itself."""
    stacked: int = 1
    stacking: str = ""
    """The setting of how many are stacked into one, where there is one."""
    usually_stacked: int = 1
    """What the class does by default."""
    settings: Settings


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Frames that every sound is padded or cut to, as one copy of the settings makes them."""

    frames: int
    arithmetic: str
    """How it came about: `30 s x 16000 Hz / 160`."""
    used: tuple[Used, ...]
    settings: Settings


class SoundPath(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides of a model that hears. A field is None, or empty, where it does not apply or is not known."""

    extractor: str
    """Class of the feature extractor, as stated or as the model type usually has it."""
    settings: tuple[Settings, ...]
    """Copies of its settings, the one that transformers 5 takes first."""
    rate: Used | None = None
    """Samples a second."""
    usual_rate: int | None = None
    """Samples a second of every published model that uses this class."""
    bins: tuple[Bins, ...] = ()
    """One a copy of the settings."""
    channels: Used | None = None
    """Numbers in a frame that the encoder reads, by config.json."""
    stem: Tensor | None = None
    """The encoder's first layer that reads frames."""
    stem_channels: int = 0
    """Numbers in a frame that it reads."""
    windows: tuple[Window, ...] = ()
    """One a copy of the settings, where the extractor pads to a fixed window and the encoder takes nothing else."""
    window: int = 0
    """Frames that the encoder takes, by config.json."""
    positions: Used | None = None
    """What that follows from: encoder positions, or frames."""
    stride: int = 1
    """Frames an encoder position."""
    table: Tensor | None = None
    """Position table of the encoder, (rows, width)."""
    target_positions: Used | None = None
    """Positions of the decoder, by config.json."""
    target_table: Tensor | None = None
    """Position table of the decoder."""
    views: tuple[Used, Used] | None = None
    """CLAP: `truncation` of the extractor and `enable_fusion` of the model, where the former makes four spectrograms of
    a sound (`fusion`) and the latter says that the model reads one."""
