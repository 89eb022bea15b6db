"""What somebody exported is healthy, and a fault that is put into it is found."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from mmdoctor import check_path
from mmdoctor.engine import NotApplicable
from mmdoctor.examine import describe
from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint, WeightFile
from mmdoctor.facts.checkpoint import Tensor as Stored
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.reference import ReferenceFiles, ReferenceLayout, ReferenceSetting
from mmdoctor.facts.source import FileKind
from mmdoctor.location import Location
from mmdoctor.reference import KINDS, export, tensorfile
from mmdoctor.reference.bundle import default_config, empty_model
from mmdoctor.reference.config import FusionKind, ReferenceConfig, TransformerConfig
from mmdoctor.reference.copies import reference_layout
from mmdoctor.reference.layout import shapes_of
from mmdoctor.testing import fires, silent
from mmdoctor_checks.reference.reference_copy_settings_changed import reference_copy_settings_changed
from mmdoctor_checks.reference.reference_copy_unlike_its_configuration import reference_copy_unlike_its_configuration

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("exported")
    for kind in KINDS:
        export(home / kind, kind)
    return {kind: home / kind for kind in KINDS}


@pytest.fixture
def copy(exported: dict[str, Path], tmp_path: Path) -> Path:
    """The folder, whose weights are a header and a hole: kept copies take no room on the disk."""
    folder = Path(shutil.copytree(exported["hybrid"], tmp_path / "copy", ignore=lambda *_: {"model.pt"}))
    hollow(folder / "model.safetensors")
    return folder


def hollow(file: Path) -> None:
    with file.open("r+b") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        size = opened.seek(0, 2)
        opened.truncate(8 + length)
        opened.truncate(size)


def codes(path: Path) -> list[str]:
    return [finding.code for finding in check_path(path, depth="headers").findings if finding.severity != "note"]


def stored(config: ReferenceConfig, *, but: dict[str, tuple[int, ...]] | None = None) -> Checkpoint:
    shapes = {**dict(shapes_of(config)), **(but or {})}
    tensors = {
        name: Stored(name=name, dtype="BF16", shape=shape, file="model.pt", nbytes=0) for name, shape in shapes.items()
    }
    file = WeightFile(path="model.pt", kind=FileKind.TORCH_ZIP, size=0, tensors=tuple(tensors.values()))
    return Checkpoint(tensors=tensors, files=(file,))


def configured(content: dict[str, Any]) -> ModelConfig:
    document = JsonDocument(file="config.json", value=content)
    return ModelConfig(document=document, model_type=content.get("model_type"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["", "model.pt", "model.safetensors"])
def test_what_is_exported_is_healthy(exported: dict[str, Path], kind: FusionKind, name: str) -> None:
    report = check_path(exported[kind] / name)

    assert [finding.message for finding in report.findings if finding.severity != "note"] == []
    assert report.crashed == ()


@pytest.mark.parametrize("kind", KINDS)
def test_the_head_says_what_was_exported(exported: dict[str, Path], kind: FusionKind) -> None:
    config = default_config(kind)
    artifact = describe(exported[kind])
    parts = {part.role.value: part for part in artifact.parts}

    assert set(parts) == {"vision tower", "projector", "fusion", "text model", "decoder", "head"}
    assert sum(part.parameters for part in artifact.parts) == sum(p.numel() for p in empty_model(config).parameters())
    assert parts["vision tower"].details.items() >= {"patch": 8, "image": 48, "heads": 4}.items()
    assert parts["text model"].details["vocabulary"] == config.text_config.vocab_size
    for role, section in (("vision tower", config.vision_config), ("text model", config.text_config)):
        assert (parts[role].layers or 0) == section.num_hidden_layers
        assert parts[role].details["hidden"] == section.hidden_size
    decoder = parts["decoder"].details
    assert (decoder["layers"], decoder["heads"], decoder["kv_heads"]) == (config.decoder_config.num_hidden_layers, 4, 2)
    if kind != "late":
        assert parts["fusion"].details["layers"] == config.fusion_config.num_hidden_layers


@pytest.mark.parametrize("kind", KINDS)
def test_names_and_shapes_are_the_models_own(kind: FusionKind) -> None:
    replace, config = msgspec.structs.replace, default_config(kind)
    text = replace(config.text_config, num_key_value_heads=1)
    for changed in (
        config,
        replace(config, text_config=text.as_distilbert()) if kind != "early" else config,
        replace(config, text_config=text.as_roberta(pad_token_id=0)),
        replace(config, vision_config=replace(config.vision_config, image_size=64, patch_size=16, num_channels=1)),
    ):
        expected = {name: tuple(tensor.shape) for name, tensor in empty_model(changed).state_dict().items()}
        assert dict(shapes_of(changed)) == expected


def in_json(name: str, change: Callable[[Any], object]) -> Damage:
    def damage(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))

    return damage


def setting(section: str, **values: object) -> Damage:
    return in_json("config.json", lambda content: (content[section] if section else content).update(values))


def in_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Damage:
    def damage(folder: Path) -> None:
        tensors = tensorfile.read_tensors(folder / "model.safetensors")
        change(tensors)
        (folder / "model.safetensors").write_bytes(tensorfile.to_bytes(tensors, {"format": "pt"}))
        hollow(folder / "model.safetensors")

    return damage


def without(prefix: str) -> Damage:
    return in_weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith(prefix)])


def cut(name: str, *index: slice) -> Damage:
    return in_weights(lambda tensors: tensors.update({name: tensors[name][index].clone()}))


EMBEDDINGS = "vision_model.embeddings."
HALF = slice(0, 64)
FAULTS: dict[str, tuple[Damage, str]] = {
    "heads of the vision tower": (setting("vision_config", num_attention_heads=8), "REF010"),
    "heads of the text encoder": (setting("text_config", num_attention_heads=8), "ATT001"),
    "heads of the fusion": (setting("fusion_config", num_attention_heads=8), "REF010"),
    "key-value heads of the decoder": (setting("decoder_config", num_key_value_heads=4), "REF010"),
    "heads that do not divide": (setting("fusion_config", num_attention_heads=3), "REF010"),
    "no heads": (setting("decoder_config", num_attention_heads=0), "REF010"),
    "too many layers of the vision tower": (setting("vision_config", num_hidden_layers=5), "INT010"),
    "too few layers of the decoder": (setting("decoder_config", num_hidden_layers=1), "REF010"),
    "layers without end": (setting("decoder_config", num_hidden_layers=10**15), "REF010"),
    "width inside the feed-forward part": (setting("text_config", intermediate_size=512), "REF010"),
    "width of the vision tower": (setting("vision_config", hidden_size=256), "ATT004"),
    "patch size": (setting("vision_config", patch_size=16), "ATT005"),
    "image size": (setting("vision_config", image_size=64), "ATT005"),
    "colour channels": (setting("vision_config", num_channels=1), "REF010"),
    "positions of the text": (setting("text_config", max_position_embeddings=512), "REF010"),
    "another fusion": (setting("fusion_config", kind="late"), "REF010"),
    "an unknown fusion": (setting("fusion_config", kind="middle"), "REF010"),
    "image placeholder": (setting("", image_token_id=3), "DRF014"),
    "end of a text": (setting("", eos_token_id=3), "REF011"),
    "an id past the vocabulary": (setting("", mask_token_id=9999), "REF010"),
    "answers": (in_json("config.json", lambda c: c["id2label"].update({"0": "green", "1": "red"})), "REF011"),
    "a layer is gone": (without("vision_model.encoder.layers.1."), "INT010"),
    "the last layer of the fusion is gone": (without("fusion.layers.1."), "REF010"),
    "the projector is gone": (without("multi_modal_projector."), "REF010"),
    "a bias is gone": (without("decoder.layers.1.cross_attn.k_proj.bias"), "REF010"),
    "a head is gone": (without("heads.box.fc3."), "REF010"),
    "rows of the vocabulary": (cut("decoder.embeddings.word_embeddings.weight", slice(0, -4)), "DRF016"),
    "rows of the text encoder's vocabulary": (cut("text_model.embeddings.word_embeddings.weight", HALF), "REF010"),
    "rows of the head": (cut("lm_head.weight", slice(0, -4)), "DRF017"),
    "position table": (cut(f"{EMBEDDINGS}position_embedding.weight", slice(0, -1)), "ATT005"),
    "projector width": (cut("multi_modal_projector.vision.weight", slice(None), HALF), "REF010"),
    "patch kernel": (
        cut(f"{EMBEDDINGS}patch_embedding.weight", slice(None), slice(None), slice(0, 4), slice(0, 4)),
        "ATT005",
    ),
    "no image processor": (lambda folder: (folder / "preprocessor_config.json").unlink(), "DRF019"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "DRF019"),
    "mean": (in_json("preprocessor_config.json", lambda c: c.update(image_mean=[0.485, 0.456, 0.406])), "REF011"),
    "scale": (in_json("preprocessor_config.json", lambda c: c.update(rescale_factor=1.0)), "REF011"),
    "picture size": (in_json("preprocessor_config.json", lambda c: c["size"].update(height=64, width=64)), "ATT005"),
    "swapped words": (in_json("tokenizer.json", lambda c: c["model"]["vocab"].update(red=9, green=8)), "REF011"),
    "padding token": (in_json("tokenizer_config.json", lambda c: c.update(pad_token="[EOS]")), "REF011"),
}  # fmt: skip


@pytest.mark.parametrize(("damage", "code"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found(copy: Path, damage: Damage, code: str) -> None:
    damage(copy)

    assert code in codes(copy)


def test_a_state_dict_without_a_part_is_no_whole_model(exported: dict[str, Path], tmp_path: Path) -> None:
    state = torch.load(exported["late"] / "model.pt", weights_only=True)
    del state["heads.box.fc3.weight"]
    torch.save(state, tmp_path / "model.pt")
    report = check_path(tmp_path / "model.pt")

    assert [(finding.code, finding.location.tensor) for finding in report.findings] == [
        ("REF010", "heads.box.fc3.weight")
    ]


def test_a_copy_that_transformers_saved_again_is_healthy(copy: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch_file = pytest.importorskip("safetensors.torch")
    transformers.AutoTokenizer.from_pretrained(copy).save_pretrained(copy)
    transformers.AutoImageProcessor.from_pretrained(copy).save_pretrained(copy)
    tensors = torch_file.load_file(copy / "model.safetensors")
    torch_file.save_file({name: t.float() for name, t in tensors.items()}, copy / "model.safetensors")

    assert codes(copy) == []


def test_a_model_that_was_trained_in_another_size_is_healthy() -> None:
    content = default_config().to_dict()
    content["vision_config"]["num_hidden_layers"] = 6
    layout = reference_layout(configured(content), stored(default_config()))

    silent(
        reference_copy_unlike_its_configuration,
        layout,
        CompleteCheckpoint(checkpoint=stored(ReferenceConfig.from_dict(content))),
    )


def test_a_file_of_another_model_is_none_of_this() -> None:
    other = Checkpoint(tensors={}, files=())
    small = msgspec.structs.replace(default_config(), id2label={"0": "yes"})
    with pytest.raises(NotApplicable, match="only for copies"):
        reference_layout(configured({"model_type": "bert"}), other)
    with pytest.raises(NotApplicable, match="only for copies"):
        reference_layout(None, other)
    with pytest.raises(NotApplicable, match="only for copies"):
        reference_layout(None, stored(small, but=dict.fromkeys(list(dict(shapes_of(small)))[:60], (1,))))
    with pytest.raises(NotApplicable, match="packed weights"):
        reference_layout(configured({"model_type": "mmdoctor_reference", "quantization_config": {"bits": 4}}), other)


@pytest.mark.parametrize("field", ["hidden_size", "num_attention_heads", "num_key_value_heads", "intermediate_size"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_size_that_is_none_is_refused(field: str, value: int) -> None:
    content = {**msgspec.to_builtins(TransformerConfig()), field: value}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(content, TransformerConfig)


SHAPES = {"lm_head.weight": (92, 128), "decoder.layers.0.k.weight": (64, 128), "decoder.layers.1.k.weight": (64, 128)}
LAYOUT = ReferenceLayout(shapes=SHAPES, at=Location(file="config.json"))


def held(shapes: dict[str, tuple[int, ...]]) -> CompleteCheckpoint:
    tensors = {
        name: Stored(name=name, dtype="BF16", shape=shape, file="model.safetensors", nbytes=0)
        for name, shape in shapes.items()
    }
    file = WeightFile(path="model.safetensors", kind=FileKind.SAFETENSORS, size=0)
    return CompleteCheckpoint(checkpoint=Checkpoint(tensors=tensors, files=(file,)))


def test_the_same_tensors_are_silent() -> None:
    silent(reference_copy_unlike_its_configuration, LAYOUT, held(SHAPES))


def test_what_differs_is_counted_and_named() -> None:
    wrong = {"lm_head.weight": (91, 128), "other.weight": (1,)}
    (problem,) = fires(reference_copy_unlike_its_configuration, LAYOUT, held(wrong))

    assert "2 are missing and 1 is of another shape and 1 is there that it does not make" in problem.message
    assert [(evidence.at.tensor, evidence.expected) for evidence in problem.because[:3]] == [
        ("decoder.layers.{0,1}.k.weight", "present"),
        ("lm_head.weight", "[92, 128]"),
        ("other.weight", "no such tensor"),
    ]


def test_a_configuration_that_contradicts_itself_is_told_with_its_place() -> None:
    content = default_config().to_dict()
    content["text_config"]["num_attention_heads"] = 5
    layout = reference_layout(configured(content), Checkpoint(tensors={}, files=()))
    (problem,) = fires(reference_copy_unlike_its_configuration, layout, held({}))

    assert "hidden_size 128 is not a multiple of num_attention_heads 5" in problem.message
    assert problem.because[0].at.pointer == "/text_config"


def test_settings_of_one_file_are_one_problem() -> None:
    at = Location(file="preprocessor_config.json", pointer="/image_mean")
    one = ReferenceSetting(name="image_mean", observed="[0.4]", expected="[0.5]", at=at)
    (problem,) = fires(reference_copy_settings_changed, ReferenceFiles(differences=(one, one, one)))

    assert "image_mean [0.4], the reference model was trained with [0.5], and 2 more settings differ" in problem.message
    silent(reference_copy_settings_changed, ReferenceFiles(differences=()))


def test_a_header_alone_is_enough(copy: Path) -> None:
    assert codes(copy) == []
