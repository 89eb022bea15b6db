"""INT019 fires on headers that an old transformers does not load, and is silent where nobody minds."""

from typing import Any

import pytest

from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.safetensors_metadata_format_missing import safetensors_metadata_format_missing
from tests.checks.integrity.made import loaded, tensor


def file(metadata: dict[str, str], **more: Any) -> Checkpoint:
    made = {"path": "model.safetensors", "kind": FileKind.SAFETENSORS, "size": 9, "tensors": (tensor("a"),)}
    return loaded(WeightFile(**{**made, "metadata": metadata, **more}))


def with_(version: str | None) -> Libraries:
    return Libraries(versions={} if version is None else {"transformers": version}, where="in prod.json")


def test_fires_under_an_old_transformers():
    (problem,) = fires(safetensors_metadata_format_missing, file({}), with_("4.46.1"), None)

    assert "transformers 4.46.1 (in prod.json) does not load" in problem.message
    assert problem.severity is Severity.WARNING


@pytest.mark.parametrize("version", ["4.57.6", "5.2.0", None])
def test_silent_under_others(version: str | None):
    silent(safetensors_metadata_format_missing, file({}), with_(version), None)


def test_formats():
    silent(safetensors_metadata_format_missing, file({"format": "pt"}), with_("4.46.1"), None)
    (unknown,) = fires(safetensors_metadata_format_missing, file({"format": "numpy"}), with_(None), None)
    (apple,) = fires(safetensors_metadata_format_missing, file({"format": "mlx"}), with_(None), None)

    assert unknown.severity is Severity.WARNING
    assert apple.severity is None


def test_silent_on_pickles_and_empty_files():
    silent(safetensors_metadata_format_missing, file({}, kind=FileKind.TORCH_ZIP), with_("4.40"), None)
    silent(safetensors_metadata_format_missing, file({}, tensors=()), with_("4.40"), None)
