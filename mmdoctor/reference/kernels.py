"""Every kernel of scaled dot-product attention that torch has here, and its products, each by itself against float64.

Backends: https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.SDPBackend.html

Shapes: B samples, H heads, K key-value heads, T positions that ask, S positions that are asked, d width of a head.
"""

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmdoctor.facts.self_test import KernelRun
from mmdoctor.reference.attention import IMPLEMENTATIONS, causal_mask, padding_mask, textbook_attention
from mmdoctor.reference.comparison import deviation
from mmdoctor.reference.rounding import Tolerance
from mmdoctor.reference.seeding import storable, uniform

TEXTBOOK = "textbook"
"""The formula written out, in torch's operations."""
AUTOMATIC = "AUTOMATIC"
"""Torch's own choice among its backends."""

PRODUCT = "product"

PRODUCTS = (128, 4096)
"""Terms of the sums in the products: the model's width, and one so long that a narrow accumulator loses digits."""

_PARTIAL_SUMS = 16
"""Parts of a long sum that a library may store in the narrow type before it adds them up (split-K): cuBLAS does so with
torch's default settings, https://docs.pytorch.org/docs/stable/notes/cuda.html#reduced-precision-reduction-in-fp16-gemms."""


class Case(NamedTuple):
    """One attention to compute."""

    q_BHTd: Tensor
    k_BKSd: Tensor
    v_BKSd: Tensor
    mask: Tensor | None = None
    causal: bool = False
    """The kernel makes the mask itself, which then is the causal one."""

    def to(self, device: torch.device, dtype: torch.dtype) -> "Case":
        """The same there."""
        mask = None if self.mask is None else self.mask.to(device)
        q, k, v = (tensor.to(device, dtype) for tensor in self[:3])
        return Case(q, k, v, mask, self.causal)

    @property
    def group(self) -> int:
        """Query heads for each head of keys and values."""
        return self.q_BHTd.shape[1] // self.k_BKSd.shape[1]


def cases() -> dict[str, Case]:
    """By name, in float64, with numbers that every type holds exactly."""
    positions = torch.arange(37)
    padded = padding_mask(torch.stack([positions < length for length in (37, 21)]))
    return {
        "open": _case("open", (2, 4, 37, 32)),
        "causal": _case("causal", (2, 4, 37, 32), causal=True)._replace(mask=causal_mask(37, 37)),
        "padded": _case("padded", (2, 4, 37, 32))._replace(mask=padded),
        "grouped": _case("grouped", (2, 4, 37, 32), heads=2),
        "one position": _case("one position", (8, 4, 1, 64), asked=91),
        "long": _case("long", (1, 2, 16, 64), asked=2048),
    }


def _case(name: str, shape: tuple[int, int, int, int], *, asked: int = 0, heads: int = 0, causal: bool = False) -> Case:
    samples, query_heads, asking, width = shape
    memory = samples, heads or query_heads, asked or asking, width
    q_BHTd, k_BKSd, v_BKSd = (_numbers(f"{name}.{n}", s) for n, s in (("q", shape), ("k", memory), ("v", memory)))
    return Case(q_BHTd, k_BKSd, v_BKSd, causal=causal)


def _numbers(name: str, shape: tuple[int, ...]) -> Tensor:
    return storable(uniform(f"kernels.{name}", shape, deviation=1.0)).double()


def textbook(given: Mapping[str, Case]) -> dict[str, Tensor]:
    """The textbook formula, by case."""
    return {name: written_out(case) for name, case in given.items()}


def written_out(case: Case) -> Tensor:
    """The textbook formula."""
    k_BHSd, v_BHSd = (memory.repeat_interleave(case.group, dim=1) for memory in (case.k_BKSd, case.v_BKSd))
    return textbook_attention(case.q_BHTd, k_BHSd, v_BHSd, case.mask)


def factors() -> dict[str, tuple[Tensor, Tensor]]:
    """Two matrices for each product, in float64, with numbers that every type holds exactly."""
    return {
        str(terms): (_numbers(f"left.{terms}", (48, terms)), _numbers(f"right.{terms}", (64, terms)))
        for terms in PRODUCTS
    }


