"""How wrong the model is in each task; the sum is what training makes smaller.

Box: L1 and generalised IoU, weighted as in Carion et al. 2020, "DETR", https://arxiv.org/abs/2005.12872, appendix A.4;
generalised IoU: Rezatofighi et al. 2019, https://arxiv.org/abs/1902.09630. All others are cross-entropies, and the mean
squared error over masked patches (Xie et al. 2021, https://arxiv.org/abs/2111.09886, section 3.4, there L1).

Shapes: B boxes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

WEIGHTS = {
    "answer": 1.0,
    "box": 0.5,
    "caption": 2.0,
    "match": 1.0,
    "words": 1.0,
    "patches": 10.0,
    "next sentence": 0.25,
}
"""So that no task's gradient drowns another's; the pixels' variance is about 0.1, so the patches' error is small."""

_L1 = 5.0
_GIOU = 2.0


def corners(box_B4: Tensor) -> Tensor:
    """(left, top, right, bottom) of (centre x, centre y, width, height)."""
    centre_B2, size_B2 = box_B4[:, :2], box_B4[:, 2:]
    return torch.cat([centre_B2 - size_B2 / 2, centre_B2 + size_B2 / 2], dim=1)


def overlap(one_B4: Tensor, other_B4: Tensor) -> tuple[Tensor, Tensor]:
    """IoU_B, and generalised IoU_B, of boxes given by centre and size."""
    a_B4, b_B4 = corners(one_B4), corners(other_B4)
    inner_B2 = (torch.minimum(a_B4[:, 2:], b_B4[:, 2:]) - torch.maximum(a_B4[:, :2], b_B4[:, :2])).clamp(min=0)
    outer_B2 = torch.maximum(a_B4[:, 2:], b_B4[:, 2:]) - torch.minimum(a_B4[:, :2], b_B4[:, :2])
    common_B = inner_B2.prod(1)
    union_B = one_B4[:, 2:].prod(1) + other_B4[:, 2:].prod(1) - common_B
    hull_B = outer_B2.prod(1)
    iou_B = common_B / union_B.clamp(min=1e-9)
    return iou_B, iou_B - (hull_B - union_B) / hull_B.clamp(min=1e-9)


def box_loss(predicted_B4: Tensor, wanted_B4: Tensor) -> Tensor:
    """Mean over the boxes."""
    _, giou_B = overlap(predicted_B4, wanted_B4)
    return _L1 * F.l1_loss(predicted_B4, wanted_B4) + _GIOU * (1 - giou_B).mean()


def choice_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy along the last axis, over the places that have a label."""
    return F.cross_entropy(logits.flatten(0, -2), wanted.flatten())


def total(losses: dict[str, Tensor]) -> Tensor:
    """The weighted sum."""
    return torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()
