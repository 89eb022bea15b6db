"""Outputs by name, and how far two of them are apart."""

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor

from mmdoctor.facts.self_test import Deviation
from mmdoctor.reference.model import Outputs
from mmdoctor.reference.rounding import NOTHING, Tolerance

CHOICES = ("answer_logits", "masked_token_logits", "caption_logits")
"""Outputs whose largest number along the last axis is a choice."""

_PRIME = 7919
"""Larger than any axis, so that steps of it meet every row and column of a tensor alike."""


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


def drawn(tensor: Tensor, numbers: int) -> Tensor:
    """That many of the tensor's numbers, always the same ones, from all over it; all where it has no more."""
    flat = tensor.detach().flatten()
    return flat if len(flat) <= numbers else flat[_places(len(flat), numbers).to(flat.device)]


@lru_cache
def _places(length: int, numbers: int) -> Tensor:
    return torch.arange(numbers) * _PRIME % length


def deviation(output: str, observed: Tensor, expected: Tensor, tolerance: Tolerance = NOTHING) -> Deviation:
    """Compare two tensors of one shape, in float64 on the CPU."""
    seen, wanted = (tensor.detach().cpu().double().flatten() for tensor in (observed, expected))
    finite = seen.isfinite() & wanted.isfinite()
    non_finite = int((~finite).sum())
    if non_finite:
        seen, wanted = seen.masked_fill(~finite, 0), wanted.masked_fill(~finite, 0)
    error = seen - wanted
    norms = float(seen.norm() * wanted.norm())
    return Deviation(
        output=output,
        max_abs_error=float(error.abs().max()),
        rms_error=float(error.square().mean().sqrt()),
        scale=float(wanted.abs().max()),
        cosine=float(seen @ wanted) / norms if norms else 0.0,
        non_finite=non_finite,
        tolerance=tolerance.largest,
        rms_tolerance=tolerance.rms,
    )


def deviations(
    observed: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerances: Mapping[str, Tolerance]
) -> tuple[Deviation, ...]:
    """One deviation an output, in the order of what is expected."""
    return tuple(deviation(name, observed[name], expected[name], tolerances[name]) for name in expected)


def sure_choices(logits: Tensor, tolerance: Tolerance) -> Tensor:
    """Which choices along the last axis rounding within the tolerance cannot turn.

    A choice turns when one number rises and the other falls by the tolerance: a margin of twice that is safe.
    """
    wanted = logits.cpu().double()
    top = wanted.topk(2, dim=-1).values
    return top[..., 0] - top[..., 1] > 2 * tolerance.largest * wanted.abs().max()


def agreement(
    observed: Mapping[str, Tensor], choices: Mapping[str, Tensor], sure: Mapping[str, Tensor]
) -> tuple[int, int]:
    """(sure choices, those of them that are the same).

    Args:
        observed: outputs by name.
        choices: the expected index along the last axis of some of them.
        sure: which of those rounding cannot turn.
    """
    compared = agreed = 0
    for name, wanted in choices.items():
        same = observed[name].detach().cpu().double().argmax(-1) == wanted
        compared += int(sure[name].sum())
        agreed += int((sure[name] & same).sum())
    return compared, agreed
