"""INT015."""

from collections import defaultdict
from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, Tensor, WeightFile

_SHOWN = 5
_WASTE = 2.0
_FLOOR = 64 * 2**20
"""Bytes that are not worth a word."""


@check("INT015", Severity.NOTE, yields_to=("INT016",))
def shared_tensor_save_error(checkpoint: Checkpoint) -> Iterator[Problem]:
    """Tensors of a pickle share memory, which safetensors does not save.

    ## What it checks
    Pickled weights: names that stand for the same bytes of the same storage, as tied embeddings do, and files that are
    several times as large as their tensors, because a tensor is a view of a much larger buffer.

    Both load without a fault. Shared memory is a note. A file of at least twice its tensors' bytes is a warning: it
    is read and held in memory whole.

    ## Why it matters
    `save_file` ends in `RuntimeError: Some tensors share memory, this will lead to duplicate memory on disk`.

    ## How to fix it
    `safetensors.torch.save_model(model, ...)`, which knows which of the two to leave out, or `.clone().contiguous()`.

    ## Sources
    - https://github.com/huggingface/safetensors/issues/98
    - https://github.com/huggingface/safetensors/issues/493
    - https://github.com/huggingface/transformers/issues/33807
    - https://github.com/unslothai/unsloth/issues/1157
    """
    for file in checkpoint.files:
        pairs = _shared(file)
        if pairs:
            names = " = ".join(t.name for t in pairs[0])
            yield Problem(
                f"{file.path} has {len(pairs)} groups of names for the same bytes (first: {names}): it loads, and "
                "safetensors' save_file refuses it",
                because=[Evidence("shared storage", " = ".join(t.name for t in g), g[0].at) for g in pairs[:_SHOWN]],
                fix=Fix("to convert it, use safetensors.torch.save_model, or clone the second tensor"),
            )
        stored = sum(tensor.nbytes for tensor in file.tensors)
        if _is_view(file) and file.size > _WASTE * stored and file.size - stored > _FLOOR:
            yield Problem(
                f"{file.path} has {file.size:,} bytes for tensors of {stored:,}: they are views of larger buffers, "
                "and all of it is read",
                because=[Evidence("bytes", file.size, file.at, stored)],
                fix=Fix("save clones of the tensors: {name: tensor.clone() for name, tensor in state.items()}"),
                severity=Severity.WARNING,
            )


def _shared(file: WeightFile) -> list[list[Tensor]]:
    by_place: dict[tuple[str, int | None, tuple[int, ...]], list[Tensor]] = defaultdict(list)
    for tensor in file.tensors:
        if tensor.storage is not None and tensor.nbytes:
            by_place[tensor.storage, tensor.start, tensor.shape].append(tensor)
    return [group for group in by_place.values() if len(group) > 1]


def _is_view(file: WeightFile) -> bool:
    """Whether it is a plain state dict of a pickle: in a training checkpoint other things take the bytes."""
    return not file.groups and any(tensor.storage is not None for tensor in file.tensors) and not file.damage
