"""SEC002."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.source import FileKind

_PICKLED = {FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY, FileKind.PICKLE, FileKind.TAR}
_REFUSED_BEFORE = "2.6"
"""transformers/utils/import_utils.py, check_torch_load_is_safe: refuses torch.load with an older torch (since 4.51)."""
_CORRUPTS_BEFORE = "2.10"


@check("SEC002", Severity.ERROR, yields_to=("SEC001",))
def torch_load_cve(checkpoint: Checkpoint, libraries: Libraries) -> Iterator[Problem]:
    """The weights are a pickle, and the installed torch has a known hole in loading them.

    ## What it checks
    Whether the weights that load are pickles (`.bin`, `.pt`, `.pth`), against the version of torch of the deployment,
    installed here or in `--env`. Before 2.6 `torch.load` runs code even with `weights_only=True` (CVE-2025-32434), and
    transformers refuses to call it: an error. Before 2.10 a crafted file corrupts memory (CVE-2026-24747): a note.
    Safetensors need no pickle, so nothing is said about them.

    ## Why it matters
    `ValueError: Due to a serious vulnerability issue in torch.load, even with weights_only=True, we now require users
    to upgrade torch to at least v2.6`.

    ## How to fix it
    Convert the weights to safetensors, or upgrade torch.

    ## Sources
    - https://github.com/hiyouga/LlamaFactory/issues/8379
    - https://github.com/autogluon/autogluon/issues/5270
    - https://github.com/protectai/modelscan/issues/284
    - https://nvd.nist.gov/vuln/detail/CVE-2025-32434
    """
    pickled = [f for f in checkpoint.files if f.kind in _PICKLED]
    version = libraries.version("torch")
    if not pickled or version is None:
        return
    if libraries.older("torch", _REFUSED_BEFORE):
        yield _problem(
            pickled[0],
            version,
            f"{libraries.named('torch')} runs code of a crafted file even with weights_only=True "
            "(CVE-2025-32434), and transformers refuses to load it",
            _REFUSED_BEFORE,
            Severity.ERROR,
        )
    elif libraries.older("torch", _CORRUPTS_BEFORE):
        yield _problem(
            pickled[0],
            version,
            f"{libraries.named('torch')} can be made to corrupt memory by a crafted file (CVE-2026-24747)",
            _CORRUPTS_BEFORE,
            Severity.NOTE,
        )


def _problem(file: WeightFile, version: str, why: str, needed: str, severity: Severity) -> Problem:
    return Problem(
        f"{file.path} is a pickle: {why}",
        because=[
            Evidence("torch", version, expected=f"{needed} or later"),
            Evidence("format of the weights", file.kind.value, file.at, expected="safetensors"),
        ],
        fix=Fix(f"convert the weights to safetensors, or install torch {needed} or later"),
        severity=severity,
    )
