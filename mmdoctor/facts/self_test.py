"""What this machine made of the bundled reference models, against what is recorded of them. Plain numbers only."""

import math
from collections.abc import Iterator, Mapping

import msgspec

from mmdoctor.facts.reference import FileDigest, TensorMismatch


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one bundled model."""

    fusion: str
    """`hybrid`, `early` or `late`."""
    files: tuple[FileDigest, ...] = ()
    load_error: str | None = None
    """Why the files make no model; None when they do."""
    weights: str = "model.safetensors"
    """File of the tensors named below, relative to the package's folder `reference`."""
    missing_tensors: tuple[str, ...] = ()
    """Names that the model has and the file has not."""
    unexpected_tensors: tuple[str, ...] = ()
    """Names that the file has and the model has not."""
    mismatched_tensors: tuple[TensorMismatch, ...] = ()
    non_finite_tensors: tuple[str, ...] = ()
    """Names of weights with a NaN or an infinity."""
    parameters: int = 0
    """Numbers in the weights."""

    @property
    def damaged_files(self) -> tuple[FileDigest, ...]:
        """Files that are gone or not the ones recorded."""
        return tuple(file for file in self.files if file.observed_sha256 != file.recorded_sha256)

    @property
    def intact(self) -> bool:
        """Whether what is measured behind it is the machine's doing, not the files'."""
        faults = self.damaged_files, self.missing_tensors, self.unexpected_tensors, self.mismatched_tensors
        return self.load_error is None and not any(faults)


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """How far one output is from what it should be."""

    output: str
    """Name of the output or of the layer, such as `answer_logits`."""
    max_abs_error: float
    """Largest difference among the finite numbers, in the output's own unit; 0 when none is finite."""
    rms_error: float
    """Root mean square of the differences among the finite numbers, in the output's own unit."""
    scale: float
    """Largest magnitude that was expected, in the output's own unit."""
    cosine: float
    """Cosine between both outputs, taken as one vector each, over the finite numbers."""
    non_finite: int
    """Numbers that are NaN or infinite."""
    tolerance: float
    """Largest error that correct arithmetic may have, as a fraction of the scale."""
    rms_tolerance: float
    """Largest root mean square of the errors that correct arithmetic may have, as a fraction of the scale."""

    @property
    def relative_error(self) -> float:
        """Largest difference as a fraction of the largest expected magnitude."""
        return _fraction(self.max_abs_error, self.scale)

    @property
    def relative_rms(self) -> float:
        """Root mean square of the differences as a fraction of the largest expected magnitude."""
        return _fraction(self.rms_error, self.scale)

    @property
    def used(self) -> float:
        """The larger share of a tolerance that is used up: above 1 rounding cannot explain it."""
        if self.non_finite:
            return math.inf
        shares = (self.relative_error, self.tolerance), (self.relative_rms, self.rms_tolerance)
        return max(_fraction(error, tolerance, nothing=math.inf) for error, tolerance in shares)

    @property
    def exceeded(self) -> bool:
        """Whether rounding cannot explain it."""
        return not self.used <= 1


def _fraction(part: float, whole: float, nothing: float = 1.0) -> float:
    """Part of a whole; of nothing, nothing is 0 and something is as much as is said here."""
    if whole:
        return part / whole
    return nothing if part else 0.0


class Writing(msgspec.Struct, frozen=True, kw_only=True):
    """What the model wrote about one picture, word by word with a cache."""

    expected: str
    observed: str
    sure: int
    """Tokens from the start that rounding cannot turn; only those are compared."""
    same: int
    """Tokens from the start that are the expected ones."""

    @property
    def wrong(self) -> bool:
        """Whether a word differs that rounding cannot turn."""
        return self.same < self.sure


class ModelRun(msgspec.Struct, frozen=True, kw_only=True):
    """One bundled model in one type with one attention, against its recorded outputs."""

    fusion: str
    dtype: str
    """`float32`, `bfloat16` or `float16`."""
    attention: str
    """`textbook` (written out), `AUTOMATIC` (torch's own choice), or a backend of torch by its name."""
    unavailable: str | None = None
    """Why torch does not do this here; None when it tried."""
    failed: str | None = None
    """Why it stopped; None when it ended."""
    note: str | None = None
    """What this run did not cover, such as layers where torch refused the backend."""
    outputs: tuple[Deviation, ...] = ()
    """One an output, in the order of the data's way through the model."""
    layers: int = 0
    """Layers that were compared."""
    layers_used: float = 0.0
    """The largest share of its tolerance that any of them used up."""
    first_layer: Deviation | None = None
    """The first layer, in the order in which they ran, that left its tolerance."""
    top1_compared: int = 0
    """Choices (answers, words) whose margin is too large for rounding to turn them."""
    top1_agreed: int = 0
    """How many of those chose the same."""
    written: tuple[Writing, ...] = ()

    @property
    def wrong_outputs(self) -> tuple[Deviation, ...]:
        """Outputs that rounding cannot explain."""
        return tuple(deviation for deviation in self.outputs if deviation.exceeded)

    @property
    def wrong(self) -> bool:
        """Whether anything of it is."""
        turned = self.top1_agreed < self.top1_compared or any(writing.wrong for writing in self.written)
        return bool(self.failed or self.wrong_outputs or self.first_layer) or turned

    @property
    def used(self) -> float:
        """The largest share of a tolerance that any output or layer used up."""
        return max((self.layers_used, *(deviation.used for deviation in self.outputs)))


