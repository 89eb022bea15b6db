"""A zip archive with its directory and layout read: members by name, bounded."""

from collections.abc import Iterator

from mmdoctor.facts.checkpoint import Damage, DamageKind
from mmdoctor.readers.byte_range import ByteRange
from mmdoctor.readers.torch_tensors import StoredBytes
from mmdoctor.readers.zip_directory import STORED, ZipDirectory, read_directory
from mmdoctor.readers.zip_members import MAX_INFLATED, Layout, lay_out, open_member

MAX_INFLATED_TOTAL = 192 << 20
"""Bytes unpacked of one archive; torch compresses only code, less than 1 MB of it."""
_DECEIVING = {DamageKind.MEMBER_HEADER, DamageKind.MEMBER_HIDDEN, DamageKind.MEMBER_NAME} | {
    *(DamageKind.DUPLICATE_NAME, DamageKind.OVERLAP)
}
SNIFFED = 16
"""Bytes that tell a pickle."""


class ZipArchive:
    """Members of an archive, and what is wrong with it.

    Args:
        source: the archive.
        directory: its central directory.
        layout: where its members lie.
    """

    def __init__(self, source: ByteRange, directory: ZipDirectory, layout: Layout) -> None:
        self.source = source
        self.directory = directory
        self.layout = layout
        self.root = directory.root
        self._budget = MAX_INFLATED_TOTAL

    @classmethod
    def open(cls, source: ByteRange) -> "ZipArchive | None":
        """The archive, None where it has no directory."""
        directory = read_directory(source)
        return None if directory is None else cls(source, directory, lay_out(source, directory))

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What is wrong with the archive itself."""
        return (*self.directory.damage, *self.layout.damage)

    @property
    def hidden(self) -> tuple[str, ...]:
        """Clauses about what other tools may overlook."""
        return tuple(d.message for d in self.damage if d.kind in _DECEIVING)

    def names(self) -> Iterator[str]:
        """All member names, folders left out."""
        return (name for name in self.directory.members if not name.endswith("/"))

    def has(self, name: str) -> bool:
        """Whether there is a member of that name in the archive's root folder."""
        return self.root + name in self.directory.members

    def read(self, name: str) -> ByteRange | None:
        """A member's bytes by its full name, as far as they can be had; None where there are none."""
        member, data = self.directory.members.get(name), self.layout.data.get(name)
        if member is None or data is None:
            return None
        if member.method == STORED:
            return open_member(self.source, member, data)[0]
        opened, _ = open_member(self.source, member, data, min(MAX_INFLATED, self._budget))
        self._budget = max(0, self._budget - opened.size)
        return opened

    def sniff(self, name: str) -> bytes | None:
        """The first bytes of a member."""
        member, data = self.directory.members.get(name), self.layout.data.get(name)
        if member is None or data is None:
            return None
        if member.method == STORED:
            return self.source.pread(data, min(SNIFFED, member.packed))
        return open_member(self.source, member, data, SNIFFED)[0].pread(0, SNIFFED) if self._budget > 0 else b""

    def text(self, name: str, limit: int) -> str | None:
        """A small text member of the root folder."""
        member, data = self.directory.members.get(self.root + name), self.layout.data.get(self.root + name)
        if member is None or data is None or member.method != STORED:
            return None
        return self.source.pread(data, min(limit, member.packed)).decode("utf-8", "replace").strip()

    def stored(self, name: str) -> StoredBytes | None:
        """Where a member's bytes lie, by its full name."""
        member = self.directory.members.get(name)
        if member is None:
            return None
        data = self.layout.data.get(name)
        whole = data is not None and data + member.packed <= self.source.size
        return StoredBytes(offset=data if member.stored else None, size=member.size, whole=whole)
