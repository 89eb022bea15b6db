"""What this machine made of the bundled reference model, against what is recorded of it. Plain numbers only."""

from collections.abc import Mapping

import msgspec

from mmdoctor.location import Location


class FileDigest(msgspec.Struct, frozen=True, kw_only=True):
    """One bundled file."""

    file: str
    """Path relative to the bundled folder."""
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


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """How far one output is from what it should be."""

    output: str
    """Name of the output, such as `answer_logits`."""
    max_abs_error: float
    """Largest difference among the finite numbers, in the output's own unit; 0 when none is finite."""
    scale: float
    """Largest magnitude that was expected, in the output's own unit."""
    cosine: float
    """Cosine between both outputs, taken as one vector each, over the finite numbers."""
    non_finite: int
    """Numbers that are NaN or infinite."""
    tolerance: float
    """Largest relative error that correct arithmetic may have: a multiple of the measured rounding."""

    @property
    def relative_error(self) -> float:
        """Largest difference as a fraction of the largest expected magnitude."""
        return self.max_abs_error / self.scale if self.scale else float(self.max_abs_error > 0)

    @property
    def exceeded(self) -> bool:
        """Whether rounding cannot explain it."""
        return self.non_finite > 0 or not self.relative_error <= self.tolerance


class PrecisionRun(msgspec.Struct, frozen=True, kw_only=True):
    """The model in a reduced precision against the same machine's float32."""

    dtype: str
    """`bfloat16` or `float16`."""
    unsupported: str | None = None
    """Why it could not run in this dtype here; None when it ran."""
    deviations: tuple[Deviation, ...] = ()
    """One an output, in the order of the data's way through the model."""
    top1_compared: int = 0
    """Choices (answers, words) whose float32 margin is too large for rounding to turn them."""
    top1_agreed: int = 0
    """How many of those chose the same."""


class AttentionRun(msgspec.Struct, frozen=True, kw_only=True):
    """One kernel of scaled dot-product attention against the textbook formula in float64."""

    backend: str
    """Torch's name of the backend, or `AUTOMATIC` for torch's own choice."""
    dtype: str
    """`float32`, `bfloat16` or `float16`."""
    case: str
    """What was masked: `open` (nothing), `causal` or `padded`."""
    unavailable: str | None = None
    """Why this backend does not run here; None when it ran."""
    deviation: Deviation | None = None


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
    parts: tuple[PartAnatomy, ...]
    """In the order of the data's way."""


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the self-test measured. Parts that were not reached are empty."""

    device: str
    """Torch's name of the device, such as `cpu` or `cuda:0`."""
    device_name: str
    """The device's own name."""
    torch_version: str
    threads: int
    """Threads that torch uses for one operation on the CPU. The self-test uses one, except for `threaded`."""
    seconds: float = 0.0
    """Duration of the self-test, without importing torch."""
    parameters: int = 0
    """Numbers in the model's weights."""
    files: tuple[FileDigest, ...] = ()
    load_error: str | None = None
    """Why the bundled files make no model; None when they do."""
    missing_tensors: tuple[str, ...] = ()
    """Names that the model has and the file has not."""
    unexpected_tensors: tuple[str, ...] = ()
    """Names that the file has and the model has not."""
    mismatched_tensors: tuple[TensorMismatch, ...] = ()
    non_finite_tensors: tuple[str, ...] = ()
    """Names of weights with a NaN or an infinity."""
    run_error: str | None = None
    """Why the forward pass stopped; None when it ended."""
    golden: tuple[Deviation, ...] = ()
    """Float32 with the textbook attention against the recorded outputs, in the order of the data's way."""
    fused_attention: tuple[Deviation, ...] = ()
    """The same run with torch's fused attention against the one with the textbook attention."""
    precisions: tuple[PrecisionRun, ...] = ()
    attention: tuple[AttentionRun, ...] = ()
    repeated: tuple[Deviation, ...] = ()
    """The same input a second time against the first; tolerance 0."""
    batched: tuple[Deviation, ...] = ()
    """A sample in a batch of eight against the same sample alone."""
    cached: tuple[Deviation, ...] = ()
    """Decoding token by token with a cache against all tokens at once."""

    threaded: tuple[Deviation, ...] = ()
    """All threads against one thread; empty where there is one, or where the device is not the CPU."""

    @property
    def damaged_files(self) -> tuple[FileDigest, ...]:
        """Files that are gone or not the ones recorded."""
        return tuple(file for file in self.files if file.observed_sha256 != file.recorded_sha256)

    @property
    def files_intact(self) -> bool:
        """Whether what is measured behind it is the machine's doing, not the files'."""
        faults = self.damaged_files, self.missing_tensors, self.unexpected_tensors, self.mismatched_tensors
        return self.load_error is None and not any(faults)
