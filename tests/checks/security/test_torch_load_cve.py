"""SEC002 speaks of pickled weights under an old torch only."""

import pytest

from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.security.torch_load_cve import torch_load_cve


def weights(kind: FileKind) -> Checkpoint:
    return Checkpoint(files=(WeightFile(path="pytorch_model.bin", kind=kind, size=1),), tensors={})


def torch(version: str | None) -> Libraries:
    return Libraries(versions={} if version is None else {"torch": version}, where="in prod.json")


@pytest.mark.parametrize("kind", [FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY])
@pytest.mark.parametrize("version", ["1.13.1", "2.5.1", "2.5.1+cu121"])
def test_an_old_torch_is_refused_by_transformers(kind: FileKind, version: str):
    (problem,) = fires(torch_load_cve, weights(kind), torch(version))

    assert f"torch {version} (in prod.json)" in problem.message
    assert problem.severity is Severity.ERROR
    assert problem.because[0].expected == "2.6 or later"


@pytest.mark.parametrize("version", ["2.6.0", "2.9.1+cu128"])
def test_a_torch_that_can_be_corrupted_is_a_note(version: str):
    (problem,) = fires(torch_load_cve, weights(FileKind.TORCH_ZIP), torch(version))

    assert problem.severity is Severity.NOTE


def test_silent_on_a_new_torch_an_unknown_one_and_on_safetensors():
    silent(torch_load_cve, weights(FileKind.TORCH_ZIP), torch("2.10.0"))
    silent(torch_load_cve, weights(FileKind.TORCH_ZIP), torch(None))
    silent(torch_load_cve, weights(FileKind.SAFETENSORS), torch("2.4.0"))
    silent(torch_load_cve, weights(FileKind.GGUF), torch("2.4.0"))
