"""Every way in which torch writes files: what the reader says is what torch.load says."""

import argparse
import collections
import functools
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmdoctor.facts.checkpoint import WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.torch_dtypes import TORCH_DTYPES
from mmdoctor.readers.torch_file import read_torch

warnings.filterwarnings("ignore")
pytestmark = pytest.mark.filterwarnings("ignore")


def read(path: Path) -> WeightFile:
    """Read a file as if nothing were known about it."""
    return read_torch(path, FileEntry(path=path.name, kind=FileKind.UNKNOWN, size=path.stat().st_size))


def name_of(dtype: torch.dtype) -> str:
    """The canonical name of a torch dtype."""
    return TORCH_DTYPES[str(dtype).removeprefix("torch.")].name


def facts(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[Any, ...]]:
    """What torch says about tensors."""
    return {n: (name_of(t.dtype), tuple(t.shape), t.numel()) for n, t in tensors.items()}


def found(file: WeightFile) -> dict[str, tuple[Any, ...]]:
    """What the reader says about them."""
    return {t.name: (t.dtype, t.shape, t.numel) for t in file.tensors}


def bytes_at(path: Path, file: WeightFile, name: str) -> bytes:
    """The bytes where the reader says that a tensor begins."""
    (tensor,) = [t for t in file.tensors if t.name == name]
    assert tensor.start is not None
    return path.read_bytes()[tensor.start : tensor.start + tensor.nbytes]


