"""The older layout is one that transformers still reads, and finds the same model in."""

from pathlib import Path

import pytest

from tests import specimens
from tests.specimens.audit import disagreements
from tests.specimens.faults import Patient
from tests.specimens.older import older

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", minversion="5")
pytest.importorskip("torchvision")


@pytest.mark.slow
@pytest.mark.parametrize("name", specimens.NAMES)
def test_an_older_folder_is_the_same_model(name: str, tmp_path: Path) -> None:
    from tests.specimens.examine import examine

    new = specimens.build(name)
    old = older(new, tmp_path / "old")

    seen, before = examine(name, old), examine(name, new)

    assert seen == before
    assert seen.loading == {}
    assert disagreements(old) == []


def test_the_layout_is_the_older_one(tmp_path: Path) -> None:
    old = Patient(older(specimens.build("qwen2_5_vl"), tmp_path / "old"))

    config = old.json("config.json")
    assert config["torch_dtype"] == "bfloat16"
    assert config["rope_theta"] == 1e6
    assert config["rope_scaling"] == {"type": "mrope", "mrope_section": [2, 3, 3]}
    assert config["hidden_size"] == 64
    assert "text_config" not in config
    assert not {"dtype", "rope_parameters"} & set(config["vision_config"])
    assert old.json("preprocessor_config.json")["patch_size"] == 14
    assert old.json("video_preprocessor_config.json")["processor_class"] == "Qwen2_5_VLProcessor"
    assert "<|im_start|>" in old.json("chat_template.json")["chat_template"]
    assert old.json("special_tokens_map.json")["eos_token"] == "<|im_end|>"
    assert old.json("tokenizer_config.json")["added_tokens_decoder"]["511"]["content"] == "<|im_end|>"
    assert not (old / "processor_config.json").exists()
    assert not (old / "chat_template.jinja").exists()
