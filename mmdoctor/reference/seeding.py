"""Weights from a seed, the same bits on every machine and with every version of torch.

The numbers come from SHAKE-256 over the seed and the tensor's name, so no random generator is involved and a new tensor
changes no other. They are uniform with the variance 1 / fan-in (LeCun et al. 1998, "Efficient BackProp", section 4.6),
which keeps activations near 1 through every layer.

Each is a number that bfloat16 and float16 both hold exactly: running in a reduced precision then rounds activations
only, and what is measured is the arithmetic, not the storage.

Shapes: none are named here; every tensor keeps its own.
"""

import hashlib
import math

import torch
from torch import Tensor, nn

from mmdoctor.reference.vision import PatchEmbedding

SEED = 2026

_EMBEDDING_DEVIATION = 0.5
_NORM_DEVIATION = 0.1
_BIAS_DEVIATION = 0.1
"""Not zero: a bias that a runtime forgets must show."""


def uniform(name: str, shape: tuple[int, ...], *, deviation: float, seed: int = SEED) -> Tensor:
    """Float64 numbers of mean 0 and that standard deviation, uniform."""
    count = math.prod(shape)
    raw = bytearray(hashlib.shake_256(f"{seed}:{name}".encode()).digest(4 * count))
    integers = torch.frombuffer(raw, dtype=torch.int32).to(torch.float64)
    return ((integers + 0.5) * (deviation * math.sqrt(3) / 2**31)).reshape(shape)


def seeded_state(model: nn.Module, seed: int = SEED) -> dict[str, Tensor]:
    """A bfloat16 state dict for the model."""
    state = {}
    for path, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{path}.{name}".removeprefix(".")
            shape = tuple(parameter.shape)
            values = uniform(full, shape, deviation=_deviation(module, name, shape), seed=seed)
            if isinstance(module, nn.LayerNorm) and name == "weight":
                values = values + 1
            state[full] = storable(values)
    return state


def storable(values: Tensor) -> Tensor:
    """The nearest bfloat16 numbers that float16 holds too: small ones lose the bits that float16 has no room for."""
    return values.to(torch.bfloat16).to(torch.float16).to(torch.bfloat16)


def _deviation(module: nn.Module, name: str, shape: tuple[int, ...]) -> float:
    if isinstance(module, nn.LayerNorm):
        return _NORM_DEVIATION
    if isinstance(module, nn.Linear | PatchEmbedding):
        return _BIAS_DEVIATION if name == "bias" else 1 / math.sqrt(math.prod(shape[1:]))
    return _EMBEDDING_DEVIATION
