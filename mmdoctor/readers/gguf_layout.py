"""Whether the tensors of a GGUF header fit their types, each other and the file."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmdoctor.facts.checkpoint import Damage, DamageKind, Tensor
from mmdoctor.facts.dtypes import dtype

_NAMES = (
    "F32 F16 Q4_0 Q4_1 - - Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S "
    "IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16 - - - TQ1_0 TQ2_0 - - - MXFP4 NVFP4 Q1_0"
)
TYPES = {number: name for number, name in enumerate(_NAMES.split()) if name != "-"}
"""Type number to name; gguf-py/gguf/constants.py, GGMLQuantizationType. 4, 5, 31-33, 36-38 were removed."""


class TensorRecord(NamedTuple):
    """One tensor as the header has it."""

    name: str
    shape: tuple[int, ...]
    """Outermost dimension first; the file has them the other way round."""
    type: int
    offset: int
    """From the first byte of data."""


def layout(
    records: Sequence[TensorRecord], file: str, header_end: int, alignment: int, size: int, *, complete: bool
) -> tuple[tuple[Tensor, ...], list[Damage]]:
    """Tensors with their absolute places, and what is wrong with them.

    Args:
        records: in the order of the header.
        file: path of the file, relative to the artefact.
        header_end: offset behind the last record; the data begins at the next multiple of the alignment.
        alignment: bytes.
        size: bytes of the file.
        complete: whether the header was read to its end; if not, the places are not known.
    """
    start = _aligned(header_end, alignment)
    tensors = []
    unsized = []
    for record in records:
        nbytes = _nbytes(record)
        if nbytes is None:
            unsized.append(record)
        place = start + record.offset if complete else None
        tensors.append(
            Tensor(
                name=record.name,
                dtype=TYPES.get(record.type, f"type {record.type}"),
                shape=record.shape,
                file=file,
                nbytes=nbytes or 0,
                start=place,
            )
        )
    damage = [*_unsized(unsized, len(records)), *_twice(records)]
    if complete:
        known = not any(record.type not in TYPES for record in unsized)
        damage += [*_offsets(records, tensors, alignment if known else 0, start), *_truncated(tensors, size)]
    return tuple(tensors), damage


def _aligned(offset: int, alignment: int) -> int:
    return -(-offset // alignment) * alignment


def _nbytes(record: TensorRecord) -> int | None:
    """Bytes of a tensor; None where its type is unknown or its rows are no whole number of blocks."""
    name = TYPES.get(record.type)
    if name is None:
        return None
    kind = dtype(name)
    elements = math.prod(record.shape)
    if elements >= 2**63:  # ggml counts in int64_t
        return None
    if kind.block is None:
        return elements * int(kind.bits) // 8
    count, nbytes = kind.block
    row = record.shape[-1] if record.shape else 1
    return None if row % count else elements // count * nbytes


def _unsized(records: Sequence[TensorRecord], total: int) -> Iterator[Damage]:
    unknown = [r for r in records if r.type not in TYPES]
    if unknown:
        numbers = ", ".join(str(n) for n in sorted({r.type for r in unknown})[:5])
        yield Damage(
            kind=DamageKind.UNKNOWN_DTYPE,
            message=f"{len(unknown):,} of {total:,} tensors have a type that gguf 0.19 does not know: {numbers} "
            f"(first: {unknown[0].name})",
            observed=unknown[0].type,
            tensors=tuple(r.name for r in unknown),
        )
    ragged = [r for r in records if r.type in TYPES]
    if ragged:
        first = ragged[0]
        block = dtype(TYPES[first.type]).block
        what = f"rows of whole blocks of {block[0]}" if block else "fewer than 2^63 elements"
        yield Damage(
            kind=DamageKind.SIZE_MISMATCH,
            message=f"{len(ragged):,} of {total:,} tensors have a shape that their type does not allow "
            f"(first: {first.name}, {TYPES[first.type]} {list(first.shape)}: it needs {what})",
            tensors=tuple(r.name for r in ragged),
        )


def _twice(records: Sequence[TensorRecord]) -> Iterator[Damage]:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for record in records:
        if record.name in seen:
            twice[record.name] = None
        seen.add(record.name)
    if twice:
        message = f"{len(twice):,} tensor names stand twice (first: {next(iter(twice))})"
        yield Damage(kind=DamageKind.DUPLICATE_NAME, message=message, tensors=tuple(twice))


def _offsets(
    records: Sequence[TensorRecord], tensors: Sequence[Tensor], alignment: int, start: int
) -> Iterator[Damage]:
    """llama.cpp wants every tensor exactly behind the one before, padded to the alignment."""
    if not alignment:
        return
    position = 0
    for record, tensor in zip(records, tensors, strict=True):
        if record.offset != position:
            kind = DamageKind.OVERLAP if record.offset < position else DamageKind.GAP
            yield Damage(
                kind=kind,
                message=f"tensor {record.name} is at data offset {record.offset:,}, it has to be at {position:,}",
                observed=record.offset,
                expected=position,
                offset=start + position,
                tensors=(record.name,),
            )
            return
        position = _aligned(position + tensor.nbytes, alignment)


def _truncated(tensors: Sequence[Tensor], size: int) -> Iterator[Damage]:
    past = [t for t in tensors if (t.start or 0) + t.nbytes > size]
    if past:
        end = max((t.start or 0) + t.nbytes for t in past)
        message = (
            f"the file has {size:,} of {end:,} bytes: {end - size:,} are missing, "
            f"and {len(past):,} of {len(tensors):,} tensors lie past its end (first: {past[0].name})"
        )
        names = tuple(t.name for t in past)
        yield Damage(
            kind=DamageKind.TRUNCATED, message=message, observed=size, expected=end, offset=size, tensors=names
        )
