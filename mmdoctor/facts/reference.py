"""The files of the bundled reference models and of copies of them, and what the models score. Plain values only."""

from collections.abc import Mapping

import msgspec

from mmdoctor.location import Location


class FileDigest(msgspec.Struct, frozen=True, kw_only=True):
    """One bundled file."""

    file: str
    """Path relative to the package's folder `reference`."""
    recorded_sha256: str
    """Hexadecimal digest noted when the file was made."""
    observed_sha256: str | None
    """Hexadecimal digest of the file on disk; None when it is not there."""


class TensorMismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of another shape than the model's."""

    name: str
    expected: tuple[int, ...]
    """Shape that the configuration asks for."""
    observed: tuple[int, ...]
    """Shape in the file."""


class ReferenceLayout(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy of the reference model must hold, as its own configuration has it."""

    shapes: Mapping[str, tuple[int, ...]]
    """Name to shape, of every tensor; empty where the configuration makes no model."""
    at: Location
    """Where the configuration stands; the weight file where there is none."""
    contradiction: str | None = None
    """What in the configuration does not fit; None when all does."""


class ReferenceSetting(msgspec.Struct, frozen=True, kw_only=True):
    """A setting of a copy of the reference model that is not the one it was trained with."""

    name: str
    observed: str
    """As JSON writes it; `none` where there is no such setting."""
    expected: str
    at: Location


class ReferenceFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files beside the weights of a copy of the reference model, against the bundled ones."""

    differences: tuple[ReferenceSetting, ...]
    """Empty where all that decides an output is the same."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How well a reference model does what it was trained for, on scenes that its training never showed."""

    scenes: int
    """Scenes examined; every score but `next_sentence` has one task a scene."""
    answers: float
    """Questions answered right, as a fraction."""
    box_iou: float
    """Intersection over union of the named object's box, mean over the scenes."""
    captions: float
    """Captions that are right to the last word, as a fraction."""
    matching: float
    """Captions told right from wrong, as a fraction: half are true, a quarter has one attribute changed, a quarter is
    another scene's."""
    masked_words: float
    """Masked content words found, as a fraction of the words."""
    masked_patches: float
    """Mean squared error over the pixels of masked patches, as a fraction of what predicting their mean would have."""
    next_sentence: float
    """Second halves of a caption told right from another scene's, as a fraction of the scenes with two objects or
    more."""
    seconds: float = 0.0
    """Duration of the run, without drawing the scenes."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """One tensor that goes through the model."""

    name: str
    """The name in the code, whose suffix says what each dimension is: `pixels_BCYX`; empty where it has none there."""
    sizes: tuple[int, ...]


class PartAnatomy(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the reference model, as one forward pass went through it."""

    module: str
    """Its name in the state dict; of layers that are alike, one name for all: `vision_model.encoder.layers.{0..3}`."""
    what: str = ""
    """What it does, in a phrase; empty where its name says it."""
    sizes: str = ""
    """Its own sizes that no shape shows, such as `4 heads`."""
    papers: tuple[tuple[str, str], ...] = ()
    """(who and when, link) of what it follows."""
    parameters: int = 0
    """Of one of the layers that are alike."""
    count: int = 1
    """How many of it there are."""
    reads: tuple[Shape, ...] = ()
    """Tensors that go in, masks left out."""
    writes: tuple[Shape, ...] = ()
    parts: tuple["PartAnatomy", ...] = ()


class Anatomy(msgspec.Struct, frozen=True, kw_only=True):
    """The whole reference model, measured."""

    fusion: str
    """`hybrid`, `early` or `late`."""
    parameters: int
    dtype: str
    """Torch's name of the stored weights' type."""
    nbytes: int
    """Bytes of the bundled folder."""
    folder: str
    """Where the files are."""
    files: tuple[str, ...]
    text: str
    """What the picture came with in that pass."""
    written: str
    """What was written so far in that pass."""
    parts: tuple[PartAnatomy, ...]
    """In the order of the data's way."""
