"""Whether the base model that an adapter names is a folder, and is on this machine. It is looked for, never opened."""

import os
import re

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.quantisation import Adapter, AdapterBase
from mmdoctor.facts.source import Source

_HUB_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
"""huggingface_hub/utils/_validators.py, validate_repo_id."""
_OWNERLESS = re.compile(r"(gpt2|bert|roberta|distil|albert|xlm|t5|openai-gpt|camembert|ctrl|transfo-xl|xlnet)[\w.-]*")
"""The hub's canonical models, the only ones whose names have no owner."""


def adapter_base(source: Source, adapter: Adapter) -> AdapterBase:
    """Where the base model is to come from.

    Raises:
        NotApplicable: the adapter names none.
    """
    if adapter.base_model is None or not adapter.base_model.value.strip():
        raise NotApplicable("adapter_config.json names no base model")
    name = adapter.base_model.value
    hub = _HUB_NAME.fullmatch(name) is not None and not name.startswith(".")
    here = "\0" not in name and len(name) < 1024 and _folder(source, name)
    return AdapterBase(name=adapter.base_model, is_path=not (hub or _OWNERLESS.fullmatch(name)), is_here=here)


def _folder(source: Source, name: str) -> bool:
    path = os.path.expanduser(name)  # noqa: PTH111 - as transformers takes it
    # A loader resolves it from its working directory; beside the artefact is where people keep the base.
    return os.path.isdir(path) or os.path.isdir(source.root / path)  # noqa: PTH112 - no Path for a name with odd bytes
