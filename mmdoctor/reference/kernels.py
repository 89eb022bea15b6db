"""Every kernel of scaled dot-product attention that torch has here, against the textbook formula in float64.

Backends: https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.SDPBackend.html

Shapes: B samples, H heads, T positions that ask, S positions that are asked, d width of a head.
"""

import contextlib
import warnings
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmdoctor.facts.reference import AttentionRun
from mmdoctor.reference.attention import causal_mask, padding_mask, textbook_attention
from mmdoctor.reference.comparison import deviation
from mmdoctor.reference.seeding import uniform

CASES = ("open", "causal", "padded")
AUTOMATIC = "AUTOMATIC"

_SHAPE = (2, 4, 37, 32)
"""Samples, heads, positions, head width of the image encoder."""
_REAL_TOKENS = (37, 21)
"""Positions that are not padding, in the padded case."""


def inputs() -> Tensor:
    """q_BHTd, k_BHSd and v_BHSd stacked, in float64, with numbers that bfloat16 and float16 hold exactly."""
    return torch.stack([uniform(f"attention.{name}", _SHAPE, deviation=1.0) for name in "qkv"]).bfloat16().double()


def masks() -> dict[str, Tensor | None]:
    """The mask of each case."""
    positions = torch.arange(_SHAPE[2])
    tokens_BS = torch.stack([positions < length for length in _REAL_TOKENS])
    return {"open": None, "causal": causal_mask(_SHAPE[2], _SHAPE[2]), "padded": padding_mask(tokens_BS)}


def textbook(qkv_3BHTd: Tensor) -> dict[str, Tensor]:
    """The textbook formula, by case."""
    q_BHTd, k_BHSd, v_BHSd = qkv_3BHTd
    return {case: textbook_attention(q_BHTd, k_BHSd, v_BHSd, mask) for case, mask in masks().items()}


def backends() -> dict[str, SDPBackend | None]:
    """Torch's backends by name; None stands for torch's own choice."""
    members = SDPBackend.__members__.items()
    return {AUTOMATIC: None, **{name: backend for name, backend in members if name != "ERROR"}}


def compare_all(device: torch.device, tolerances: dict[str, dict[str, float]]) -> Iterator[AttentionRun]:
    """Each backend in each type on each case; one that torch refuses says why."""
    expected = textbook(inputs())
    for dtype, by_case in tolerances.items():
        q, k, v = inputs().to(device, getattr(torch, dtype))
        for name, backend in backends().items():
            for case, mask in masks().items():
                result = _attend(backend, q, k, v, case, None if mask is None else mask.to(device))
                if isinstance(result, str):
                    yield AttentionRun(backend=name, dtype=dtype, case=case, unavailable=result)
                    continue
                difference = deviation(case, result, expected[case], by_case[case])
                yield AttentionRun(backend=name, dtype=dtype, case=case, deviation=difference)


def _attend(
    backend: SDPBackend | None, q: Tensor, k: Tensor, v: Tensor, case: str, mask: Tensor | None
) -> Tensor | str:
    chosen = contextlib.nullcontext() if backend is None else sdpa_kernel(backend)
    try:
        with warnings.catch_warnings(), chosen:
            warnings.simplefilter("ignore")  # torch warns once for every backend that it cannot use
            if case == "causal":
                return F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    except RuntimeError as error:
        return str(error).partition("\n")[0]
