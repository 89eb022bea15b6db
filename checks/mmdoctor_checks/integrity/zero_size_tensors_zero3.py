"""INT008."""

import re
from collections.abc import Iterator, Sequence

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.finding import Evidence, Fix, Problem, Severity

_MAY_BE_EMPTY = re.compile(
    r".*(\bg_idx|inv_freq|rotary\w*|_cached|cache|buffer|zeros?|zero_point|scales?|(weight|input|k|v)_scale|mask|bias|perm"
    r"|position_ids|\.extra_state|_extra_state)$"
)
"""Buffers, and companions of quantised weights, that are written empty where they are not used."""


@check("INT008", Severity.ERROR)
def zero_size_tensors_zero3(checkpoint: Checkpoint) -> Iterator[Problem]:
    """Weights were saved without their elements.

    ## What it checks
    Floating point weights of shape `[0]`, in full checkpoints and in adapters. Buffers, biases alone, and companions
    of quantised weights (`g_idx`, scales, zero points) may be empty. A table or head that has lost one dimension only,
    such as a classifier of shape `[0, 768]`, is a warning; parameters inside layers and registers of a vision tower may
    be configured away.

    ## Why it matters
    DeepSpeed ZeRO-3 and FSDP keep each parameter in pieces on several ranks and leave `[0]` behind. A save that does
    not gather them first writes a checkpoint of a few hundred kilobytes; loading it stops with `size mismatch ...
    torch.Size([0])`, or, with mismatches ignored, leaves random weights.

    ## How to fix it
    Convert the DeepSpeed checkpoint with `zero_to_fp32.py`, or train again with
    `stage3_gather_16bit_weights_on_model_save: true` and save through the trainer.

    ## Sources
    - https://github.com/microsoft/DeepSpeed/issues/2413
    - https://github.com/hiyouga/LlamaFactory/issues/368
    - https://github.com/haotian-liu/LLaVA/issues/302
    - https://github.com/ymcui/Chinese-LLaMA-Alpaca-2/issues/222
    """
    floats = [t for t in checkpoint.tensors.values() if t.is_float]
    empty = [t for t in floats if 0 in t.shape and not _MAY_BE_EMPTY.fullmatch(t.name)]
    partitioned = [t for t in empty if t.shape == (0,)]
    if partitioned:
        yield _problem(partitioned, len(floats))
        return
    empty = [t for t in empty if len(t.shape) == 2 and not any(word.isdigit() for word in t.name.split("."))]
    if empty:
        first = empty[0]
        yield Problem(
            f"{len(empty)} of {len(floats)} float tensors have no elements (first: {first.name}, shape "
            f"{list(first.shape)})",
            because=[Evidence("shape", str(list(t.shape)), t.at) for t in empty[:5]],
            severity=Severity.WARNING,
        )


def _problem(empty: Sequence[Tensor], total: int) -> Problem:
    return Problem(
        f"{len(empty)} of {total} float tensors were saved with shape [0] (first: {empty[0].name}): "
        "their weights are not in the checkpoint, loading fails or leaves them random",
        because=[Evidence("shape", "[0]", t.at) for t in empty[:5]],
        fix=Fix(
            "gather the weights: run DeepSpeed's zero_to_fp32.py on the training checkpoint, "
            "or save again with stage3_gather_16bit_weights_on_model_save"
        ),
    )
