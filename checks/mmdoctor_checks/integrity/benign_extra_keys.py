import re
from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.grouping import group_names
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.parts import Parts, Role
from mmdoctor.location import Location

_BUFFERS = re.compile(
    r"(?:^|\.)(?:position_ids|rotary_emb\.inv_freq|inv_freq|masked_bias|relative_position_index|embeddings\.token_type_ids)$"
)
_CAUSAL_MASK = re.compile(r"(?:^|\.)attn(?:ention)?\.bias$")


@check("INT017", Severity.NOTE)
def benign_extra_keys(checkpoint: Checkpoint, parts: Parts) -> Iterator[Problem]:
    """The checkpoint has buffers that current libraries compute themselves: harmless.

    ## What it checks

    Names that end in `position_ids`, `inv_freq`, `masked_bias`, `relative_position_index` or `token_type_ids`, and the
    square causal masks that GPT-2-like models saved as `attn.bias`.

    ## Why it matters

    transformers ignores them. A loader of your own with `strict=True` stops with `Unexpected key(s) in state_dict`.
    Tools that cast everything to half precision round `position_ids`: delete them then.

    ## How to fix it

    Nothing to do; drop the keys if a strict loader complains.

    ## Sources

    - https://github.com/gligen/GLIGEN/issues/67
    - https://github.com/KohakuBlueleaf/LyCORIS/issues/71
    """
    found = [
        tensor
        for part in parts.parts
        if part.role is not Role.ADAPTER
        for tensor in part.tensors
        if _BUFFERS.search(tensor.name)
        or (_CAUSAL_MASK.search(tensor.name) and len(tensor.shape) == 4 and tensor.shape[-1] == tensor.shape[-2])
    ]
    if not found:
        return
    groups = group_names(t.name for t in found)
    rounded = [t for t in found if t.name.endswith("position_ids") and t.is_float]
    yield Problem(
        f"{len(found)} of {len(checkpoint.tensors)} tensors are buffers that current libraries compute themselves "
        f"({', '.join(groups[:3])}{' ...' if len(groups) > 3 else ''}): they are ignored"
        + (f"; {rounded[0].name} is stored as {rounded[0].dtype}, which may have rounded it" if rounded else ""),
        because=[Evidence("buffers", len(found), Location(file=found[0].file, tensor=groups[0]))],
        fix=Fix("nothing to do; drop the keys if a loader with strict=True complains"),
    )
