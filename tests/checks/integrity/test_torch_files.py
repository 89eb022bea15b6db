"""INT003, INT016, INT018 and INT023 on files that torch wrote, whole and damaged."""

import argparse
import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from mmdoctor import Severity
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.machine import Machine
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram
from mmdoctor.facts.source import Depth, FileEntry, FileKind, Source
from mmdoctor.probes.checksums import checksums
from mmdoctor.readers.torch_file import read_torch
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.full_object_pickle import full_object_pickle
from mmdoctor_checks.integrity.nested_or_training_checkpoint import nested_or_training_checkpoint
from mmdoctor_checks.integrity.zip_member_checksum import zip_member_checksum
from mmdoctor_checks.integrity.zip_pt_truncated import zip_pt_truncated
from tests.hostile import pickles

pytestmark = pytest.mark.filterwarnings("ignore")


def artefact(root: Path, **files: bytes) -> tuple[Source, Checkpoint]:
    """A folder with these files; those that are no JSON are its weights."""
    entries, weights = [], []
    for name, data in files.items():
        (root / name).write_bytes(data)
        kind = FileKind.JSON if name.endswith(".json") else FileKind.TORCH_ZIP
        entry = FileEntry(path=name, kind=kind, size=len(data), head=data[:512])
        entries.append(entry)
        if kind is not FileKind.JSON:
            weights.append(read_torch(root / name, entry))
    tensors = {t.name: t for w in weights for t in w.tensors}
    return Source(root=root, name=root.name, files=tuple(entries)), Checkpoint(files=tuple(weights), tensors=tensors)


def saved(value: object, **options: object) -> bytes:
    """What torch.save writes."""
    data = io.BytesIO()
    torch.save(value, data, **options)
    return data.getvalue()


def machine(gpus: int = 0) -> Machine:
    """A machine with so many GPUs."""
    from mmdoctor.facts.machine import Gpu

    found = tuple(Gpu(index=i, name="G", total_bytes=1, free_bytes=1) for i in range(gpus))
    return Machine(platform="L", python="3.11", cpus=1, ram_bytes=1, ram_available_bytes=1, gpus=found)


STATE = {f"layers.{i}.weight": torch.rand(16, 16) for i in range(6)}
ZIPPED = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class TestTruncated:
    @ZIPPED
    def test_fires_with_numbers(self, tmp_path: Path, zipped: bool):
        whole = saved(STATE, _use_new_zipfile_serialization=zipped)
        _, checkpoint = artefact(tmp_path, **{"model.pt": whole[: len(whole) // 2]})
        (problem,) = fires(zip_pt_truncated, checkpoint)

        assert f"{len(whole) // 2:,}" in problem.message
        assert "of 6 storages are whole" in problem.message
        assert problem.because[0].at.tensor in STATE

    @ZIPPED
    def test_one_byte_less_is_enough(self, tmp_path: Path, zipped: bool):
        whole = saved(STATE, _use_new_zipfile_serialization=zipped)
        _, less = artefact(tmp_path, **{"model.pt": whole[:-1]})
        _, exact = artefact(tmp_path, **{"model.pt": whole})

        fires(zip_pt_truncated, less)
        silent(zip_pt_truncated, exact)

    def test_a_bomb_is_a_warning(self, tmp_path: Path):
        _, checkpoint = artefact(tmp_path, **{"m.pt": pickles.archive(pickles.doubling())})
        (problem,) = fires(zip_pt_truncated, checkpoint)

        assert problem.severity is Severity.WARNING

    def test_silent_on_every_healthy_form(self, tmp_path: Path):
        script = io.BytesIO()
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), script)
        _, checkpoint = artefact(
            tmp_path,
            **{
                "script.pt": script.getvalue(),
                "module.pt": saved(nn.Linear(2, 2)),
                "old.pt": saved(STATE, _use_new_zipfile_serialization=False),
                "empty.pt": saved({}),
                "odd.pt": pickles.archive(pickles.plain_state_dict(), "model_600000"),
            },
        )

        silent(zip_pt_truncated, checkpoint)


CHECKPOINT = {
    "epoch": 1,
    "state_dict": STATE,
    "optimizer": {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.rand(99)}}, "param_groups": []},
}


