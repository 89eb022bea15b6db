"""Weights in int8, one scale for each row, the simple way: symmetric, rounded to nearest, activations as they were.

Dettmers et al. 2022, "LLM.int8()", https://arxiv.org/abs/2208.07339, section 2.1 (absmax quantisation, by row).
Shapes: D features in, E features out.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmdoctor.reference.model import ReferenceModel

LEVELS = 127


class Int8Linear(nn.Module):
    """A linear map whose weight is stored as int8 and a scale for each feature that comes out."""

    weight_ED: Tensor
    scale_E: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_ED = linear.weight.detach()
        scale_E = weight_ED.abs().amax(1).clamp(min=torch.finfo(weight_ED.dtype).tiny) / LEVELS
        self.register_buffer("weight_ED", (weight_ED / scale_E[:, None]).round().to(torch.int8))
        self.register_buffer("scale_E", scale_E)
        self.bias: nn.Parameter | None = linear.bias

    def forward(self, x_BD: Tensor) -> Tensor:
        y_BE = F.linear(x_BD, self.weight_ED.to(x_BD.dtype)) * self.scale_E
        return y_BE if self.bias is None else y_BE + self.bias


def quantised(model: ReferenceModel) -> ReferenceModel:
    """A copy of the model in which every linear layer's weight is int8."""
    changed = copy.deepcopy(model)
    for name, module in list(changed.named_modules()):
        if isinstance(module, nn.Linear):
            changed.set_submodule(name, Int8Linear(module))
    return changed
