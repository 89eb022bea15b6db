"""From the groups of tensors in a pickle, and where the storages lie, to the facts of a weight file."""

from collections.abc import Callable, Iterable

import msgspec

from mmdoctor.facts.checkpoint import Damage, DamageKind, Tensor
from mmdoctor.readers.pickle_groups import Group, candidates, choose
from mmdoctor.readers.pickle_tensors import Storage, TensorRecord

MAX_NAMED = 1000
"""Tensors that one damage names."""


class StoredBytes(msgspec.Struct, frozen=True, kw_only=True):
    """Where a storage lies in the file."""

    offset: int | None
    """Absolute offset of the first byte; None where it is compressed or its header is unreadable."""
    size: int
    """Bytes that the file says the storage has."""
    whole: bool = True
    """Whether all of them lie before the end of the file."""


Locate = Callable[[Storage], StoredBytes | None]
"""Finds a storage in the file; None where it is not there."""


def tensors_of(file: str, groups: tuple[Group, ...], locate: Locate) -> tuple[str, tuple[Tensor, ...]]:
    """The path of the group that is the model, and its tensors; without a single one, all candidates by full path."""
    chosen = choose(groups)
    found: dict[str, StoredBytes | None] = {}
    tensors = []
    for group in (chosen,) if chosen else candidates(groups):
        prefix = "" if chosen or not group.path else f"{group.dotted}."
        for name, record in group.tensors:
            where = None
            if record.storage is not None:
                key = record.storage.key
                if key not in found:
                    found[key] = locate(record.storage)
                where = found[key]
            tensors.append(_tensor(f"{prefix}{name}" or "tensor", file, record, where))
    return (chosen.dotted if chosen else ""), tuple(tensors)


def _tensor(name: str, file: str, record: TensorRecord, where: StoredBytes | None) -> Tensor:
    start = None
    if where is not None and where.offset is not None and record.contiguous and record.element.packed == 1:
        start = where.offset + record.offset * record.element.size
    return Tensor(
        name=name,
        dtype=record.element.name,
        shape=record.shape,
        file=file,
        nbytes=record.size,
        start=start,
        storage=record.storage.key if record.storage else None,
        contiguous=record.contiguous,
        device=record.device,
    )


def all_tensors(groups: Iterable[Group]) -> list[tuple[str, TensorRecord]]:
    """Every tensor of a file with its full path, the optimizer's too."""
    return [(".".join((*g.path, name)) if name else g.dotted, t) for g in groups for name, t in g.tensors]


def storage_damage(groups: tuple[Group, ...], storages: Iterable[Storage], locate: Locate) -> list[Damage]:
    """What is wrong with storages: absent, of another size than the pickle says, too small for their tensors.

    Args:
        groups: all tensors of the file.
        storages: all storages that its pickle names, those behind the tensors and others.
        locate: finds them.
    """
    users: dict[str, list[str]] = {}
    outside: list[tuple[str, TensorRecord]] = []
    for name, record in all_tensors(groups):
        if record.storage is not None:
            users.setdefault(record.storage.key, []).append(name)
            if record.element.bytes_of(record.extent) > record.storage.nbytes and record.storage.element.size:
                outside.append((name, record))
    missing: list[str] = []
    wrong: list[tuple[str, Storage, StoredBytes]] = []
    for storage in storages:
        names = users.get(storage.key) or [f"storage {storage.key}"]
        where = locate(storage)
        if where is None:
            missing.extend(names if storage.nbytes else ())  # torch writes no member for a storage without bytes
        elif where.size != storage.nbytes and storage.element.size:
            wrong.extend((name, storage, where) for name in names)
    damage = []
    if missing:
        text = f"the storages of {len(missing):,} tensors are not in the file (first: {missing[0]})"
        damage.append(Damage(kind=DamageKind.MEMBER_MISSING, message=text, tensors=tuple(missing[:MAX_NAMED])))
    if wrong:
        damage.append(_wrong_size(wrong))
    if outside:
        damage.append(_outside(outside))
    return damage


def _outside(outside: list[tuple[str, TensorRecord]]) -> Damage:
    name, record = outside[0]
    need, have = record.element.bytes_of(record.extent), record.storage.nbytes if record.storage else 0
    text = f"{len(outside):,} tensors reach past their storage (first: {name} needs {need:,} of {have:,} bytes)"
    names = tuple(n for n, _ in outside[:MAX_NAMED])
    return Damage(kind=DamageKind.SIZE_MISMATCH, message=text, observed=have, expected=need, tensors=names)


def _wrong_size(wrong: list[tuple[str, Storage, StoredBytes]]) -> Damage:
    name, storage, where = wrong[0]
    keys = {s.key for _, s, _ in wrong}
    text = (
        f"{len(keys):,} storages have another size than the pickle says "
        f"(first: {storage.key} of {name} has {where.size:,} of {storage.nbytes:,} bytes)"
    )
    names = tuple(n for n, _, _ in wrong[:MAX_NAMED])
    return Damage(
        kind=DamageKind.MEMBER_SIZE,
        message=text,
        observed=where.size,
        expected=storage.nbytes,
        offset=where.offset,
        tensors=names,
    )


def lost(groups: tuple[Group, ...], storages: Iterable[Storage], locate: Locate) -> tuple[list[str], int, int]:
    """Tensors that do not lie wholly in a cut-off file, and how many of the storages do, of how many."""
    whole = {s.key: (w := locate(s)) is not None and w.whole for s in storages if s.nbytes}
    names = [n for n, t in all_tensors(groups) if t.storage is not None and not whole.get(t.storage.key, True)]
    return names, sum(whole.values()), len(whole)


def views_note(groups: tuple[Group, ...]) -> str | None:
    """A sentence where tensors use only a small part of the storages they are views of."""
    storages = {t.storage.key: t.storage.nbytes for _, t in all_tensors(groups) if t.storage is not None}
    used: dict[str, set[tuple[int, int]]] = {}
    for _, t in all_tensors(groups):
        if t.storage is not None:
            used.setdefault(t.storage.key, set()).add((t.offset, t.size))
    total = sum(storages.values())
    part = sum(min(storages[key], sum(size for _, size in views)) for key, views in used.items())
    if total - part <= part // 10 or total - part < 1 << 20:
        return None
    return f"its tensors are views of storages of {total:,} bytes, they use {part:,} of them: the file is too large"
