"""A folder that brings code along: the reference model with other configuration and Python files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmdoctor import check_path
from mmdoctor.finding import Finding

CODES = ("SEC004", "SEC005", "INT021")
OWN = {"auto_map": {"AutoConfig": "configuration_x.XConfig", "AutoModel": "modeling_x.XModel"}}
CODE = {
    "configuration_x.py": "from transformers import PretrainedConfig",
    "modeling_x.py": "import torch\nimport einops\nfrom .configuration_x import XConfig\nmodel.eval()\n",
}
Check = Callable[..., dict[str, Finding]]


def checking(folder: Path) -> Check:
    """The findings on the reference model with these things changed, by code."""

    def run(config: dict[str, Any], files: dict[str, str] = CODE, *, weights: bool = True) -> dict[str, Finding]:
        before = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**before, **config}, indent=2))
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        if not weights:
            (folder / "model.safetensors").unlink()
        report = check_path(folder, depth="headers", select=CODES)
        assert not report.crashed
        return {f.code: f for f in report.findings}

    return run
