"""SEC003: the list is torch's own, and what it says is what torch.load does."""

import argparse
import collections
import io
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from mmdoctor import Severity
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Machine
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import MemoryRange
from mmdoctor.readers.torch_file import read_range
from mmdoctor.testing import fires, silent
from mmdoctor_checks.security.weights_only_default import weights_only_default
from mmdoctor_checks.security.weights_only_globals import OPCODES, WEIGHTS_ONLY

pytestmark = pytest.mark.filterwarnings("ignore")


def saved(value: object, **options: object) -> bytes:
    """What torch.save writes."""
    data = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.save(value, data, **options)
    return data.getvalue()


def checkpoint(data: bytes) -> Checkpoint:
    """A checkpoint of that one file."""
    file: WeightFile = read_range(MemoryRange(data), FileEntry(path="m.pt", kind=FileKind.UNKNOWN, size=len(data)))
    return Checkpoint(files=(file,), tensors={t.name: t for t in file.tensors})


def machine(version: str) -> Machine:
    """A machine with that torch."""
    return Machine(
        platform="Linux", python="3.11", cpus=1, ram_bytes=1, ram_available_bytes=1, packages={"torch": version}
    )


def test_the_list_is_torchs_own():
    from torch._weights_only_unpickler import _get_allowed_globals

    assert set(_get_allowed_globals()) == WEIGHTS_ONLY


def test_the_opcodes_are_torchs_own():
    import inspect
    import re

    from torch import _weights_only_unpickler as theirs

    source = inspect.getsource(theirs.Unpickler.load)
    names = set(re.findall(r"\b([A-Z][A-Z0-9_]+)\[0\]", source))
    assert {getattr(theirs, name)[0] for name in names} == OPCODES


CASES = {
    "plain": {"w": torch.ones(2)},
    "ordered": collections.OrderedDict(w=nn.Parameter(torch.ones(2))),
    "dtypes": {"a": torch.ones(2).bfloat16(), "b": torch.ones(2, dtype=torch.uint16), "c": torch.eye(2).to_sparse()},
    "training": {"model": {"w": torch.ones(2)}, "epoch": 1, "lr": 0.1, "name": "x", "big": 1 << 70, "raw": b"x"},
    "size": {"s": torch.Size([1, 2]), "d": torch.device("cpu"), "t": torch.float16},
    "namespace": {"model": {"w": torch.ones(2)}, "args": argparse.Namespace(lr=1)},
    "numpy scalar": {"model": {"w": torch.ones(2)}, "best": np.float64(0.5)},
    "numpy array": {"model": {"w": torch.ones(2)}, "rng": np.zeros(3)},
    "slice": {"model": {"w": torch.ones(2)}, "part": slice(1, 2)},
    "version": {"model": {"w": torch.ones(2)}, "version": torch.__version__},
    "default dictionary": {"model": {"w": torch.ones(2)}, "log": collections.defaultdict(list)},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name: str, protocol: int, zipped: bool):
    if name == "dtypes" and not zipped:
        pytest.skip("torch cannot write uint16 so")
    data = saved(CASES[name], pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    try:
        torch.load(io.BytesIO(data))
        refused = False
    except Exception:  # noqa: BLE001 - whatever torch raises, it refuses
        refused = True

    assert bool(list(weights_only_default(checkpoint(data), None))) == refused


def test_warns_where_torch_would_refuse():
    facts = checkpoint(saved(CASES["namespace"]))
    (problem,) = fires(weights_only_default, facts, machine("2.14.1"))

    assert problem.severity is Severity.WARNING
    assert "argparse.Namespace" in problem.message
    assert "add_safe_globals([argparse.Namespace])" in problem.fix.text
    assert "weights_only=False" not in problem.fix.text


@pytest.mark.parametrize(
    ("version", "severity"), [("2.5.1", Severity.NOTE), ("2.6.0", Severity.WARNING), ("2.6.0+cu124", Severity.WARNING)]
)
def test_depends_on_the_torch_of_the_machine(version: str, severity: Severity):
    (problem,) = fires(weights_only_default, checkpoint(saved(CASES["namespace"])), machine(version))

    assert problem.severity is severity


def test_classes_of_unknown_code_are_not_to_be_allowed():
    class Evil:
        pass

    globals()["Evil"] = Evil
    Evil.__qualname__ = "Evil"
    (problem,) = fires(weights_only_default, checkpoint(saved({"w": torch.ones(1), "x": Evil()})), None)

    assert "add_safe_globals" not in problem.fix.text


def test_silent_on_whole_modules_and_torchscript():
    silent(weights_only_default, checkpoint(saved(nn.Linear(2, 2))), None)
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), script)
    silent(weights_only_default, checkpoint(script.getvalue()), None)


def test_silent_on_corruption():
    silent(weights_only_default, checkpoint(b"\x80\x02cargparse\nNamespace\n\x06\x07"), None)
