"""Files that torch.save wrote before 1.6 (and still does on request), bare pickles, and the tar files before those.

Legacy layout, torch/serialization.py `_legacy_save`: pickles of a magic number, a protocol version, system facts, the
object and the list of storage keys; then each storage as its number of elements (u64) and its raw bytes.
"""

import struct

from mmdoctor.facts.checkpoint import Damage, DamageKind, TensorGroup, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import ByteRange, ByteStream
from mmdoctor.readers.pickle_groups import Group, groups_of
from mmdoctor.readers.pickle_programs import PICKLE_START, PickleWalker
from mmdoctor.readers.pickle_records import PickleFaultError, Record
from mmdoctor.readers.pickle_tensors import Storage
from mmdoctor.readers.pickle_tree import Tree
from mmdoctor.readers.torch_tensors import StoredBytes, lost, storage_damage, tensors_of, views_note

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
"""torch/serialization.py, MAGIC_NUMBER"""
PROTOCOL_VERSION = 1001
MAX_MORE = 64
"""Pickles behind the first that are looked at."""
TAR_NOTE = "a tar archive as torch wrote before 0.1.10: load it with weights_only=False in a sandbox and save it again"
_HEADER_PICKLES = 3


def fault_damage(fault: PickleFaultError) -> Damage:
    """A broken pickle as damage."""
    text = f"the pickle cannot be walked: {fault.message}, at byte {fault.offset:,}"
    return Damage(kind=fault.kind, message=text, offset=fault.offset)


def tree_damage(tree: Tree) -> list[Damage]:
    """A tree that exceeds the limits as damage."""
    damage = []
    if tree.incomplete is not None:
        damage.append(Damage(kind=DamageKind.PICKLE_TOO_COMPLEX, message=f"the pickle holds {tree.incomplete}"))
    if tree.impossible:
        text = f"{len(tree.impossible):,} tensors have an impossible shape (first: {tree.impossible[0][:80]})"
        damage.append(Damage(kind=DamageKind.SIZE_MISMATCH, message=text, tensors=tuple(tree.impossible)))
    return damage


def read_pickles(source: ByteRange, entry: FileEntry) -> WeightFile:
    """A legacy file of torch, or a bare pickle."""
    walker = PickleWalker(entry.path, entry.kind)
    stream = ByteStream(source)
    roots: list[Record] = []
    damage: list[Damage] = []
    try:
        roots.append(walker.walk(stream))
        legacy = roots[0] == MAGIC_NUMBER if isinstance(roots[0], int) else False
        for _ in range(_HEADER_PICKLES + 1 if legacy else 0):
            roots.append(walker.walk(stream))  # noqa: PERF401 - those before a fault are kept
    except PickleFaultError as fault:
        damage.append(_cut_off(fault, source) or fault_damage(fault))
    legacy = bool(roots) and isinstance(roots[0], int) and roots[0] == MAGIC_NUMBER
    walker.kind = FileKind.TORCH_LEGACY if legacy else FileKind.PICKLE
    at = _HEADER_PICKLES if legacy else 0
    walker.root = roots[at] if len(roots) > at else None
    tree = Tree(walker.root)
    groups = groups_of(tree.root)
    damage.extend(tree_damage(tree))
    if legacy and not damage:
        file = _Storages(source, stream.position, roots[-1], groups, walker.storages)
        damage.extend(file.damage)
        damage.extend(storage_damage(groups, walker.storages.values(), file.locate) if not file.damage else ())
        stream.seek(file.end)
        locate = file.locate
    else:
        locate = _inline
    _walk_more(walker, stream, source)
    group, tensors = tensors_of(entry.path, groups, locate)
    return WeightFile(
        path=entry.path,
        kind=walker.kind,
        size=source.size,
        tensors=tensors,
        damage=tuple(damage),
        group=group,
        groups=_facts(groups),
        program=walker.program(),
        note=views_note(groups),
    )


def _facts(groups: tuple[Group, ...]) -> tuple[TensorGroup, ...]:
    return tuple(sorted((g.fact() for g in groups), key=lambda g: -g.nbytes))


def _inline(storage: Storage) -> StoredBytes:
    """Storages of a bare pickle lie inside strings of it."""
    return StoredBytes(offset=None, size=storage.nbytes)


def _cut_off(fault: PickleFaultError, source: ByteRange) -> Damage | None:
    if fault.kind is not DamageKind.PICKLE_BROKEN or not fault.message.startswith("the bytes end"):
        return None
    text = f"the file ends at byte {source.size:,}, within the pickle that lists the tensors"
    return Damage(kind=DamageKind.TRUNCATED, message=text, observed=source.size, offset=fault.offset)


def _walk_more(walker: PickleWalker, stream: ByteStream, source: ByteRange) -> None:
    """Walk what else looks like a pickle: an attacker's second one, or that of a second dump."""
    for _ in range(MAX_MORE):
        if not PICKLE_START.match(source.pread(stream.position, 2)):
            return
        try:
            walker.walk(stream, "behind the first")
        except PickleFaultError:
            return


def _unknown_key(key: str, offset: int) -> Damage:
    text = f"the list of storages has {key[:40]!r}, which the pickle does not name"
    return Damage(kind=DamageKind.PICKLE_BROKEN, message=text, observed=key[:40], offset=offset)


def _other_size(key: str, numel: int, storage: Storage, offset: int) -> Damage:
    text = f"storage {key} is said to have {numel:,} elements before its bytes, and {storage.numel:,} in the pickle"
    return Damage(kind=DamageKind.MEMBER_SIZE, message=text, observed=numel, expected=storage.numel, offset=offset)


class _Storages:
    """The storages behind the pickles, in the order of the list of keys."""

    def __init__(
        self, source: ByteRange, at: int, keys: Record, groups: tuple[Group, ...], known: dict[str, Storage]
    ) -> None:
        self.damage: list[Damage] = []
        self.end = at
        self._found: dict[str, StoredBytes] = {}
        self._known = known
        names = [str(k) for k in keys] if isinstance(keys, list | tuple) else []
        for key in names:
            count = source.pread(self.end, 8)
            storage = known.get(key)
            if storage is None:
                self.damage.append(_unknown_key(key, self.end))
                break
            numel = struct.unpack("<Q", count)[0] if len(count) == 8 else storage.numel
            if numel != storage.numel:
                self.damage.append(_other_size(key, numel, storage, self.end))
                break
            size = numel * storage.element.size
            start = self.end + 8
            self._found[key] = StoredBytes(offset=start, size=size, whole=start + size <= source.size)
            self.end = start + size
        if self.damage:
            return
        if self.end > source.size:
            self.damage.append(self._truncated(source.size, groups))
        elif self.end < source.size and not PICKLE_START.match(source.pread(self.end, 2)):
            text = f"{source.size - self.end:,} bytes follow the last storage"
            self.damage.append(Damage(kind=DamageKind.TRAILING_BYTES, message=text, offset=self.end))

    def _truncated(self, size: int, groups: tuple[Group, ...]) -> Damage:
        names, whole, count = lost(groups, self._known.values(), self.locate)
        text = (
            f"the file has {size:,} of {self.end:,} bytes; {whole:,} of {count:,} "
            f"storages are whole, {len(names):,} tensors are cut off (first: {names[0] if names else 'none'})"
        )
        return Damage(
            kind=DamageKind.TRUNCATED,
            message=text,
            observed=size,
            expected=self.end,
            offset=size,
            tensors=tuple(names[:1000]),
        )

    def locate(self, storage: Storage) -> StoredBytes | None:
        """Where a storage lies."""
        return self._found.get(storage.key)
