"""What is left of a torch zip whose end is missing: the local headers tell, member by member."""

from mmdoctor.facts.checkpoint import Damage, DamageKind, WeightFile
from mmdoctor.facts.source import FileEntry
from mmdoctor.readers.byte_range import ByteRange, ByteStream
from mmdoctor.readers.pickle_groups import Group, groups_of
from mmdoctor.readers.pickle_programs import PickleWalker
from mmdoctor.readers.pickle_records import PickleFaultError
from mmdoctor.readers.pickle_tensors import Storage
from mmdoctor.readers.pickle_tree import Tree
from mmdoctor.readers.torch_tensors import MAX_NAMED, StoredBytes, lost, tensors_of
from mmdoctor.readers.zip_directory import DESCRIPTOR, MAX_MEMBERS
from mmdoctor.readers.zip_members import DESCRIPTOR_FLAG, LocalHeader, descriptor_end, local_header

_WIDE = 0xFFFFFFFF


def read_cut_off(source: ByteRange, entry: FileEntry) -> WeightFile:
    """The members before the end, and what of the tensors is lost."""
    return _CutOff(source, entry).read()


class _CutOff:
    def __init__(self, source: ByteRange, entry: FileEntry) -> None:
        self._source = source
        self._entry = entry
        self._walker = PickleWalker(entry.path, entry.kind)
        self._groups: tuple[Group, ...] = ()
        self._sizes: dict[str, int] = {}
        """Bytes of each storage that the pickle lists, by key."""
        self._found: dict[str, StoredBytes] = {}
        self._whole = 0
        self._known = True

    def read(self) -> WeightFile:
        """Walk the local headers from the beginning."""
        at = self._members()
        names, whole, count = lost(self._groups, self._walker.storages.values(), self._locate)
        group, tensors = tensors_of(self._entry.path, self._groups, self._locate)
        return WeightFile(
            path=self._entry.path,
            kind=self._entry.kind,
            size=self._source.size,
            tensors=tensors,
            damage=(self._damage(names, whole, count, at),),
            group=group,
            groups=tuple(sorted((g.fact() for g in self._groups), key=lambda g: -g.nbytes)),
            program=self._walker.program() if self._walker.root is not None or self._walker.incomplete else None,
        )

    def _members(self) -> int:
        """Go from member to member; the offset behind the last one that can be followed."""
        at = 0
        for _ in range(MAX_MEMBERS):
            header = local_header(self._source, at)
            if header is None:
                return at
            size = self._size(header)
            if size is None:
                self._known = False
                return header.data
            end = header.data + size
            name = header.name.partition("/")[2]
            if name.startswith("data/"):
                self._found[name.removeprefix("data/")] = StoredBytes(
                    offset=header.data, size=size, whole=end <= self._source.size
                )
            if end > self._source.size:
                return header.data
            self._whole += 1
            at = end + self._descriptor(header, end, size)
        return at

    def _size(self, header: LocalHeader) -> int | None:
        name = header.name.partition("/")[2]
        if name == "data.pkl":
            return self._pickle(header)
        if header.packed and header.packed != _WIDE:
            return header.packed
        if name.startswith("data/"):
            return self._sizes.get(name.removeprefix("data/"))
        if not header.flags & DESCRIPTOR_FLAG:
            return 0
        return descriptor_end(self._source, header.data)

    def _pickle(self, header: LocalHeader) -> int | None:
        """The pickle ends where its STOP is."""
        stream = ByteStream(self._source, header.data)
        self._walker.main = header.name
        try:
            self._walker.root = self._walker.walk(stream, header.name)
        except PickleFaultError:
            return None
        self._groups = groups_of(Tree(self._walker.root).root)
        self._sizes = {key: storage.nbytes for key, storage in self._walker.storages.items()}
        return stream.position - header.data

    def _descriptor(self, header: LocalHeader, end: int, size: int) -> int:
        if not header.flags & DESCRIPTOR_FLAG:
            return 0
        wide = size >= _WIDE or header.packed == _WIDE
        if self._source.pread(end, 4) != DESCRIPTOR:
            return 0
        return 24 if wide or self._source.pread(end + 16, 4)[:2] != b"PK" else 16

    def _locate(self, storage: Storage) -> StoredBytes | None:
        return self._found.get(storage.key)

    def _damage(self, names: list[str], whole: int, count: int, at: int) -> Damage:
        size = self._source.size
        text = f"the file ends at byte {size:,} without the archive's directory"
        expected = None
        if count:
            missing = sum(n for key, n in self._sizes.items() if key not in self._found or not self._found[key].whole)
            expected = at + missing
            text += (
                f"; {whole:,} of {count:,} storages are whole, {len(names):,} tensors are cut off or absent"
                f" (first: {names[0] if names else 'none'}); the whole file has at least {expected:,} bytes"
            )
        elif self._walker.incomplete:
            text += ", within the pickle that lists the tensors"
        elif self._whole:
            text += f"; {self._whole:,} members before it are whole"
        return Damage(
            kind=DamageKind.NO_CENTRAL_DIRECTORY,
            message=text,
            observed=size,
            expected=expected,
            offset=size,
            tensors=tuple(names[:MAX_NAMED]),
        )
