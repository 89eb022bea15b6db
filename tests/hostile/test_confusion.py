"""Values of the wrong kind anywhere in the documents of a model: no rule and no report stumbles over them."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmdoctor import MMDoctorError, check_path
from mmdoctor.architectures import registry
from mmdoctor.config import Wishes
from mmdoctor.plugins import Rules, load_rules
from mmdoctor.report import json_v1, markdown, terminal
from tests.hostile import artefacts
from tests.hostile.command import assert_printable

CASES = 250
"""Mutants a seed; with other seeds, 10,000 of these and of real configurations found nothing more."""
TARGETS = (None, Wishes(gpu="L4-24GB", engine="vllm", tensor_parallel_size=3), Wishes(engine="llama.cpp"))
DOCUMENTS: dict[str, Any] = {
    "config.json": artefacts.CONFIG,
    "preprocessor_config.json": artefacts.PROCESSOR,
    "processor_config.json": artefacts.JOINT,
    "tokenizer.json": artefacts.TOKENIZER,
    "tokenizer_config.json": artefacts.TOKENIZER_CONFIG,
    "generation_config.json": {"eos_token_id": 1, "pad_token_id": [0]},
    "special_tokens_map.json": {"bos_token": {"content": "a"}, "additional_special_tokens": ["<image>"]},
    "added_tokens.json": {"<image>": 9},
    "adapter_config.json": {
        "peft_type": "LORA",
        "r": 8,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": "a/b",
    },
    "model.safetensors.index.json": {"metadata": {"total_size": 9}, "weight_map": {"a": "model.safetensors"}},
}
SEVERAL = ("adapter_config.json", "model.safetensors.index.json", "added_tokens.json", "special_tokens_map.json")
"""Documents that only some of the folders have."""
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 3, 7, -0.0, 0.5, 1e-320, -1e308, float("nan"), float("inf")),
    *(
        10**400,
        -(10**400),
        2**63,
        2**31,
        10**15,
        "",
        "x",
        "14",
        "float16",
        "auto",
        "\ud800",
        artefacts.ESCAPES,
        "9" * 5000,
    ),
    *([], [0], [[]], [None], [1, 2, 3], [-1, 0], ["a"], [0] * 9, {}, {"": None}, {"a": {"b": []}}, {"model_type": 7}),
    *(
        {"height": 0, "width": 0},
        {"shortest_edge": -1},
        {"longest_edge": "x"},
        {"model_type": "clip", "hidden_size": 0},
    ),
)

NAMES = ("", "/", "~1", "a" * 70_000, artefacts.ESCAPES, "vision_config", "text_config")


@pytest.fixture(scope="module")
def rules() -> Rules:
    """The rules, loaded once."""
    return load_rules(plugins=True)


@pytest.mark.parametrize("seed", range(4))
def test_no_rule_stumbles(seed: int, rules: Rules, tmp_path: Path) -> None:
    chance = random.Random(seed)
    types = registry.known_types()
    for case in range(CASES):
        documents = copy.deepcopy({k: v for k, v in DOCUMENTS.items() if k not in SEVERAL or chance.random() < 0.2})
        if chance.random() < 0.8:
            documents["config.json"]["model_type"] = chance.choice(types)
        for _ in range(chance.choice((1, 1, 2, 5))):
            file = chance.choice([*documents, "config.json", "config.json"])
            documents[file] = _mutated(documents[file], chance)
        folder = _written(tmp_path / str(case), documents, chance)

        _assert_no_crash(folder, rules, chance.choice(TARGETS), documents)


def _assert_no_crash(folder: Path, rules: Rules, target: Wishes | None, documents: dict[str, Any]) -> None:
    try:
        report = check_path(folder, rules=rules, target=target)
    except MMDoctorError:
        return
    assert not report.crashed, (report.crashed[0].traceback, documents)
    for text in (json_v1.render(report), markdown.render(report), terminal.render(report, width=80, color=False)):
        assert_printable(text)


def _mutated(document: Any, chance: random.Random) -> Any:
    """The document with one value replaced, dropped or renamed."""
    places = list(_places(document))
    if not places:
        return copy.deepcopy(chance.choice(ODD))
    holder, key = chance.choice(places)
    what = chance.random()
    if what < 0.08:
        del holder[key]
    elif what < 0.14 and isinstance(holder, dict):
        holder[chance.choice(NAMES)] = holder.pop(key)
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(inside):
        yield value, key
        yield from _places(inner)


def _written(folder: Path, documents: dict[str, Any], chance: random.Random) -> Path:
    folder.mkdir()
    for file, value in documents.items():
        (folder / file).write_text(json.dumps(value))
    shapes: dict[str, tuple[int, ...]] = artefacts.tensors()
    for name in chance.sample(sorted(shapes), chance.choice((0, 0, 1, 4))):
        shapes[name] = chance.choice(((), (0,), (0, 8), (1,), (8, 8), (64, 1, 1), (2, 3, 4, 5), (1, 1, 1, 1, 1, 1)))
    artefacts.safetensors(folder / "model.safetensors", shapes)
    return folder