def products(given: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Left times right transposed, as a linear layer does it."""
    return {name: F.linear(left, right) for name, (left, right) in given.items()}


def product_tolerance(terms: str, one_rounding: Tolerance, dtype: str) -> Tolerance:
    """What a product may be off, from what rounding its result once may: the type may hold partial sums."""
    split = int(terms) > 1024 and dtype != "float32"
    return one_rounding.times(math.sqrt(_PARTIAL_SUMS / 2)) if split else one_rounding


def backends() -> dict[str, SDPBackend | None]:
    """Torch's backends by name; None stands for torch's own choice."""
    members = SDPBackend.__members__.items()
    return {AUTOMATIC: None, **{name: backend for name, backend in members if name != "ERROR"}}


def compare_attention(device: torch.device, dtype: str, tolerances: Mapping[str, Tolerance]) -> Iterator[KernelRun]:
    """The formula written out and each backend on each case; one that torch refuses says why."""
    given = cases()
    expected = textbook(given)
    moved = {case: each.to(device, getattr(torch, dtype)) for case, each in given.items()}
    for case, wanted in expected.items():
        yield _judged(TEXTBOOK, dtype, case, partial(written_out, moved[case]), wanted, tolerances[case])
    for name, backend in backends().items():
        for case, wanted in expected.items():
            yield _judged(name, dtype, case, partial(fused, moved[case], backend), wanted, tolerances[case])


def compare_products(device: torch.device, dtype: str, tolerances: Mapping[str, Tolerance]) -> Iterator[KernelRun]:
    """Products of matrices as linear layers make them."""
    given = factors()
    expected = products(given)
    for name, (left, right) in given.items():
        pair = left.to(device, getattr(torch, dtype)), right.to(device, getattr(torch, dtype))
        yield _judged(PRODUCT, dtype, name, partial(F.linear, *pair), expected[name], tolerances[name])


def _judged(
    kernel: str, dtype: str, case: str, compute: Callable[[], Tensor], expected: Tensor, tolerance: Tolerance
) -> KernelRun:
    try:
        result = attempted(compute)
    except RuntimeError as error:
        return KernelRun(kernel=kernel, dtype=dtype, case=case, failed=first_line(error))
    if isinstance(result, str):
        return KernelRun(kernel=kernel, dtype=dtype, case=case, unavailable=result)
    return KernelRun(kernel=kernel, dtype=dtype, case=case, deviation=deviation(case, result, expected, tolerance))


def fused(case: Case, backend: SDPBackend | None) -> Tensor:
    """The case by one backend, or by torch's choice.

    Raises:
        RuntimeError: torch has no such backend for it.
    """
    given = {} if case.group == 1 else {"enable_gqa": True}
    mask = None if case.causal else case.mask
    with chosen(backend):
        return F.scaled_dot_product_attention(
            case.q_BHTd, case.k_BKSd, case.v_BKSd, attn_mask=mask, is_causal=case.causal, **given
        )


@contextmanager
def chosen(backend: SDPBackend | None) -> Iterator[None]:
    """Only that backend; None leaves the choice to torch."""
    if backend is None:
        yield
        return
    with sdpa_kernel(backend):
        yield


T = TypeVar("T")
_REFUSALS = re.compile(
    r"not (yet )?(implemented|supported)|no (viable|available|valid|suitable)|unsupported", re.IGNORECASE
)
"""Words in which torch says that it has no such kernel, rather than that one broke."""


def attempted(compute: Callable[[], T]) -> T | str:
    """The result, or torch's reason why it does not do that here.

    Raises:
        RuntimeError: it tried, and broke.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # torch gives its reasons as warnings
        try:
            return compute()
        except (RuntimeError, TypeError) as error:
            if not is_refusal(error):
                raise
            reasons = [str(warning.message) for warning in caught] or [first_line(error)]
    said = (reason.partition(" (Triggered internally")[0].partition(". ")[0] for reason in reasons)
    return "; ".join(dict.fromkeys(said))


def is_refusal(error: Exception) -> bool:
    """Whether torch says that it does not do this here, rather than that something broke."""
    return isinstance(error, NotImplementedError | TypeError) or _REFUSALS.search(str(error)) is not None


def first_line(error: Exception) -> str:
    """Torch's errors go on with a traceback of its own."""
    return str(error).partition("\n")[0] or type(error).__name__


class Only:
    """Attention by one backend, as an implementation for the model; where torch refuses it, its math backend.

    Real models mix masks and shapes, and no fused backend takes them all.
    """

    def __init__(self, backend: SDPBackend) -> None:
        self.backend = backend
        self.ran = 0
        self.refused: list[str] = []
        """Torch's reason for each call that it refused."""

    def __call__(self, q_BHTd: Tensor, k_BHSd: Tensor, v_BHSd: Tensor, mask: Tensor | None = None) -> Tensor:
        case = Case(q_BHTd, k_BHSd, v_BHSd, mask)
        result = attempted(lambda: fused(case, self.backend))
        if not isinstance(result, str):
            self.ran += 1
            return result
        self.refused.append(result)
        return fused(case, SDPBackend.MATH)


@contextmanager
def registered(name: str, backend: SDPBackend) -> Iterator[Only]:
    """The backend as an implementation of that name that a model can be told to use."""
    only = Only(backend)
    IMPLEMENTATIONS[name] = only
    try:
        yield only
    finally:
        del IMPLEMENTATIONS[name]
