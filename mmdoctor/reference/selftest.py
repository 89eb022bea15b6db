"""The self-test: what this machine makes of the bundled model, measured. It judges nothing; the REF rules do."""

import copy
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from mmdoctor.errors import MMDoctorError
from mmdoctor.facts.reference import Deviation, FileDigest, PrecisionRun, SelfTest
from mmdoctor.reference import GOLDEN, WEIGHTS, golden, kernels, sample, tensorfile
from mmdoctor.reference.attention import use_attention
from mmdoctor.reference.bundle import differences, empty_model, fill, read_config, sha256
from mmdoctor.reference.comparison import agreement, deviation, deviations, named_outputs
from mmdoctor.reference.decoder import DecoderCache
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.processor import Processor

Progress = Callable[[str, float], None]

REDUCED = ("bfloat16", "float16")
BATCH = 8


def run_self_test(
    device: str = "cpu", *, progress: Progress | None = None, weights: Path = WEIGHTS, golden_folder: Path = GOLDEN
) -> SelfTest:
    """Measure everything that a `SelfTest` holds.

    Args:
        device: torch's name of the device.
        progress: called with the step's name and the finished fraction, 0 to 1.
        weights: another folder of the same files, for tests.
        golden_folder: another folder of records, for tests.
    """
    started = time.perf_counter()
    report = progress or (lambda _step, _fraction: None)
    found = SelfTest(
        device=device,
        device_name=_device_name(device),
        torch_version=torch.__version__,
        threads=torch.get_num_threads(),
    )
    with torch.inference_mode(), _full_float32(), _threads(1):
        try:
            report("files", 0.0)
            run = _Run(torch.device(device), found.threads, weights, golden_folder)
            found = msgspec.structs.replace(found, **run.files())
            if run.model is not None:
                found = msgspec.structs.replace(found, **run.everything(report))
        except MMDoctorError as error:
            found = msgspec.structs.replace(found, load_error=str(error))
        except (RuntimeError, ValueError, IndexError) as error:
            found = msgspec.structs.replace(found, run_error=str(error).partition("\n")[0])
    report("done", 1.0)
    return msgspec.structs.replace(found, seconds=time.perf_counter() - started)


