"""Folders with processor and tokenizer files, and the libraries that are to load them."""

import json
from pathlib import Path
from typing import Any

from mmdoctor.check import Check
from mmdoctor.engine import Engine, Ran
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.source import Source
from mmdoctor.finding import Finding
from mmdoctor.providers import Providers
from mmdoctor.readers.source import open_source

QWEN = {"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}
NOWHERE = Libraries()
"""No library is known: none installed, or a machine that is not here."""


def installed(**versions: str) -> Libraries:
    """The libraries of a machine, as `--env` states them; what is not named is not there."""
    return Libraries(versions=versions, where="in prod.json", complete=True)


FOUR, FIVE = installed(transformers="4.57.6", tokenizers="0.22.2"), installed(transformers="5.23.0")
OLD = installed(transformers="4.51.3", tokenizers="0.21.1")


def findings(rule: Check[...], folder: Path, libraries: Libraries, **files: Any) -> tuple[Finding, ...]:
    """What a rule finds in a folder with these files (`config_json` is config.json), read by the readers."""
    folder.mkdir(exist_ok=True)
    for name, value in files.items():
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_bytes(data)
    outcome = Engine(Providers(), {Source: open_source(folder), Libraries: libraries}).run([rule])[rule.code]
    return outcome.findings if isinstance(outcome, Ran) else ()
