"""What patches a vision tower was trained with, as its weights show it."""

import math
import re

from mmdoctor.architectures.towers import main_tower, patch_kernel
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.model import VisionModel
from mmdoctor.facts.parts import Parts, Role
from mmdoctor.location import Location

_MERGER = re.compile(r"(?:^|\.)merger\.(?:mlp\.0|linear_fc1|linear_1)\.weight$")
"""First layer of the mergers of Qwen-VL and its kin: as many columns as merged patches have numbers."""
_DOWNSAMPLE = re.compile(r"(?:^|\.)visual\.downsample\.weight$")
"""GLM-V merges by a convolution (modeling_glm4v.py, Glm4vVisionModel.downsample)."""


def trained_patches(parts: Parts, vision: VisionModel) -> dict[str, Used]:
    """`patch_size`, `temporal_patch_size` and `merge_size`, as far as shapes tell them."""
    width = vision.hidden_size.value if vision.hidden_size is not None else None
    tower = main_tower(parts, width)
    kernel = patch_kernel(tower) if tower is not None else None
    if tower is None or kernel is None:
        return {}
    found: dict[str, Used] = {}
    if len(kernel.shape) == 5 and kernel.shape[3] == kernel.shape[4]:
        found["temporal_patch_size"] = _used(kernel, kernel.shape[2])
        found["patch_size"] = _used(kernel, kernel.shape[3])
    others = (t for part in parts.parts if part.role in (Role.VISION, Role.PROJECTOR) for t in part.tensors)
    for tensor in others:
        merge = _merge(tensor, kernel.shape[0])
        if merge is not None:
            found["merge_size"] = _used(tensor, merge)
            break
    return found


def _merge(tensor: Tensor, width: int) -> int | None:
    if _DOWNSAMPLE.search(tensor.name) and len(tensor.shape) == 4 and tensor.shape[2] == tensor.shape[3]:
        return tensor.shape[2]
    if _MERGER.search(tensor.name) and len(tensor.shape) == 2 and width and tensor.shape[1] % width == 0:
        merge = math.isqrt(tensor.shape[1] // width)
        return merge if merge * merge * width == tensor.shape[1] else None
    return None


def _used(tensor: Tensor, value: int) -> Used:
    shape = " x ".join(map(str, tensor.shape))
    return Used(f"weights of {shape}", value, Location(file=tensor.file, tensor=tensor.name))
