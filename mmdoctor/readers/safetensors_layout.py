"""Whether the byte ranges of a safetensors header fit shapes, dtypes, each other and the file."""

import math
from collections.abc import Iterator, Sequence

from mmdoctor.facts.checkpoint import Damage, DamageKind, Tensor
from mmdoctor.facts.dtypes import DTYPES as ELEMENT_TYPES
from mmdoctor.wording import counted

DTYPES = frozenset(
    {"BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"}
    | {"I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64"}
)
"""safetensors 0.8.0: the variants that its parser lists when it meets another one."""

_BITS = {name: int(ELEMENT_TYPES[name].bits) for name in DTYPES}


def layout_damage(tensors: Sequence[Tensor], start: int, size: int, *, complete: bool) -> list[Damage]:
    """What is wrong with the tensors' places.

    Args:
        tensors: in the order of their data.
        start: offset of the first byte of data.
        size: bytes of the file.
        complete: whether these are all tensors of the header, so that gaps mean something.
    """
    found = [*_unknown(tensors), *_mismatch(tensors), *_order(tensors, start, complete=complete)]
    end = max((_end(t) for t in tensors), default=start)
    if end > size:
        past = tuple(t.name for t in tensors if _end(t) > size)
        message = (
            f"the file has {size:,} of {end:,} bytes: {end - size:,} are missing, "
            f"and {len(past):,} of {len(tensors):,} tensors lie past its end (first: {past[0]})"
        )
        found.append(
            Damage(kind=DamageKind.TRUNCATED, message=message, observed=size, expected=end, offset=size, tensors=past)
        )
    elif end < size and complete:
        message = (
            f"{size - end:,} bytes follow the last tensor: the file has {size:,} bytes, its header describes {end:,}"
        )
        found.append(Damage(kind=DamageKind.TRAILING_BYTES, message=message, observed=size, expected=end, offset=end))
    return found


def _end(tensor: Tensor) -> int:
    return (tensor.start or 0) + tensor.nbytes


def _unknown(tensors: Sequence[Tensor]) -> Iterator[Damage]:
    unknown = [t for t in tensors if t.dtype not in DTYPES]
    if unknown:
        names = sorted({t.dtype[:40] for t in unknown})
        message = (
            f"{len(unknown):,} of {len(tensors):,} tensors have a dtype that safetensors 0.8 does not know: "
            f"{', '.join(names[:5])} (first: {unknown[0].name})"
        )
        yield Damage(
            kind=DamageKind.UNKNOWN_DTYPE,
            message=message,
            observed=names[0],
            offset=8,
            tensors=tuple(t.name for t in unknown),
        )


def _mismatch(tensors: Sequence[Tensor]) -> Iterator[Damage]:
    wrong = []
    for tensor in tensors:
        bits = _BITS.get(tensor.dtype)
        # The reference multiplies in 64 bits and refuses an overflow even where a later dimension is 0.
        if bits is not None and (
            math.prod(tensor.shape) * bits != 8 * tensor.nbytes or math.prod(filter(None, tensor.shape)) >= 2**64
        ):
            wrong.append(tensor)
    if wrong:
        first = wrong[0]
        whole, rest = divmod(math.prod(first.shape) * _BITS[first.dtype], 8)
        needed = "2^64 or more" if whole >= 2**64 else f"{whole:,} and {rest} bits" if rest else f"{whole:,}"
        message = (
            f"{len(wrong):,} of {len(tensors):,} tensors have another size than shape and dtype ask for "
            f"(first: {first.name}, {first.dtype} {list(first.shape)[:8]}: {first.nbytes:,} bytes instead of {needed})"
        )
        yield Damage(
            kind=DamageKind.SIZE_MISMATCH,
            message=message,
            observed=first.nbytes,
            expected=needed,
            offset=first.start,
            tensors=tuple(t.name for t in wrong),
        )


def _order(tensors: Sequence[Tensor], start: int, *, complete: bool) -> Iterator[Damage]:
    overlaps: list[tuple[Tensor, int]] = []
    gaps: list[tuple[Tensor, int]] = []
    position = start
    for tensor in tensors:
        begin = tensor.start or 0
        if begin < position:
            overlaps.append((tensor, position - begin))
        elif begin > position:
            gaps.append((tensor, begin - position))
        position = max(position, _end(tensor))
    if overlaps:
        first, count = overlaps[0]
        yield Damage(
            kind=DamageKind.OVERLAP,
            message=(
                f"{counted(len(overlaps), 'tensor')} inside the bytes of another (first: {first.name}, by "
                f"{count:,} bytes)"
            ),
            observed=first.start,
            expected=(first.start or 0) + count,
            offset=first.start,
            tensors=tuple(t.name for t, _ in overlaps),
        )
    if gaps and complete:
        first, count = gaps[0]
        yield Damage(
            kind=DamageKind.GAP,
            message=f"{counted(len(gaps), 'gap')} between the tensors (first: {count:,} bytes before {first.name})",
            observed=first.start,
            expected=(first.start or 0) - count,
            offset=(first.start or 0) - count,
            tensors=tuple(t.name for t, _ in gaps),
        )
