"""INT015: shared memory in a pickle is a note, a file full of what no tensor uses a warning, the rest silent."""

import math
from typing import Any

import msgspec

from mmdoctor.facts.checkpoint import Tensor, TensorGroup, WeightFile
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.shared_tensor_save_error import shared_tensor_save_error
from tests.checks.integrity.made import loaded

MIB = 2**20


def pickled(*tensors: Tensor, size: int = MIB, **more: Any) -> WeightFile:
    return WeightFile(path="model.pt", kind=FileKind.TORCH_ZIP, size=size, tensors=tensors, **more)


def stored(name: str, storage: str, start: int = 0, shape: tuple[int, ...] = (8, 8)) -> Tensor:
    return Tensor(
        name=name, dtype="F32", shape=shape, file="model.pt", nbytes=4 * math.prod(shape), start=start, storage=storage
    )


EMBEDDING, HEAD = stored("embed.weight", "0"), stored("lm_head.weight", "0")


def test_fires_on_tied_tensors_as_a_note():
    (problem,) = fires(shared_tensor_save_error, loaded(pickled(EMBEDDING, HEAD)))

    assert "embed.weight = lm_head.weight" in problem.message
    assert problem.severity is None


def test_fires_on_views_of_a_larger_buffer_as_a_warning():
    (problem,) = fires(shared_tensor_save_error, loaded(pickled(EMBEDDING, size=200 * MIB)))

    assert problem.severity is Severity.WARNING
    assert "209,715,200 bytes for tensors of 256" in problem.message


def test_silent_on_slices_side_by_side_and_on_tensors_of_their_own():
    silent(shared_tensor_save_error, loaded(pickled(EMBEDDING, stored("b", "0", start=256))))
    silent(shared_tensor_save_error, loaded(pickled(EMBEDDING, stored("b", "1"))))
    silent(shared_tensor_save_error, loaded(pickled(EMBEDDING, stored("b", "0", shape=(4, 8)))))


def test_silent_on_training_checkpoints_small_files_and_safetensors():
    optimizer = TensorGroup(path="optimizer", role="optimizer", count=2, parameters=9, nbytes=9)
    silent(shared_tensor_save_error, loaded(pickled(EMBEDDING, size=200 * MIB, groups=(optimizer,))))
    silent(shared_tensor_save_error, loaded(pickled(EMBEDDING, size=2 * MIB)))
    plain = tuple(msgspec.structs.replace(t, storage=None) for t in (EMBEDDING, HEAD))
    silent(shared_tensor_save_error, loaded(pickled(*plain, size=200 * MIB)))
