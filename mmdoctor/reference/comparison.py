"""Outputs by name, and how far two of them are apart."""

import torch
from torch import Tensor

from mmdoctor.facts.reference import Deviation
from mmdoctor.reference.model import Outputs

CHOICES = ("answer_logits", "masked_token_logits", "caption_logits")
"""Outputs whose largest number along the last axis is a choice."""


def named_outputs(outputs: Outputs) -> dict[str, Tensor]:
    """Every output, in the order of the data's way through the model."""
    encoded = outputs.encoded
    named = {
        "image_features": encoded.image_features_BMD,
        "text_features": encoded.text_features_BTD,
        "fused_image": encoded.fused.image_BMD,
        "fused_text": encoded.fused.text_BTD,
        "unified_vector": encoded.vector_BD,
        "answer_logits": outputs.answer_logits_BA,
        "box": outputs.box_B4,
        "matching_logits": outputs.matching_logits_B2,
        "masked_token_logits": outputs.masked_token_logits_BTV,
        "masked_patches": outputs.masked_patches_BNQ,
        "next_sentence_logits": outputs.next_sentence_logits_B2,
        "caption_logits": outputs.caption_logits_BUV,
    }
    return {name: tensor for name, tensor in named.items() if tensor is not None}


def deviation(output: str, observed: Tensor, expected: Tensor, tolerance: float) -> Deviation:
    """Compare two tensors of one shape, in float64 on the CPU."""
    seen, wanted = (tensor.detach().cpu().double().flatten() for tensor in (observed, expected))
    finite = seen.isfinite() & wanted.isfinite()
    seen, wanted = seen.masked_fill(~finite, 0), wanted.masked_fill(~finite, 0)
    norms = float(seen.norm() * wanted.norm())
    return Deviation(
        output=output,
        max_abs_error=float((seen - wanted).abs().max()),
        scale=float(wanted.abs().max()),
        cosine=float(seen @ wanted) / norms if norms else 0.0,
        non_finite=int((~finite).sum()),
        tolerance=tolerance,
    )


def deviations(
    observed: dict[str, Tensor], expected: dict[str, Tensor], tolerances: dict[str, float]
) -> tuple[Deviation, ...]:
    """One deviation an output."""
    return tuple(deviation(name, observed[name], expected[name], tolerances[name]) for name in expected)


def agreement(
    observed: dict[str, Tensor], expected: dict[str, Tensor], tolerances: dict[str, float]
) -> tuple[int, int]:
    """(choices compared, choices agreed), over those that rounding within the tolerance cannot turn.

    A choice turns when one number rises and the other falls by the tolerance: a margin of twice that is safe.
    """
    compared = agreed = 0
    for name in CHOICES:
        wanted = expected[name].cpu().double()
        top = wanted.topk(2, dim=-1).values
        safe = top[..., 0] - top[..., 1] > 2 * tolerances[name] * wanted.abs().max()
        same = observed[name].cpu().double().argmax(-1) == wanted.argmax(-1)
        compared += int(safe.sum())
        agreed += int((safe & same).sum())
    return compared, agreed


def largest(runs: list[dict[str, Tensor]], expected: dict[str, Tensor]) -> dict[str, float]:
    """Largest relative error of any run, by output."""
    zero = torch.zeros((), dtype=torch.float64)
    return {
        name: float(max(((run[name] - wanted).abs().max() / wanted.abs().max() for run in runs), default=zero))
        for name, wanted in expected.items()
    }
