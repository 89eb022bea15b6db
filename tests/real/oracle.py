"""What the libraries that own a format say of a file: the truth that mmdoctor is measured against."""

import json
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """The numbers of one file."""

    tensors: int
    parameters: int
    dtypes: dict[str, int]
    """Tensors of each dtype, by safetensors' names."""

    names: frozenset[str] = frozenset()


TORCH = {
    "torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16",
    "torch.int64": "I64", "torch.int32": "I32", "torch.int16": "I16", "torch.int8": "I8", "torch.uint8": "U8",
    "torch.bool": "BOOL",
}  # fmt: skip


def _truth(rows: Iterable[tuple[str, str, int]]) -> Truth:
    listed = list(rows)
    return Truth(
        tensors=len(listed),
        parameters=sum(count for _, _, count in listed),
        dtypes=dict(Counter(dtype for _, dtype, _ in listed)),
        names=frozenset(name for name, _, _ in listed),
    )


def _state(state: Any) -> Truth:
    import torch

    found = ((name, value) for name, value in state.items() if isinstance(value, torch.Tensor))
    return _truth((name, TORCH[str(value.dtype)], value.numel()) for name, value in found)


def torch_state(path: Path, keys: tuple[str, ...] = ()) -> Truth:
    """`torch.load`, without leave to run anything, then down to the state dict."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)
    for key in keys:
        state = state[key]
    return _state(state)


STUBBED = """
import importlib.abc, importlib.machinery, json, sys
import torch

class Stub:
    def __new__(cls, *args, **kwargs): return object.__new__(cls)
    def __init__(self, *args, **kwargs): pass
    def __setstate__(self, state): pass
    def __call__(self, *args, **kwargs): return self
    def __getattr__(self, name): return Stub()
    def __setitem__(self, key, value): pass
    def append(self, value): pass

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec): return None
    def exec_module(self, module):
        module.__getattr__ = lambda name: type(name, (Stub,), {"__module__": module.__name__})

sys.meta_path.append(Finder())
state = torch.load(sys.argv[1], map_location="cpu", weights_only=False)
for key in sys.argv[2:]:
    state = state[key]
print(json.dumps([[n, str(v.dtype), v.numel()] for n, v in state.items() if isinstance(v, torch.Tensor)]))
"""
"""A trusted file whose classes are not installed, opened in a process of its own with stand-ins for them."""


def torch_foreign(path: Path, keys: tuple[str, ...] = ()) -> Truth:
    """`torch.load` with leave to make objects, of stub classes, in a subprocess."""
    command = [sys.executable, "-c", STUBBED, str(path), *keys]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return _truth((name, TORCH[dtype], count) for name, dtype, count in json.loads(done.stdout))


def torchscript(path: Path) -> Truth:
    """Parameters and buffers of the module that `torch.jit.load` makes."""
    import torch

    return _state(torch.jit.load(path, map_location="cpu").state_dict())


def safetensors(path: Path) -> Truth:
    """The library's own view of the header."""
    from safetensors import safe_open

    with safe_open(path, "numpy") as opened:
        slices = [(name, opened.get_slice(name)) for name in opened.keys()]  # noqa: SIM118  not a dict
        return _truth((name, part.get_dtype(), _product(part.get_shape())) for name, part in slices)


def gguf(path: Path) -> Truth:
    """gguf-py's reader, of the llama.cpp project."""
    from gguf import GGUFReader

    return _truth((tensor.name, tensor.tensor_type.name, int(tensor.n_elements)) for tensor in GGUFReader(path).tensors)


CT2 = {0: "F32", 1: "I8", 2: "I16", 3: "I32", 4: "F16", 5: "BF16"}
"""Data type ids of a CTranslate2 binary: include/ctranslate2/types.h."""


def ctranslate2(path: Path) -> Truth:
    """Every variable of a version 6 model.bin, counted by its own layout: python/ctranslate2/specs/model_spec.py."""
    rows = []
    with path.open("rb") as file:

        def number(form: str) -> int:
            return int(struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0])

        def text() -> str:
            return file.read(number("H"))[:-1].decode()

        version, _, _ = number("I"), text(), number("I")
        assert version == 6
        for _ in range(number("I")):
            name = text()
            shape = [number("I") for _ in range(number("B"))]
            dtype = CT2[number("B")]
            file.seek(number("I"), 1)
            rows.append((name, dtype, _product(shape)))
    return _truth(rows)


def _product(shape: Iterable[int]) -> int:
    out = 1
    for side in shape:
        out *= side
    return out
