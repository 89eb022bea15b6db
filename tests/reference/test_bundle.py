import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import KINDS, WEIGHTS, export, golden, golden_of, load, tensorfile, weights_of
from mmdoctor.reference.bundle import default_config, folder_files, load_model, read_config, sha256
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.model import ReferenceModel

MIB = 2**20


@pytest.mark.parametrize("kind", KINDS)
def test_the_committed_files_are_what_the_code_writes(kind: FusionKind) -> None:
    folder = weights_of(kind)
    files = folder_files(default_config(kind), load_model(folder).state_dict())

    assert sorted(files) == sorted(file.name for file in folder.iterdir())
    for name, content in files.items():
        assert (folder / name).read_bytes() == content, name
    assert read_config(folder).fusion_config.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_recorded_digests_are_the_committed_files(kind: FusionKind) -> None:
    recorded = golden.read_record(golden_of(kind)).sha256

    for name, digest in recorded.items():
        folder = golden_of(kind) if name == "outputs.safetensors" else weights_of(kind)
        assert sha256((folder / name).read_bytes()) == digest
    assert set(recorded) == {file.name for file in weights_of(kind).iterdir()} | {"outputs.safetensors"}


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_exact_in_every_served_type_and_lively(kind: FusionKind) -> None:
    for name, tensor in tensorfile.read_tensors(weights_of(kind) / "model.safetensors").items():
        assert tensor.dtype == torch.bfloat16
        assert torch.equal(tensor.to(torch.float16).to(torch.float32), tensor.to(torch.float32)), name
        assert tensor.isfinite().all(), name
        assert tensor.float().std() > 0.01, name
        rows = tensor.float().reshape(len(tensor), -1)
        assert (rows.abs().max(dim=1).values > 0).all(), name


def test_loading_leaves_the_random_state_alone() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    load()

    assert torch.equal(torch.get_rng_state(), before)


def test_safetensors_reads_what_is_written_and_the_other_way_round(tmp_path: Path) -> None:
    torch_file = pytest.importorskip("safetensors.torch")
    tensors = {"b": torch.arange(6).reshape(2, 3), "a": torch.tensor([1.5], dtype=torch.bfloat16), "c": torch.ones(())}
    (tmp_path / "ours").write_bytes(tensorfile.to_bytes(tensors, {"format": "pt"}))
    torch_file.save_file(tensors, tmp_path / "theirs")

    for read in (torch_file.load_file(tmp_path / "ours"), tensorfile.read_tensors(tmp_path / "theirs")):
        assert read.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert torch.equal(read[name], tensor)
            assert read[name].dtype == tensor.dtype


@pytest.mark.parametrize("damage", [b"", b"\x00" * 8, b"\xff" * 20])
def test_a_file_that_is_no_safetensors_file_is_one_line(folder: Path, damage: bytes) -> None:
    (folder / "model.safetensors").write_bytes(damage)
    with pytest.raises(MMDoctorError, match="not a whole safetensors file"):
        load_model(folder)


def test_a_cut_file_says_where(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-2])
    with pytest.raises(MMDoctorError, match="a tensor ends at byte"):
        load_model(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    tensors = tensorfile.read_tensors(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    (folder / "model.safetensors").write_bytes(tensorfile.to_bytes(tensors))
    with pytest.raises(MMDoctorError, match=r"1 tensors missing.*first: lm_head\.weight"):
        load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_one_line(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(MMDoctorError, match=f"{name} cannot be"):
        load_model(folder)


def test_an_exported_folder_is_the_bundled_one(model: ReferenceModel, tmp_path: Path) -> None:
    torch_file = pytest.importorskip("safetensors.torch")
    target = tmp_path / "new" / "folder"
    written = export(target)

    assert sorted(written) == sorted(target.iterdir())
    files = {file.name: file.read_bytes() for file in written if file.name != "model.pt"}
    assert files == {file.name: file.read_bytes() for file in WEIGHTS.iterdir()}
    tensors = torch_file.load_file(target / "model.safetensors")
    assert {name: tuple(t.shape) for name, t in tensors.items()} == {
        name: tuple(t.shape) for name, t in model.state_dict().items()
    }
    for name, tensor in load_model(target).state_dict().items():
        assert torch.equal(tensor, tensors[name].float())


def test_an_exported_file_is_a_plain_state_dict(model: ReferenceModel, tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    assert export(target) == (target,)
    state = torch.load(target, weights_only=True)

    assert type(state) is OrderedDict
    assert target.stat().st_size < 4.2 * MIB
    for name, tensor in model.state_dict().items():
        assert state[name].dtype == torch.bfloat16
        assert torch.equal(state[name].float(), tensor)


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "model.pt").symlink_to(tmp_path / "mine")
    with pytest.raises(MMDoctorError, match="already there"):
        export(tmp_path / "model.pt")
    export(tmp_path / "model.pt", force=True)

    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "model.pt").is_symlink()


@pytest.mark.parametrize("name", ["model.pt", "folder"])
def test_nothing_is_overwritten_without_force(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    first = export(target)[0]
    first.write_bytes(b"mine")
    with pytest.raises(MMDoctorError, match=f"{first.name} is already there"):
        export(target)
    assert first.read_bytes() == b"mine"

    export(target, force=True)
    assert first.read_bytes() != b"mine"


def test_a_folder_with_other_files_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    export(tmp_path)

    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "config.json").exists()


def test_a_folder_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("mine")
    with pytest.raises(MMDoctorError, match="is a file, so no folder"):
        export(tmp_path / "here", force=True)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MMDoctorError, match="cannot be written"):
        export(tmp_path / "file" / "model.pt")


def test_importing_the_package_imports_no_torch() -> None:
    code = "import mmdoctor, mmdoctor.reference, sys; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