class TestNested:
    @ZIPPED
    def test_names_the_entry_and_the_line(self, tmp_path: Path, zipped: bool):
        data = saved(CHECKPOINT, _use_new_zipfile_serialization=zipped)
        source, checkpoint = artefact(tmp_path, **{"last.ckpt": data})
        (problem,) = fires(nested_or_training_checkpoint, checkpoint, source)

        assert problem.severity is Severity.NOTE
        assert '"state_dict" (6 tensors' in problem.message
        assert "optimizer" in problem.message
        assert '["state_dict"]' in problem.fix.text

    def test_lists_model_and_average_and_chooses_none(self, tmp_path: Path):
        source, checkpoint = artefact(tmp_path, **{"m.pt": saved({"model": STATE, "ema": STATE, "step": 1})})
        (problem,) = fires(nested_or_training_checkpoint, checkpoint, source)

        assert "none is chosen" in problem.message
        assert '"model"' in problem.message
        assert '"ema"' in problem.message

    def test_is_an_error_where_the_loader_takes_it_raw(self, tmp_path: Path):
        source, checkpoint = artefact(
            tmp_path, **{"pytorch_model.bin": saved(CHECKPOINT), "config.json": b'{"model_type": "bert"}'}
        )
        (problem,) = fires(nested_or_training_checkpoint, checkpoint, source)

        assert problem.severity is Severity.ERROR

    def test_is_real_transformers_loads_nothing(self, tmp_path: Path):
        from transformers import BertConfig, BertModel

        config = BertConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=20
        )
        model = BertModel(config)
        config.save_pretrained(tmp_path)
        torch.save({"epoch": 1, "state_dict": model.state_dict()}, tmp_path / "pytorch_model.bin")
        try:
            loaded, info = BertModel.from_pretrained(tmp_path, output_loading_info=True)
        except (ValueError, AttributeError, TypeError):
            return  # it does not even load
        assert len(info["missing_keys"]) >= len(model.state_dict()) - 1
        assert not torch.equal(loaded.embeddings.word_embeddings.weight, model.embeddings.word_embeddings.weight)

    def test_silent_on_plain_state_dicts_and_modules(self, tmp_path: Path):
        source, checkpoint = artefact(tmp_path, **{"pytorch_model.bin": saved(STATE), "net.pt": saved(nn.Linear(2, 2))})

        silent(nested_or_training_checkpoint, checkpoint, source)


def pickled(root: str, cls: str | None = None, *names: str, **more: object) -> Checkpoint:
    """A checkpoint whose pickle has that root and these names, `module:name`."""
    from mmdoctor.facts.checkpoint import WeightFile

    found = tuple(PickleGlobal(module=n.split(":")[0], name=n.split(":")[1], called=True) for n in names)
    program = PickleProgram(file="m.pt", root=root, root_class=cls, globals=found, **more)
    return Checkpoint(files=(WeightFile(path="m.pt", kind=FileKind.TORCH_ZIP, size=1, program=program),), tensors={})


