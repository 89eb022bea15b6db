"""PRE008."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Part, Parts, Role
from mmdoctor.finding import Evidence, Fix, Problem, Severity

HALF = frozenset({"F16", "BF16"})
PLAIN = HALF | {"F32", "F64"}
"""Floats that take part in a matrix product as they are; smaller ones are quantised and have kernels of their own."""

JOINED = (Role.VISION, Role.AUDIO, Role.PROJECTOR, Role.FUSION, Role.TEXT, Role.ADAPTER)
"""Parts whose outputs meet in a matrix product of another part."""

UNCAST = (Role.PROJECTOR, Role.FUSION, Role.ADAPTER)
"""Parts that custom code tends to load by itself, without a cast."""


@check("PRE008", Severity.NOTE)
def mixed_dtype_matmul(parts: Parts, model: MultimodalModel | None) -> Iterator[Problem]:
    """The parts of the model are stored in different floating point types.

    ## What it checks

    The type that most matrices of each part have: vision and audio towers, projector, fusion, language model, adapter.
    Norms, gates, biases, frequencies and scales in float32 are common and not looked at, nor are quantised weights.
    transformers casts everything to one type when it loads, so different types are a note. It is a warning when the
    model brings code of its own and projector, fusion or adapter are float32 beside a language model in 16 bits:
    such code often loads these parts without a cast.

    ## Why it matters

    Where nothing casts, the first product of the two fails: `mat1 and mat2 must have the same dtype, but got Float and
    BFloat16`. The same error comes from float32 inputs to a model in half precision, which processors return and which
    models loaded by transformers 5 (which keeps the stored type) no longer accept.

    ## How to fix it

    Load with an explicit `dtype`, cast the part (`model.projector.to(model.dtype)`), and cast float inputs:
    `inputs.to(model.device, model.dtype)`.

    ## Sources

    - https://github.com/huggingface/transformers/issues/47805
    - https://github.com/QwenLM/Qwen3-VL/issues/246
    - https://github.com/embeddings-benchmark/mteb/issues/1456
    - https://github.com/facebookresearch/sam3/issues/507
    - https://github.com/PKU-YuanGroup/MoE-LLaVA/issues/63
    """
    main = [(part, prevailing) for part in parts.parts if part.role in JOINED and (prevailing := _prevailing(part))]
    types = {tensor.dtype for _, tensor in main}
    if len(types) < 2:
        return
    text = {tensor.dtype for part, tensor in main if part.role is Role.TEXT}
    wide = [part.role.value for part, tensor in main if part.role in UNCAST and tensor.dtype not in HALF]
    custom = model is not None and bool(model.remote_code)
    risky = custom and bool(wide) and bool(text & HALF)
    said = ", ".join(f"{part.role.value} {tensor.dtype}" for part, tensor in main)
    end = (
        f"the model's own code has to cast the {' and the '.join(wide)}, or the first product fails"
        if risky
        else "loaders that cast, as transformers does, take it; others fail at the first product of two types"
    )
    yield Problem(
        f"the parts are stored in {len(types)} floating point types ({said}): {end}",
        because=[Evidence(f"type of most matrices in the {p.role.value}", t.dtype, t.at) for p, t in main],
        fix=Fix("load with an explicit dtype, and cast float inputs with .to(model.dtype)"),
        severity=Severity.WARNING if risky else None,
    )


def _prevailing(part: Part) -> Tensor | None:
    """The largest matrix of the plain float type that most of the part's matrices have, by elements."""
    matrices = [t for t in part.tensors if len(t.shape) >= 2 and t.dtype in PLAIN]
    if not matrices:
        return None
    elements: dict[str, int] = {}
    for tensor in matrices:
        elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.numel
    most = max(elements, key=lambda name: elements[name])
    return max((t for t in matrices if t.dtype == most), key=lambda t: t.numel)
