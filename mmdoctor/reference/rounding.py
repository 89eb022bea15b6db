"""How far rounding alone can move an output: the source of every tolerance of the self-test.

Monte Carlo arithmetic (Parker 1997, "Monte Carlo Arithmetic", UCLA CSD-970002; Frechtling and Leong 2015,
https://doi.org/10.1145/2700082): the model runs in float64, and the result of every operation that rounds is moved by a
random relative amount of up to one unit roundoff of the type in question. Whatever order a correct kernel adds in, and
wherever it fuses two operations into one, its outputs stay within a small multiple of the largest of these moves.

* bfloat16 and float16: correct kernels accumulate in float32, so one operation rounds once, when it stores its result.
* float32: the accumulator is no wider than the result, so a sum of n products rounds n times; those errors grow with
  sqrt(n) (Higham and Mary 2019, https://doi.org/10.1137/18M1226312).
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmdoctor.reference.comparison import largest

UNIT_ROUNDOFF = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
"""Half the distance from 1 to the next number."""

SAMPLES = 16
"""Runs with other random roundings."""

FACTOR = 4.0
"""The tolerance is this many times the largest move of any sample: room for results that a kernel rounds once more on
the way (a scaled query, a probability handed from one product to the next), and for the tail that 16 samples miss.
Correct kernels of an AVX-512 CPU use 0.03 to 0.27 of it, in every type."""

_MATMULS = {"mm", "addmm", "bmm"}
_ROUNDS = _MATMULS | {"add", "div", "gelu", "tanh", "sigmoid", "_softmax", "native_layer_norm"}
_EXACT = {
    *("_to_copy", "_unsafe_view", "arange", "bitwise_not", "cat", "clone", "embedding", "expand", "im2col", "lt"),
    *("masked_fill", "ones", "relu", "select", "slice", "split", "stack", "t", "transpose", "tril", "unbind"),
    *("unsqueeze", "view", "where"),
}
"""Operations that move numbers and change none."""


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its constructor untyped
    """Moves the result of every operation that rounds."""

    def __init__(self, dtype: str, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.unit = UNIT_ROUNDOFF[dtype]
        self.wide_accumulator = dtype != "float32"
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in _EXACT:
            return result
        if name not in _ROUNDS:
            raise NotImplementedError(f"aten.{name}: say in rounding.py whether this operation rounds")
        if isinstance(result, tuple):
            return (self.moved(result[0]), *result[1:])
        if name in _MATMULS and not self.wide_accumulator:
            factors = [arg for arg in args if isinstance(arg, Tensor)]
            size = result.pow(2).mean(-1, keepdim=True).sqrt() * math.sqrt(factors[-1].shape[-2])
            return result + self.noise(result) * size
        return self.moved(result)

    def moved(self, tensor: Tensor) -> Tensor:
        """Each number moved relative to itself."""
        return tensor + self.noise(tensor) * tensor if tensor.is_floating_point() else tensor

    def noise(self, tensor: Tensor) -> Tensor:
        """Uniform in plus and minus one unit roundoff."""
        return (torch.rand(tensor.shape, generator=self.random, dtype=torch.float64) * 2 - 1) * self.unit


def tolerances(
    compute: Callable[[Tensor], dict[str, Tensor]],
    inputs: Tensor,
    dtype: str,
    *,
    exact_inputs: bool = False,
    samples: int = SAMPLES,
) -> dict[str, float]:
    """Largest relative error that correct arithmetic in that type may show, by output.

    Args:
        compute: makes the outputs from the inputs, in float64.
        inputs: float64.
        dtype: a name of `UNIT_ROUNDOFF`.
        exact_inputs: whether the type holds the inputs exactly, so that they are not rounded on their way in.
        samples: how many runs with random rounding.
    """
    runs = []
    for seed in range(samples):
        rounding = _Rounding(dtype, seed)
        rounded = inputs if exact_inputs else rounding.moved(inputs)
        with rounding:
            runs.append(compute(rounded))
    return {name: FACTOR * error for name, error in largest(runs, compute(inputs)).items()}