class KernelRun(msgspec.Struct, frozen=True, kw_only=True):
    """One operation by itself, against the same in float64."""

    kernel: str
    """Torch's name of an attention backend, `AUTOMATIC` for its own choice, `compiled`, or `product`."""
    dtype: str
    case: str
    """What was masked (`open`, `causal`, `padded` ...), or how many products were added up."""
    unavailable: str | None = None
    """Why torch does not do this here; None when it tried."""
    failed: str | None = None
    """Why it stopped; None when it ended."""
    deviation: Deviation | None = None

    @property
    def wrong(self) -> bool:
        """Whether it stopped, or rounding cannot explain what it made."""
        return self.failed is not None or (self.deviation is not None and self.deviation.exceeded)


class Repetition(msgspec.Struct, frozen=True, kw_only=True):
    """The same sample run in another way, against the plain run on the same machine."""

    how: str
    """`again`, `batched` (as the first of eight), `cached` (token by token), `threaded` (with all threads)."""
    dtype: str
    deviations: tuple[Deviation, ...]

    @property
    def wrong(self) -> tuple[Deviation, ...]:
        """Outputs that changed by more than two roundings explain."""
        return tuple(deviation for deviation in self.deviations if deviation.exceeded)


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One task over many scenes, against what the recorded run scored on the same ones."""

    task: str
    observed: float
    """A fraction of the scenes, or a mean over them; higher is better."""
    recorded: float
    lowest: float
    """The least that chance explains."""

    @property
    def lost(self) -> bool:
        """Whether chance cannot explain it."""
        return not self.observed >= self.lowest


class Canary(msgspec.Struct, frozen=True, kw_only=True):
    """Held-out scenes answered in one type: catches what keeps shapes and ruins answers."""

    dtype: str
    """`float32`, `bfloat16`, `float16`, or `int8` (weights only, one scale a row)."""
    scenes: int = 0
    unavailable: str | None = None
    """Why torch does not do this here; None when it tried."""
    failed: str | None = None
    """Why it stopped; None when it ended."""
    scores: tuple[Score, ...] = ()
    seconds: float = 0.0

    @property
    def lost(self) -> tuple[Score, ...]:
        """Tasks in which chance cannot explain the score."""
        return tuple(score for score in self.scores if score.lost)


class DeviceTest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything measured on one device. Parts that were not reached are empty."""

    device: str
    """Torch's name of the device, such as `cpu` or `cuda:0`."""
    name: str
    """The device's own name."""
    run_error: str | None = None
    """Why the forward pass stopped; None when it ended."""
    runs: tuple[ModelRun, ...] = ()
    kernels: tuple[KernelRun, ...] = ()
    repetitions: tuple[Repetition, ...] = ()
    canaries: tuple[Canary, ...] = ()
    not_tried: Mapping[str, str] = {}
    """What else could have been tested, and why it was not."""
    seconds: float = 0.0

    def plain(self, dtype: str, fusion: str | None = None) -> Iterator[ModelRun]:
        """The runs in that type with attention written out: what every other run is judged beside."""
        for run in self.runs:
            if run.dtype == dtype and run.attention == "textbook" and fusion in (None, run.fusion):
                yield run

    @property
    def right(self) -> bool:
        """Whether nothing that was measured is wrong."""
        parts = self.runs, self.kernels, self.repetitions
        wrong = any(each.wrong for part in parts for each in part)
        return self.run_error is None and not wrong and not any(each.failed or each.lost for each in self.canaries)

    def arithmetic_wrong(self, dtype: str) -> bool:
        """Whether that type is wrong here already without a fused kernel."""
        return self.run_error is not None or any(run.wrong for run in self.plain(dtype))


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the self-test measured."""

    torch_version: str
    threads: int
    """Threads that torch uses for one operation on the CPU. The self-test uses one, except where it says so."""
    bundles: tuple[Bundle, ...] = ()
    devices: tuple[DeviceTest, ...] = ()
    seconds: float = 0.0
    """Duration, without importing torch."""

    @property
    def files_intact(self) -> bool:
        """Whether what is measured behind it is the machine's doing, not the files'."""
        return all(bundle.intact for bundle in self.bundles)

    @property
    def right(self) -> bool:
        """Whether every device computes right, as far as it was tried."""
        return self.files_intact and bool(self.devices) and all(device.right for device in self.devices)
