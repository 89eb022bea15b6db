"""Each fault that the shape rules report is one: transformers refuses the model or makes weights up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("transformers")

import transformers

from mmdoctor import check_path
from mmdoctor.finding import Severity
from tests import specimens
from tests.specimens.faults import Patient

pytestmark = pytest.mark.slow

SHAPE_RULES = ("ATT001", "ATT003", "ATT004", "ATT005", "ATT007", "INT010", "INT014", "DRF017")


def _wider(name: str, by: tuple[int, int]) -> Callable[[Patient], None]:
    """Grow a matrix by rows and columns."""

    def hurt(patient: Patient) -> None:
        rows, columns = patient.tensors()[name].array.shape
        patient.tensor(name, np.ones((rows + by[0], columns + by[1]), np.float32))

    return hurt


def _set(pointer: str, change: Callable[[Any], Any]) -> Callable[[Patient], None]:
    def hurt(patient: Patient) -> None:
        value = patient.json("config.json")
        for key in pointer.split("/")[1:]:
            value = value[key]
        patient.edit("config.json", {pointer: change(value)})

    return hurt


def _drop(*patterns: str) -> Callable[[Patient], None]:
    def hurt(patient: Patient) -> None:
        for pattern in patterns:
            patient.drop_tensor(pattern)

    return hurt


def _prefix(patient: Patient) -> None:
    patient.rename_tensors(lambda name: f"module.{name}")


def double(value: int) -> int:
    return 2 * value


def more(value: int) -> int:
    return value + 1


FAULTS: list[tuple[str, str, str, Callable[[Patient], None]]] = [
    ("ATT001", "head_dim", "qwen3_vl", _set("/text_config/head_dim", double)),
    ("ATT001", "head_dim", "llava", _set("/text_config/head_dim", double)),
    ("ATT001", "key/value heads", "qwen2_5_vl", _set("/text_config/num_key_value_heads", double)),
    ("ATT001", "key/value heads", "mistral3", _set("/text_config/num_key_value_heads", double)),
    ("ATT001", "hidden_size", "llama", _set("/hidden_size", double)),
    ("ATT003", "key/value heads", "phi3", _set("/num_key_value_heads", lambda v: 1 if v > 1 else 2)),
    ("ATT003", "key/value heads", "falcon", _set("/num_kv_heads", lambda _: 1)),
    ("ATT003", "key/value heads", "gpt_bigcode", _set("/multi_query", lambda v: not v)),
    ("ATT004", "width", "llava", _set("/vision_config/hidden_size", double)),
    ("ATT004", "heads", "siglip", _set("/vision_config/num_attention_heads", lambda _: 7)),
    ("ATT004", "width", "qwen2_5_vl", _set("/vision_config/hidden_size", double)),
    ("ATT005", "image size", "llava", _set("/vision_config/image_size", double)),
    ("ATT005", "image size", "clip", _set("/vision_config/image_size", double)),
    ("ATT005", "image size", "vit", _set("/image_size", double)),
    ("ATT005", "patch size", "siglip", _set("/vision_config/patch_size", double)),
    ("ATT007", "projector", "llava", _wider("multi_modal_projector.linear_1.weight", (0, 8))),
    ("ATT007", "projector", "internvl", _wider("multi_modal_projector.linear_2.weight", (8, 0))),
    ("ATT007", "projector", "paligemma", _wider("multi_modal_projector.linear.weight", (0, 8))),
    ("ATT007", "stacked patches", "idefics3", _set("/scale_factor", more)),
    ("INT010", "a value projection", "llava", _drop("*layers.1.self_attn.v_proj.weight")),
    ("INT010", "a tower", "llava", _drop("vision_tower.*")),
    ("INT010", "a layer", "qwen2_5_vl", _drop("model.layers.1.*")),
    ("INT010", "a layer", "siglip", _set("/vision_config/num_hidden_layers", more)),
    ("INT010", "a projector", "gemma3", _drop("multi_modal_projector.*")),
    ("INT010", "a norm", "llava", _drop("*model.norm.weight")),
    ("INT010", "a prefix", "llava", _prefix),
    ("INT010", "a prefix", "siglip", _prefix),
    ("INT014", "the head", "llava", _drop("*lm_head.weight")),
    ("INT014", "the head", "pixtral", _drop("*lm_head.weight")),
    ("INT014", "the head", "internvl", _drop("*lm_head.weight")),
    ("DRF017", "the vocabulary", "llava", _set("/text_config/vocab_size", more)),
    ("DRF017", "the vocabulary", "whisper", _set("/vocab_size", more)),
    ("DRF017", "the vocabulary", "mllama", _set("/text_config/vocab_size", more)),
]


@pytest.mark.parametrize(("code", "what", "name", "hurt"), FAULTS, ids=[f"{c} {w} {n}" for c, w, n, _ in FAULTS])
def test_the_library_does_not_load_it_whole(
    code: str, what: str, name: str, hurt: Callable[[Patient], None], tmp_path: Path
):
    patient = Patient.copy(_healthy(name, tmp_path), tmp_path / "model")
    before = _found(patient.path)
    assert not before, "healthy to begin with"

    hurt(patient)

    assert _found(patient.path) == {code}
    assert _is_refused(patient.path)


def _healthy(name: str, tmp_path: Path) -> Path:
    """The specimen of that name, or a tiny language model of that type."""
    if name in specimens.NAMES:
        return specimens.build(name)
    sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2, "vocab_size": 96}
    own = {"falcon": {"new_decoder_architecture": True, "num_kv_heads": 2}}.get(name, {})
    config = transformers.AutoConfig.for_model(name, **sizes, **own)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path / "healthy")
    return tmp_path / "healthy"


def _found(path: Path) -> set[str]:
    report = check_path(path, depth="headers", select=SHAPE_RULES, plugins=False)
    return {f.code for f in report.findings if f.severity is Severity.ERROR}


def _is_refused(path: Path) -> bool:
    """Whether loading raises, or leaves weights that the checkpoint does not fill."""
    config = transformers.AutoConfig.from_pretrained(path)
    model_class = getattr(transformers, config.architectures[0])
    try:
        _, info = model_class.from_pretrained(path, output_loading_info=True)
    except (RuntimeError, ValueError):
        return True
    return bool(info["missing_keys"] or info["mismatched_keys"])
