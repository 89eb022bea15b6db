"""The table of class defaults against the configuration classes of the installed transformers."""

import pytest

from mmdoctor.architectures.spelling import class_defaults

transformers = pytest.importorskip("transformers")
CONFIG_MAPPING = transformers.models.auto.configuration_auto.CONFIG_MAPPING


def _classes() -> dict[str, type]:
    found: dict[str, type] = {}
    waiting = []
    for model_type in transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES:
        try:
            waiting.append(CONFIG_MAPPING[model_type])
        except (KeyError, ImportError):
            continue
    while waiting:
        cls = waiting.pop()
        if cls.model_type and found.setdefault(cls.model_type, cls) is cls:
            waiting += [c for c in cls.sub_configs.values() if isinstance(c, type) and c.__name__ != "AutoConfig"]
    return found


CLASSES = _classes()


def test_every_value_is_the_classes_own():
    compared = 0
    for model_type, entry in class_defaults().items():
        fields = getattr(CLASSES.get(model_type), "__dataclass_fields__", {})
        for key, value in entry.defaults.items():
            if key in fields:
                default = fields[key].default
                assert (list(default) if isinstance(default, tuple) else default) == value, (model_type, key)
                compared += 1

    assert compared > 3000


def test_nested_types_and_tying_are_the_classes_own():
    compared = 0
    for model_type in ("llava", "qwen2_5_vl", "gemma3", "internvl", "mistral3", "mllama", "llama", "gemma", "whisper"):
        entry, built = class_defaults()[model_type], CLASSES[model_type]()
        for key, nested in entry.sections.items():
            assert getattr(built, key).model_type == nested
            compared += 1
        assert entry.ties[0] == getattr(built, "tie_word_embeddings", None)

    assert compared >= 10


def test_derived_values_are_left_out():
    assert "head_dim" not in class_defaults()["llama"].defaults
    assert "num_key_value_heads" not in class_defaults()["llama"].defaults
    assert class_defaults()["mistral"].defaults["num_key_value_heads"] == 8
    assert class_defaults()["gemma"].defaults["head_dim"] == 256
