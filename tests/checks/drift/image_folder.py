"""Folders of JSON files in memory, read as the engine would read them: for the rules about settings of images."""

import functools
import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mmdoctor.check import Check
from mmdoctor.config import Wishes
from mmdoctor.engine import Engine
from mmdoctor.examine import check_path
from mmdoctor.facts.image_tokens import ImageRequest
from mmdoctor.facts.machine import Target
from mmdoctor.facts.source import Source
from mmdoctor.finding import Edit, Finding, Removal
from mmdoctor.plugins import Rules, load_rules
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source

T = TypeVar("T")
Json = dict[str, Any]

TEXT = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 8192}
CLIP = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14, "hidden_size": 64}
SIGLIP = {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14, "hidden_size": 64}


def square(edge: int) -> Json:
    return {"height": edge, "width": edge}


def write(
    folder: Path, config: Json, images: Json, processor: Json | None, *, nested: bool = True, **files: Any
) -> Path:
    """A folder as transformers 5 saves it (`nested`), or as 4 does."""
    folder.mkdir(exist_ok=True)
    joint = dict(processor or {})
    if nested:
        joint["image_processor"] = images
    else:
        (folder / "preprocessor_config.json").write_text(json.dumps(images))
    if joint:
        (folder / "processor_config.json").write_text(json.dumps(joint))
    (folder / "config.json").write_text(json.dumps(config))
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return folder


@functools.cache
def _rules() -> Rules:
    return load_rules()


def found(
    folder: Path, *codes: str, request: ImageRequest | None = None, target: Wishes | None = None
) -> tuple[Finding, ...]:
    """What these rules say of the folder, at header depth."""
    report = check_path(folder, depth="headers", select=codes, images=request, rules=_rules(), target=target)
    assert not report.crashed, report.crashed
    return report.findings


def facts(folder: Path) -> Engine:
    return Engine(Providers(), {Source: open_source(folder), ImageRequest: ImageRequest(), Target: Target()})


def fact(folder: Path, kind: type[T]) -> T:
    return facts(folder).fact(kind)


def arguments(rule: Check[...], folder: Path) -> list[object]:
    """The facts that the rule asks for, for `fires` and `silent`."""
    engine = facts(folder)
    return [engine.fact_or_none(n.fact) if n.optional else engine.fact(n.fact) for n in rule.needs]


def settle(folder: Path, finding: Finding) -> None:
    """Make the edits that the finding proposes."""
    assert finding.fix is not None
    assert finding.fix.edits, finding.fix.text
    for edit in finding.fix.edits:
        assert isinstance(edit, (Edit, Removal))
        file = folder / edit.file
        document = place = json.loads(file.read_text())
        *sections, key = edit.pointer.strip("/").split("/")
        for section in sections:
            place = place[section]
        if isinstance(edit, Edit):
            place[key] = json.loads(msgspec.json.encode(edit.value))
        else:
            del place[key]
        file.write_text(json.dumps(document))