class TestFullObject:
    def test_a_projects_class_is_an_error(self):
        (problem,) = fires(full_object_pickle, pickled("instance", "models.net.Net", "models.net:Net"), None)

        assert problem.severity is None
        assert "models.net" in problem.message

    def test_main_is_certain(self):
        (problem,) = fires(full_object_pickle, pickled("instance", "__main__.Net", "__main__:Net"), None)

        assert "__main__" in problem.message

    @pytest.mark.parametrize("cls", ["torch.nn.modules.container.Sequential", "torchvision.models.resnet.ResNet"])
    def test_a_librarys_class_is_a_warning(self, cls: str):
        module, _, name = cls.rpartition(".")
        (problem,) = fires(full_object_pickle, pickled("instance", cls, f"{module}:{name}"), None)

        assert problem.severity is Severity.WARNING

    def test_really_pickled_modules(self, tmp_path: Path):
        for zipped in (True, False):
            _, checkpoint = artefact(
                tmp_path, **{"m.pt": saved(nn.Linear(2, 2), _use_new_zipfile_serialization=zipped)}
            )
            (problem,) = fires(full_object_pickle, checkpoint, None)
            assert "torch.nn.modules.linear.Linear" in problem.message

    def test_a_module_in_a_dictionary_is_one_too(self, tmp_path: Path):
        _, checkpoint = artefact(tmp_path, **{"m.pt": saved({"epoch": 1, "model": nn.Linear(2, 2)})})

        fires(full_object_pickle, checkpoint, None)

    def test_helpers_of_the_training_script(self):
        (problem,) = fires(full_object_pickle, pickled("dict", None, "__main__:RecorderMeter"), None)

        assert problem.severity is Severity.WARNING

    def test_objects_of_libraries_beside_the_tensors_are_a_note(self):
        (problem,) = fires(full_object_pickle, pickled("dict", None, "omegaconf.listconfig:ListConfig"), None)

        assert problem.severity is Severity.NOTE

    def test_silent_on_what_is_normal(self, tmp_path: Path):
        import numpy as np

        _, checkpoint = artefact(
            tmp_path, **{"m.pt": saved({"m": STATE, "best": np.float64(1), "args": argparse.Namespace(a=1)})}
        )

        silent(full_object_pickle, checkpoint, machine())

    def test_a_gpu_that_is_not_here_is_a_note(self):
        (problem,) = fires(full_object_pickle, pickled("dict", devices=("cuda:3",)), machine(gpus=3))

        assert problem.severity is Severity.NOTE
        silent(full_object_pickle, pickled("dict", devices=("cuda:3",)), machine(gpus=4))
        silent(full_object_pickle, pickled("dict", devices=("cpu",)), machine())


class TestChecksums:
    def flip(self, tmp_path: Path, name: str, data: bytes) -> tuple[Source, Checkpoint]:
        """The file with one bit of a tensor's bytes turned."""
        source, checkpoint = artefact(tmp_path, **{"m.pt": data})
        start = checkpoint.tensors[name].start
        assert start is not None
        changed = bytearray(data)
        changed[start + 100] ^= 1
        (tmp_path / "m.pt").write_bytes(bytes(changed))
        return source, checkpoint

    def test_a_flipped_bit_is_found_where_torch_sees_none(self, tmp_path: Path):
        source, checkpoint = self.flip(tmp_path, "layers.3.weight", saved(STATE))
        loaded = torch.load(tmp_path / "m.pt")
        facts = checksums(checkpoint, source, Depth.WEIGHTS)
        (problem,) = fires(zip_member_checksum, facts)

        assert not torch.equal(loaded["layers.3.weight"], STATE["layers.3.weight"])
        assert problem.because[0].at.tensor == "layers.3.weight"
        assert "without a word" in problem.message
        assert facts.members > len(STATE)

    def test_a_whole_file_is_silent(self, tmp_path: Path):
        source, checkpoint = artefact(tmp_path, **{"m.pt": saved(STATE)})

        silent(zip_member_checksum, checksums(checkpoint, source, Depth.WEIGHTS))

    def test_compressed_members_are_unpacked_for_it(self, tmp_path: Path):
        out = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(saved(STATE))) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
            for info in old.infolist():
                new.writestr(info.filename, old.read(info.filename))
        source, checkpoint = artefact(tmp_path, **{"m.pt": out.getvalue()})

        silent(zip_member_checksum, checksums(checkpoint, source, Depth.WEIGHTS))

    def test_not_at_headers_and_not_without_zip(self, tmp_path: Path):
        source, checkpoint = artefact(tmp_path, **{"m.pt": saved(STATE)})
        with pytest.raises(NotApplicable, match="--depth weights"):
            checksums(checkpoint, source, Depth.HEADERS)
        source, checkpoint = artefact(tmp_path, **{"m.pt": saved(STATE, _use_new_zipfile_serialization=False)})
        with pytest.raises(NotApplicable):
            checksums(checkpoint, source, Depth.WEIGHTS)

    def test_saved_without_checksums(self, tmp_path: Path):
        torch.serialization.set_crc32_options(False)
        try:
            data = saved(STATE)
        finally:
            torch.serialization.set_crc32_options(True)
        source, checkpoint = artefact(tmp_path, **{"m.pt": data})
        with pytest.raises(Unavailable, match="no checksums"):
            checksums(checkpoint, source, Depth.WEIGHTS)