class Net(nn.Module):
    """A bit of everything that state_dict() treats in its own way."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LSTM(4, 5))
        self.head = nn.Linear(5, 7, bias=False)
        self.tied = nn.Linear(5, 7)
        self.tied.weight = self.head.weight
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("left", torch.zeros(2), persistent=False)
        self.absent = nn.Parameter(torch.ones(1))
        self.register_parameter("none", None)
        self.extra = torch.ones(9)
        self.act = functools.partial(nn.functional.gelu)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


STATE_DICTS: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
    "module": lambda: Net().state_dict(),
    "dtypes": lambda: {
        str(d).removeprefix("torch."): torch.zeros(3, 2).to(d)
        for d in (
            *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16),
            *(torch.int8, torch.uint8, torch.bool, torch.complex64, torch.complex128, torch.float8_e4m3fn),
            *(torch.float8_e5m2, torch.uint16, torch.uint32, torch.uint64, torch.float8_e8m0fnu),
        )
    },
    "parameters": lambda: {
        "w": nn.Parameter(torch.rand(3)),
        "frozen": nn.Parameter(torch.rand(2), requires_grad=False),
    },
    "scalars and empty ones": lambda: {"scalar": torch.tensor(3.0), "none": torch.zeros(0, 5), "one": torch.ones(1, 1)},
    "ordered": lambda: collections.OrderedDict([("b.weight", torch.rand(2, 2)), ("a.weight", torch.rand(4))]),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", STATE_DICTS)
def test_state_dicts(tmp_path: Path, name: str, protocol: int, zipped: bool):
    if name == "dtypes" and not zipped:
        pytest.skip("torch cannot write the newer dtypes so")
    path = tmp_path / "model.bin"
    torch.save(STATE_DICTS[name](), path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    file, loaded = read(path), torch.load(path, weights_only=False)

    assert file.damage == ()
    assert file.kind is (FileKind.TORCH_ZIP if zipped else FileKind.TORCH_LEGACY)
    assert found(file) == facts(loaded)
    assert list(found(file)) == list(loaded)
    assert (file.group, file.program.root, file.program.devices) == ("", "dict", ("cpu",))
    for tensor in file.tensors:
        if tensor.numel:
            raw = loaded[tensor.name].detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()
            assert bytes_at(path, file, tensor.name) == raw


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_views_and_sharing(tmp_path: Path, zipped: bool):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    shared = {
        "base": base,
        "alias": base,
        "row": base[1],
        "column": base[:, 2],
        "turned": base.t(),
        "apart": base.clone(),
    }
    path = tmp_path / "views.pt"
    torch.save(shared, path, _use_new_zipfile_serialization=zipped)
    file = read(path)
    by_name = {t.name: t for t in file.tensors}

    assert found(file) == facts(shared)
    assert len({by_name[n].storage for n in ("base", "alias", "row", "column", "turned")}) == 1
    assert by_name["apart"].storage != by_name["base"].storage
    assert {n: t.contiguous for n, t in by_name.items()} == {n: t.is_contiguous() for n, t in shared.items()}
    assert bytes_at(path, file, "row") == base[1].numpy().tobytes()
    assert by_name["column"].start is None
    assert next(g.nbytes for g in file.groups) < sum(t.nbytes for t in file.tensors)


def test_views_of_one_big_buffer_are_noted(tmp_path: Path):
    flat = torch.zeros(1_000_000)
    torch.save({"a": flat[:10], "b": flat[10:20]}, tmp_path / "flat.pt")

    assert "4,000,000" in (read(tmp_path / "flat.pt").note or "")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_sparse_and_quantised(tmp_path: Path, zipped: bool):
    dense = torch.eye(4)
    tensors = {
        "coo": dense.to_sparse(),
        "csr": dense.to_sparse_csr(),
        "q": torch.quantize_per_tensor(torch.rand(3, 4), 0.1, 2, torch.qint8),
        "qc": torch.quantize_per_channel(torch.rand(3, 4), torch.ones(3), torch.zeros(3), 0, torch.quint8),
    }
    path = tmp_path / "model.pt"
    torch.save(tensors, path, _use_new_zipfile_serialization=zipped)

    assert read(path).damage == ()
    assert found(read(path)) == facts(tensors)


def test_meta_tensors_and_subclasses(tmp_path: Path):
    class Marked(torch.Tensor):
        pass

    tensors = {"meta": torch.empty(3, 4, device="meta"), "marked": torch.rand(5).as_subclass(Marked)}
    tensors["marked"].remark = "kept"
    globals()["Marked"] = Marked
    Marked.__qualname__ = "Marked"
    torch.save(tensors, tmp_path / "model.pt")
    file = read(tmp_path / "model.pt")

    assert found(file) == facts(tensors)
    assert {t.name: t.nbytes for t in file.tensors} == {"meta": 0, "marked": 20}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_whole_modules(tmp_path: Path, zipped: bool):
    path = tmp_path / "net.pt"
    torch.save(Net(), path, _use_new_zipfile_serialization=zipped)
    file = read(path)

    assert found(file) == facts(torch.load(path, weights_only=False).state_dict())
    assert file.program.root == "instance"
    assert file.program.root_class.endswith("Net")


def test_torchscript(tmp_path: Path):
    path = tmp_path / "any.name"
    torch.jit.save(torch.jit.script(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), path)
    file = read(path)

    assert file.kind is FileKind.TORCHSCRIPT
    assert found(file) == facts(torch.jit.load(path).state_dict())


def test_torch_export(tmp_path: Path):
    path = tmp_path / "model.pt2"
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3),)), path)
    file = read(path)

    assert file.kind is FileKind.TORCH_EXPORT
    assert found(file) == facts(torch.export.load(path).state_dict)
    assert bytes_at(path, file, "0.weight") == module[0].weight.detach().numpy().tobytes()


def test_torch_package(tmp_path: Path):
    from torch.package import PackageExporter

    path = tmp_path / "package.pt"
    with PackageExporter(path) as exporter:
        exporter.extern("torch.**")
        exporter.save_pickle("model", "model.pkl", {"w": torch.ones(3)})
    file = read(path)

    assert file.kind is FileKind.TORCH_PACKAGE
    assert found(file) == {"w": ("F32", (3,), 3)}
    assert bytes_at(path, file, "w") == torch.ones(3).numpy().tobytes()


def test_pickled_without_torch_save(tmp_path: Path):
    import pickle  # noqa: TID251 - writes the file that the reader takes apart

    import numpy as np

    path = tmp_path / "weights.pkl"
    path.write_bytes(pickle.dumps({"model": {"a.weight": torch.rand(3, 2), "b.weight": np.zeros((4, 5), np.float16)}}))
    file = read(path)

    assert file.kind is FileKind.PICKLE
    assert found(file) == {"a.weight": ("F32", (3, 2), 6), "b.weight": ("F16", (4, 5), 20)}


def steps(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One step, so that the optimizer has a state."""
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "module", "net", "weights"])
def test_training_checkpoints(tmp_path: Path, key: str, zipped: bool):
    model = Net()
    optimizer = torch.optim.AdamW(model.parameters())
    steps(model, optimizer)
    checkpoint = {
        "epoch": 3,
        key: model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": {"last_epoch": 3, "_last_lr": [0.1]},
        "rng_state": torch.get_rng_state(),
        "args": argparse.Namespace(lr=0.1),
    }
    path = tmp_path / "last.ckpt"
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    file = read(path)
    roles = {g.path: g.role for g in file.groups}

    assert file.group == key
    assert found(file) == facts(model.state_dict())
    assert roles[key] == "model"
    assert roles["optimizer.state"] == "optimizer"
    assert ("epoch", "int") in file.program.top_level
    assert "argparse.Namespace" in {g.dotted for g in file.program.globals}


