"""How far rounding alone can move an output: the source of every tolerance of the self-test.

Monte Carlo arithmetic (Parker 1997, "Monte Carlo Arithmetic", UCLA CSD-970002; Frechtling and Leong 2015,
https://doi.org/10.1145/2700082): the model runs in float64, and the result of every operation that rounds is moved by a
random part of half the distance to its neighbours in the type in question, which is what rounding to nearest does.

* bfloat16 and float16: correct kernels accumulate in float32, so one operation rounds once, when it stores its result.
* float32: the accumulator is no wider than the result, so a sum of n terms rounds n times. Each rounding is relative to
  the sum so far, and those errors add up with sqrt(n) (Higham and Mary 2019, https://doi.org/10.1137/18M1226312).
  Normalisation and softmax divide by such a sum, and elementary functions are off by up to two units in the last place
  (https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/mathematical-functions.html).

Such runs give the distribution of two statistics of an output's error, and `tolerance` says where it ends.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

UNIT_ROUNDOFF = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
"""Half the distance from 1 to the next number."""

SMALLEST_NORMAL = {"float32": 2.0**-126, "bfloat16": 2.0**-126, "float16": 2.0**-14}
"""Below it, numbers are as far apart as at it."""

SAMPLES = 32
"""Runs with other random roundings; the spread of a mean square is then known to a quarter."""

SLACK = math.sqrt(2.0)
"""Every operation may round twice where it must round once, in an order of its own: a scaled query, a product stored
before its bias is added, a sum handed from one thread to another. Independent roundings add up in squares."""

SURE = 6.0
"""Standard deviations of a normal distribution: one run in a thousand million passes them by chance."""

_GUMBEL_TAIL = -math.log(0.5 * math.erfc(SURE / math.sqrt(2)))
_EULER = 0.5772156649

_MATMULS = {"mm", "addmm", "bmm"}
_SUMS = {"_softmax", "native_layer_norm"}
_FUNCTIONS = {"gelu", "tanh", "sigmoid"}
_ROUNDS = _MATMULS | _SUMS | _FUNCTIONS | {"add", "div"}
_FUNCTION_ERROR = 4.0
"""Two units in the last place, in unit roundoffs."""
_EXACT = {
    *("_to_copy", "_unsafe_view", "alias", "cat", "clone", "detach", "embedding", "expand", "im2col", "index"),
    *("masked_fill", "relu", "select", "slice", "split", "stack", "t", "transpose", "unbind", "unsqueeze", "view"),
    *("where",),
}
"""Operations that move numbers and change none."""


class Tolerance(msgspec.Struct, frozen=True, array_like=True):
    """What correct arithmetic stays within, as fractions of the output's largest expected magnitude."""

    largest: float
    """Of the largest error."""
    rms: float
    """Of the root mean square of the errors: it hardly varies, so it tells a little more rounding from none."""

    def times(self, factor: float) -> "Tolerance":
        """For the difference of several runs that all round."""
        return Tolerance(self.largest * factor, self.rms * factor)


NOTHING = Tolerance(0.0, 0.0)


class _Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves its constructor untyped
    """Moves the result of every operation that rounds."""

    def __init__(self, dtype: str, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.unit = UNIT_ROUNDOFF[dtype]
        self.smallest = SMALLEST_NORMAL[dtype]
        self.wide_accumulator = dtype != "float32"
        self.random = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in _EXACT or (isinstance(result, Tensor) and not result.is_floating_point()):
            return result
        if name not in _ROUNDS:
            raise NotImplementedError(f"aten.{name}: say in rounding.py whether this operation rounds")
        first, *others = result if isinstance(result, tuple) else (result,)
        first = self.moved(first) if self.wide_accumulator else self.moved_by_sums(name, first, args)
        return (first, *others) if isinstance(result, tuple) else first

    def moved_by_sums(self, name: str, result: Tensor, args: tuple[Any, ...]) -> Tensor:
        """The result moved by as much as its operation rounds where sums are no wider than their terms."""
        if name in _MATMULS:
            left, right = [arg for arg in args if isinstance(arg, Tensor)][-2:]
            sizes = (left.square() @ right.square()).mul_(left.shape[-1]).sqrt_()
            return result + self.noise(result) * sizes * self.unit
        if name in _SUMS:
            row = result[..., :1]
            return self.moved(result * (1 + self.noise(row) * math.sqrt(result.shape[-1]) * self.unit))
        if name in _FUNCTIONS:
            size = args[0] if name == "gelu" else result  # GELU is x (1 + erf) / 2, and the sum cancels below 0
            return result + self.noise(result) * size * (_FUNCTION_ERROR * self.unit)
        return self.moved(result)

    def moved(self, tensor: Tensor) -> Tensor:
        """Each number moved by up to half the distance to its neighbours."""
        power_of_two = torch.ldexp(torch.ones_like(tensor), torch.frexp(tensor).exponent - 1)
        return tensor + self.noise(tensor) * power_of_two.clamp_(min=self.smallest) * self.unit

    def noise(self, tensor: Tensor) -> Tensor:
        """Uniform in -1 to 1."""
        return torch.rand(tensor.shape, generator=self.random, dtype=torch.float64) * 2 - 1


def tolerances(compute: Callable[[], dict[str, Tensor]], dtype: str, *, samples: int = SAMPLES) -> dict[str, Tolerance]:
    """What correct arithmetic in that type stays within, by output.

    Args:
        compute: makes the outputs in float64, from numbers that the type holds exactly.
        dtype: a name of `UNIT_ROUNDOFF`.
        samples: how many runs with random rounding.
    """
    exact = compute()
    largest: dict[str, list[Tensor]] = {name: [] for name in exact}
    squares: dict[str, list[Tensor]] = {name: [] for name in exact}
    for seed in range(samples):
        with _Rounding(dtype, seed):
            rounded = compute()
        for name, wanted in exact.items():
            error = (rounded[name] - wanted) / wanted.abs().max()
            largest[name].append(error.abs().max())
            squares[name].append(error.square().mean())
    return {name: tolerance(torch.stack(largest[name]), torch.stack(squares[name])) for name in exact}


def tolerance(largest: Tensor, squares: Tensor) -> Tolerance:
    """Where the distributions end of which these are samples.

    Args:
        largest: largest error of each run; distributed as extremes are, after Gumbel.
        squares: mean square error of each run; distributed as chi-squared with as many degrees of freedom as its
            spread tells (Satterthwaite 1946, https://doi.org/10.2307/3002019), since errors depend on each other.
    """
    if not bool(squares.any()):
        return NOTHING
    scale = float(largest.std()) * math.sqrt(6) / math.pi
    end_of_largest = float(largest.mean()) + scale * (_GUMBEL_TAIL - _EULER)
    mean, spread = float(squares.mean()), float(squares.var())
    degrees = 2 * mean**2 / spread if spread else math.inf
    return Tolerance(SLACK * end_of_largest, SLACK * math.sqrt(mean * _chi_squared_end(degrees)))


def _chi_squared_end(degrees: float) -> float:
    """What a chi-squared number divided by its degrees of freedom passes by chance as seldom as `SURE` says.

    Wilson and Hilferty 1931, https://doi.org/10.1073/pnas.17.12.684: its cube root is nearly normal.
    """
    variance = 2 / (9 * degrees)
    return (1 - variance + SURE * math.sqrt(variance)) ** 3