class _Run:
    """One self-test on one device."""

    def __init__(self, device: torch.device, threads: int, weights: Path, golden_folder: Path) -> None:
        self.device = device
        self.threads = threads
        self.weights = weights
        self.golden_folder = golden_folder
        self.record = golden.read_record(golden_folder)
        self.model: ReferenceModel | None = None

    def files(self) -> dict[str, object]:
        """Digests, names and shapes; makes the model when they allow it."""
        digests = tuple(
            FileDigest(file=name, recorded_sha256=recorded, observed_sha256=_digest(self._path(name)))
            for name, recorded in self.record.sha256.items()
        )
        found: dict[str, object] = {"files": digests}
        try:
            model = empty_model(read_config(self.weights))
            tensors = tensorfile.read_tensors(self.weights / "model.safetensors")
            self.batch = sample.batch(Processor.from_folder(self.weights), model.config.vision_config.num_patches)
            self.expected = golden.read_outputs(self.golden_folder)
        except MMDoctorError as error:
            return {**found, "load_error": str(error)}
        missing, unexpected, mismatched = differences(model, tensors)
        if not (missing or mismatched):
            self.model = fill(model, {name: tensors[name] for name in tensors if name not in unexpected})
        return {
            **found,
            "missing_tensors": missing,
            "unexpected_tensors": unexpected,
            "mismatched_tensors": mismatched,
            "non_finite_tensors": tuple(sorted(name for name, t in tensors.items() if not t.isfinite().all())),
            "parameters": sum(tensor.numel() for tensor in tensors.values()),
        }

    def everything(self, report: Progress) -> dict[str, object]:
        """All runs of the model and of the attention kernels."""
        report("float32 against the recorded outputs", 0.1)
        textbook = self.outputs("float32", "textbook")
        fused = self.outputs("float32")
        found: dict[str, object] = {
            "golden": deviations(textbook, self.expected, self.record.outputs["float32"]),
            "fused_attention": deviations(fused, textbook, self.twice("float32")),
        }
        precisions = []
        for index, dtype in enumerate(REDUCED):
            report(f"{dtype} against float32", 0.2 + 0.2 * index)
            precisions.append(self.precision(dtype, fused))
        report("the same again: in a batch, with a cache, with all threads", 0.6)
        found["repeated"] = deviations(self.outputs("float32"), fused, dict.fromkeys(fused, 0.0))
        found["batched"] = self.batched()
        found["cached"] = self.cached()
        if self.device.type == "cpu" and self.threads > 1:
            with _threads(self.threads):
                found["threaded"] = deviations(self.outputs("float32"), fused, self.twice("float32"))
        report("attention kernels", 0.7)
        found["attention"] = tuple(kernels.compare_all(self.device, self.record.attention))
        return {**found, "precisions": tuple(precisions)}

    def outputs(self, dtype: str, implementation: str = "sdpa", samples: list[int] | None = None) -> dict[str, Tensor]:
        """Every output of the fixed batch, or of some of its samples."""
        assert self.model is not None
        kind = getattr(torch, dtype)
        self.model.to(self.device, torch.float32)
        model = self.model if dtype == "float32" else copy.deepcopy(self.model).to(kind)
        use_attention(model, implementation)
        batch = self.batch if samples is None else self.batch.samples(samples)
        return named_outputs(model(*batch.to(self.device, kind)))

    def precision(self, dtype: str, reference: dict[str, Tensor]) -> PrecisionRun:
        """The model in that dtype against this machine's float32."""
        try:
            observed = self.outputs(dtype)
        except RuntimeError as error:
            return PrecisionRun(dtype=dtype, unsupported=str(error).partition("\n")[0])
        tolerances = self.record.outputs[dtype]
        compared, agreed = agreement(observed, reference, tolerances)
        return PrecisionRun(
            dtype=dtype,
            deviations=deviations(observed, reference, tolerances),
            top1_compared=compared,
            top1_agreed=agreed,
        )

    def batched(self) -> tuple[Deviation, ...]:
        """Each output of sample 0 alone, and as the first of eight."""
        samples = [index % len(self.batch.input_ids) for index in range(BATCH)]
        alone, together = self.outputs("float32", samples=[0]), self.outputs("float32", samples=samples)
        return deviations({name: tensor[:1] for name, tensor in together.items()}, alone, self.twice("float32"))

    def cached(self) -> tuple[Deviation, ...]:
        """Caption logits token by token, and all at once."""
        assert self.model is not None
        use_attention(self.model, "sdpa")
        batch, cache = self.batch.to(self.device, torch.float32), DecoderCache()
        encoded = self.model(*batch).encoded
        steps = [
            self.model.write(token_B1, encoded, cache) for token_B1 in torch.split(batch.decoder_input_ids, 1, dim=1)
        ]
        at_once = self.model.write(batch.decoder_input_ids, encoded)
        name = "caption_logits"
        return (deviation(name, torch.cat(steps, dim=1), at_once, self.twice("float32")[name]),)

    def twice(self, dtype: str) -> dict[str, float]:
        """Tolerances between two runs that both round."""
        return {name: 2 * tolerance for name, tolerance in self.record.outputs[dtype].items()}

    def _path(self, name: str) -> Path:
        return (self.golden_folder if name == "outputs.safetensors" else self.weights) / name


@contextmanager
def _full_float32() -> Iterator[None]:
    """No TF32 in float32 matrix products, whatever the process has set; set back afterwards.

    https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """That many threads for one operation; set back afterwards.

    One is the fastest for a model of this size: with more, waiting for each other on a busy machine takes seconds.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device_name(device: str) -> str:
    if device.startswith("cuda") and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}" if device == "cpu" else device


def _digest(file: Path) -> str | None:
    try:
        return sha256(file.read_bytes())
    except OSError:
        return None