def test_lightning_like_with_lists(tmp_path: Path):
    model = nn.Linear(3, 4)
    optimizer = torch.optim.Adam(model.parameters())
    steps(model, optimizer)
    checkpoint = {
        "epoch": 1,
        "pytorch-lightning_version": "2.0",
        "state_dict": {f"net.{k}": v for k, v in model.state_dict().items()},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [optimizer.state_dict()],
    }
    torch.save(checkpoint, tmp_path / "l.ckpt")
    file = read(tmp_path / "l.ckpt")

    assert file.group == "state_dict"
    assert {g.path: g.role for g in file.groups}["optimizer_states.0.state"] == "optimizer"


def test_model_and_average(tmp_path: Path):
    state = nn.Linear(3, 4).state_dict()
    torch.save({"model": state, "ema": state, "step": 1}, tmp_path / "e.pt")
    file = read(tmp_path / "e.pt")

    assert {g.path: g.role for g in file.groups} == {"model": "model", "ema": "ema"}
    assert file.group == "model"


def test_two_models_are_both_listed_and_none_is_chosen(tmp_path: Path):
    both = {"generator": nn.Linear(3, 4).state_dict(), "discriminator": nn.Linear(4, 1).state_dict(), "step": 1}
    torch.save(both, tmp_path / "g.pt")
    file = read(tmp_path / "g.pt")

    assert file.group == ""
    assert set(found(file)) == {"generator.weight", "generator.bias", "discriminator.weight", "discriminator.bias"}


def test_nested_names_without_a_wrapper_are_one_state_dict(tmp_path: Path):
    torch.save({"encoder": {"layer": {"w": torch.ones(2)}}, "decoder": {"w": torch.ones(3)}}, tmp_path / "n.pt")
    file = read(tmp_path / "n.pt")

    assert (file.group, set(found(file))) == ("", {"encoder.layer.w", "decoder.w"})


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8), st.binary(max_size=8)
)
TENSORS = st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.int64]).flatmap(
    lambda d: st.lists(st.integers(0, 3), max_size=3).map(lambda shape: torch.zeros(shape, dtype=d))
)
TREES = st.recursive(
    st.one_of(LEAVES, TENSORS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), inner, max_size=4),
        st.dictionaries(st.text("abcdefgh", min_size=1, max_size=4), inner, max_size=4).map(collections.OrderedDict),
    ),
    max_leaves=12,
)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor of a structure."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tensors_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from tensors_in(inner)


@settings(max_examples=60, deadline=None)
@given(TREES, st.integers(2, 5), st.booleans())
def test_random_structures(tmp_path_factory: pytest.TempPathFactory, tree: Any, protocol: int, zipped: bool):
    path = tmp_path_factory.getbasetemp() / "tree.pt"
    torch.save(tree, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    file = read(path)
    expected = list(tensors_in(tree))

    assert file.damage == ()
    assert sum(g.count for g in file.groups) == len(expected)
    assert sum(g.parameters for g in file.groups) == sum(t.numel() for t in expected)
