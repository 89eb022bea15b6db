"""The knife cuts where it is told to, and nowhere else."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.specimens import tensors as store
from tests.specimens.faults import INDEX, Patient
from tests.specimens.tensors import Tensor


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A folder made by hand: no torch needed."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"vision_config": {"patch_size": 14}, "eos_token_id": [1, 2]}))
    (folder / "processor_config.json").write_text(json.dumps({"image_processor": {"size": {"height": 224}}}))
    held = {
        "model.layers.0.weight": Tensor.of(np.arange(12.0).reshape(3, 4), "BF16"),
        "model.layers.1.weight": Tensor.of(np.ones((3, 4)), "F16"),
        "model.steps": Tensor.of([7], "I64"),
    }
    store.write(folder / "model.safetensors", held, {"format": "pt"})
    return Patient.copy(folder, tmp_path / "copy")


def test_edits_by_pointer_and_makes_parents(patient: Patient) -> None:
    patient.edit("config.json", {"/vision_config/patch_size": 16, "/text_config/a~1b": 1, "/eos_token_id/-": 3})

    expected = {"vision_config": {"patch_size": 16}, "eos_token_id": [1, 2, 3], "text_config": {"a/b": 1}}
    assert patient.json("config.json") == expected


def test_drops_keys_that_are_there(patient: Patient) -> None:
    patient.drop_key("config.json", "/vision_config/patch_size", "/eos_token_id/0")

    assert patient.json("config.json") == {"vision_config": {}, "eos_token_id": [2]}
    with pytest.raises(KeyError):
        patient.drop_key("config.json", "/nowhere")


def test_finds_the_image_processor_in_both_layouts(patient: Patient) -> None:
    assert patient.image_processor({"/size/height": 448}) == "processor_config.json"
    assert patient.json("processor_config.json")["image_processor"]["size"]["height"] == 448

    patient.delete("processor_config.json")
    patient.write("preprocessor_config.json", {"size": 224})

    assert patient.image_processor({"/size": 336}) == "preprocessor_config.json"
    assert patient.json("preprocessor_config.json") == {"size": 336}


def test_files_are_written_truncated_flipped_and_renamed(patient: Patient) -> None:
    size = (patient / "config.json").stat().st_size
    kept = patient.truncate("config.json", 0.5)
    patient.write("deep/merges.txt", "a b\n")
    patient.write("blob", b"\x00\x00")
    patient.flip("blob", -1, bit=7)
    patient.rename("blob", "other")

    assert kept == size // 2 == (patient / "config.json").stat().st_size
    assert (patient / "deep" / "merges.txt").read_text() == "a b\n"
    assert (patient / "other").read_bytes() == b"\x00\x80"
    with pytest.raises(LookupError, match="no file"):
        patient.delete("*.nothing")


def test_safetensors_agrees_with_what_was_written(patient: Patient) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    patient.cast("F32")
    patient.tensor("model.layers.0.*", np.full((2, 2), 0.5))
    patient.poison("model.layers.1.weight", math.nan, every=5)

    loaded = numpy.load_file(patient / "model.safetensors")

    assert loaded["model.layers.0.weight"].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert int(np.isnan(loaded["model.layers.1.weight"]).sum()) == 3
    assert loaded["model.steps"].tolist() == [7]


def test_bf16_rounds_to_even_and_keeps_what_is_not_finite() -> None:
    given = np.array([1.0, 1.00390625, 1.01171875, math.inf, math.nan, 3.0e38], "f4")

    held = Tensor.of(given, "BF16").floats()

    assert held[:4].tolist() == [1.0, 1.0, 1.015625, math.inf]
    assert math.isnan(held[4])
    assert held[5] == pytest.approx(3.0e38, rel=0.01)


def test_tensors_are_dropped_added_and_renamed(patient: Patient) -> None:
    patient.drop_tensor("model.steps")
    patient.add_tensor("extra", [1.0, 2.0], "BF16")
    patient.rename_tensors(lambda name: name.replace("model.", "module."))

    assert list(patient.tensors()) == ["module.layers.0.weight", "module.layers.1.weight", "extra"]
    with pytest.raises(LookupError, match="no tensor"):
        patient.drop_tensor("vision.*")
    with pytest.raises(LookupError, match="another name"):
        patient.rename_tensors(str)


def test_reshards_with_an_index_that_follows(patient: Patient) -> None:
    before = patient.tensors()
    files = patient.reshard(2)

    assert files == ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert set(patient.json(INDEX)["weight_map"]) == set(before)
    assert patient.json(INDEX)["metadata"]["total_size"] == 12 * 2 + 12 * 2 + 8

    patient.drop_tensor("model.steps")

    assert set(patient.json(INDEX)["weight_map"]) == set(before) - {"model.steps"}

    assert patient.reshard(1) == ["model.safetensors"]
    assert not (patient / INDEX).exists()
    assert set(patient.tensors()) == set(before) - {"model.steps"}


def test_the_header_can_lie(patient: Patient) -> None:
    size = (patient / "model.safetensors").stat().st_size

    def lie(header: store.Header) -> None:
        header["model.steps"]["shape"] = [2]

    patient.header("model.safetensors", lie)

    with pytest.raises(ValueError, match="reshape"):
        patient.tensors()
    assert abs((patient / "model.safetensors").stat().st_size - size) < 8


@pytest.mark.parametrize("legacy", [False, True])
def test_pickles_hold_the_same_tensors(patient: Patient, legacy: bool) -> None:
    torch = pytest.importorskip("torch")
    before = patient.tensors()

    path = patient.pickled("model.pt", wrap=lambda state: {"model": state, "step": 3}, legacy=legacy)

    loaded = torch.load(path, weights_only=True)
    assert loaded["step"] == 3
    assert {name: list(value.shape) for name, value in loaded["model"].items()} == {
        name: list(tensor.array.shape) for name, tensor in before.items()
    }
    assert loaded["model"]["model.layers.0.weight"].dtype == torch.bfloat16
    assert (
        loaded["model"]["model.layers.0.weight"].float().tolist() == before["model.layers.0.weight"].floats().tolist()
    )
    assert patient.shards() == []
    assert (path.read_bytes()[:2] == b"PK") is not legacy
