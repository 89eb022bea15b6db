"""Write mmdoctor/architectures/rope_defaults.json: what each configuration class takes for absent rotary settings.

Run once with each transformers, the newer one first; the second run adds what its classes have:

    python5 tools/rope_defaults.py > new.json
    python4 tools/rope_defaults.py new.json > mmdoctor/architectures/rope_defaults.json
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers import PretrainedConfig, models

OLD = ("rope_theta", "rope_local_base_freq", "global_rope_theta", "local_rope_theta", "rotary_emb_base", "rope_scaling")
"""Settings of transformers 4 at the top of a section."""
PART = ("partial_rotary_factor", "rotary_pct")
"""Those of the part of a head that is rotated."""
RENAMED = {"Glm4vMoe_text": "glm4v_moe_text", "EvollaModel": "evolla"}
"""Types of transformers 4 that have another name in 5."""


def main() -> None:
    """Print the table as JSON, one type a line."""
    table: dict[str, dict[str, Any]] = json.loads(Path(sys.argv[1]).read_text()) if sys.argv[1:] else {}
    for model_type, config in sorted(_configs(), key=lambda found: found[0]):
        values = vars(config)
        if values.get("rope_parameters"):
            table.setdefault(model_type, {})["new"] = values["rope_parameters"]
        elif "rope_theta" in values or "global_rope_theta" in values or "rotary_emb_base" in values:
            old = {key: values[key] for key in (*OLD, *PART) if values.get(key) is not None}
            table.setdefault(RENAMED.get(model_type, model_type), {})["old"] = old
    lines = (f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}" for key, value in sorted(table.items()))
    print("{\n" + ",\n".join(lines) + "\n}")


def _configs() -> Iterator[tuple[str, PretrainedConfig]]:
    """(Type, configuration with nothing but defaults) of every class that can be made so."""
    for package in pkgutil.iter_modules(models.__path__):
        module = importlib.import_module(f"transformers.models.{package.name}")
        for file in pkgutil.iter_modules(module.__path__):
            if not file.name.startswith("configuration_") or package.name == "auto":
                continue
            for value in vars(importlib.import_module(f"{module.__name__}.{file.name}")).values():
                if isinstance(value, type) and issubclass(value, PretrainedConfig) and value.model_type:
                    try:
                        yield value.model_type, value()
                    except (TypeError, ValueError, ImportError, OSError, AttributeError, StrictDataclassError):
                        continue


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
