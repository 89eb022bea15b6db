"""INT019."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.quantisation import QuantisationConfig
from mmdoctor.facts.source import FileKind

_RELAXED = "4.50"
"""transformers/modeling_utils.py, load_state_dict: 4.46 stops at a file without metadata, 4.57 takes it for torch's."""
_FORMATS = ("pt", "tf", "flax", "mlx")


@check("INT019", Severity.NOTE, yields_to=("INT002", "INT008"))
def safetensors_metadata_format_missing(
    checkpoint: Checkpoint, libraries: Libraries, quantisation: QuantisationConfig | None
) -> Iterator[Problem]:
    """The header does not say which framework wrote the weights.

    ## What it checks
    `__metadata__.format` of safetensors files. It is missing where a file was written with plain `save_file`, which
    vLLM, diffusers and newer versions of transformers do not mind. A warning where the transformers that is to load
    it, here or in `--env`, is older than 4.50; silence where none is known. `mlx` is a note: its convolutions are laid
    out another way, and its packed weights no other library reads. A format that no library knows is a warning.

    ## Why it matters
    `AttributeError: 'NoneType' object has no attribute 'get'`, or `does not contain the valid metadata`.

    ## How to fix it
    Write the file again with `save_file(tensors, file, metadata={"format": "pt"})`.

    ## Sources
    - https://github.com/ml-explore/mlx/issues/743
    - https://github.com/huggingface/safetensors/issues/549
    - https://github.com/hiyouga/LlamaFactory/issues/1988
    - https://github.com/huggingface/accelerate/issues/1151
    """
    files = [f for f in checkpoint.files if f.kind is FileKind.SAFETENSORS and f.tensors and not f.damage]
    absent = [f for f in files if "format" not in f.metadata]
    if absent and libraries.older("transformers", _RELAXED):
        yield Problem(
            f"{absent[0].path} does not say that torch wrote it, and {libraries.named('transformers')} does not load "
            "such a file",
            because=[_evidence(f) for f in absent[:5]],
            fix=Fix('write it again with save_file(..., metadata={"format": "pt"}), or upgrade transformers'),
            severity=Severity.WARNING,
        )
    unknown = [f for f in files if f.metadata.get("format", "pt") not in _FORMATS]
    if unknown:
        yield Problem(
            f"{unknown[0].path} says that {unknown[0].metadata['format']!r} wrote it: transformers loads pt, tf, flax "
            "and mlx only",
            because=[_evidence(f) for f in unknown[:5]],
            fix=Fix('write it again with save_file(..., metadata={"format": "pt"})'),
            severity=Severity.WARNING,
        )
    apple = [f for f in files if f.metadata.get("format") == "mlx"]
    if apple and quantisation is None:
        yield Problem(
            f"{apple[0].path} was written by MLX: convolutions may be laid out another way than torch reads them",
            because=[_evidence(f) for f in apple[:5]],
            fix=Fix("serve it with MLX, or take the original weights"),
        )


def _evidence(file: WeightFile) -> Evidence:
    return Evidence("format in the header's metadata", file.metadata.get("format"), file.at, "pt")
