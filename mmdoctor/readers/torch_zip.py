"""Zip archives of torch.save, torch.jit.save, torch.export.save and torch.package."""

import msgspec

from mmdoctor.facts.checkpoint import Damage, DamageKind, TensorGroup, WeightFile
from mmdoctor.facts.source import FileEntry, FileKind
from mmdoctor.readers.byte_range import ByteRange, ByteStream, MemoryRange
from mmdoctor.readers.pickle_groups import Group, groups_of
from mmdoctor.readers.pickle_programs import PICKLE_START, PickleWalker
from mmdoctor.readers.pickle_records import PickleFaultError, Record
from mmdoctor.readers.pickle_tensors import Storage
from mmdoctor.readers.pickle_tree import Tree
from mmdoctor.readers.torch_export import export_groups
from mmdoctor.readers.torch_legacy import fault_damage, tree_damage
from mmdoctor.readers.torch_script import members_of
from mmdoctor.readers.torch_tensors import Locate, StoredBytes, all_tensors, storage_damage, tensors_of, views_note
from mmdoctor.readers.torch_zip_cut import read_cut_off
from mmdoctor.readers.zip_archive import ZipArchive
from mmdoctor.readers.zip_directory import LOCAL

_PICKLE_SUFFIXES = (".pkl", ".pickle", ".p", "_pkl")
MAX_INNER = 16
"""Archives and models within an archive that are looked into; torch.export writes an archive for each sample input."""
MAX_METADATA = 256
"""Bytes of a small text member that are kept."""

_NOTES = {
    FileKind.TORCH_PACKAGE: "torch.package carries Python source that runs when it is loaded",
    FileKind.TORCH_EXPORT: "an exported program: load it with torch.export.load, not torch.load",
    FileKind.TORCHSCRIPT: "TorchScript: load it with torch.jit.load; torch.load(weights_only=True) refuses it",
}


def read_zip(source: ByteRange, entry: FileEntry) -> WeightFile:
    """The tensors of an archive, of whichever of torch's four layouts."""
    archive = ZipArchive.open(source)
    if archive is None:
        return read_cut_off(source, entry)
    kind = _kind(archive)
    return _Reader(archive, entry, kind).read()


def _kind(archive: ZipArchive) -> FileKind:
    if archive.has(".data/extern_modules"):
        return FileKind.TORCH_PACKAGE
    if archive.has("constants.pkl"):  # torch/serialization.py, _is_torchscript_zip
        return FileKind.TORCHSCRIPT
    if archive.has("archive_format") or archive.has("serialized_exported_program.json"):
        return FileKind.TORCH_EXPORT
    return FileKind.TORCH_ZIP if archive.has("data.pkl") else FileKind.ZIP


class _Reader:
    """One archive on its way to a `WeightFile`."""

    def __init__(self, archive: ZipArchive, entry: FileEntry, kind: FileKind) -> None:
        self._archive = archive
        self._entry = entry
        self._kind = kind
        self._walker = PickleWalker(entry.path, kind)
        self._damage: list[Damage] = list(archive.damage)
        self._storages: dict[str, None] = {}
        """Members that are storages, so are not taken for pickles."""
        self._inner = 0

    def read(self) -> WeightFile:
        """Everything that the archive tells."""
        archive, kind = self._archive, self._kind
        locate: Locate = self._in_folder("data/")
        groups: tuple[Group, ...] = ()
        if kind is FileKind.TORCH_EXPORT:
            groups, locate = export_groups(archive)
        elif kind is FileKind.TORCH_PACKAGE:
            locate = self._in_package
            groups = self._package()
        elif kind in (FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT):
            self._walker.main = archive.root + "data.pkl"
            members = members_of(archive) if kind is FileKind.TORCHSCRIPT else None
            groups = self._main_groups(members)
        self._damage.extend(storage_damage(groups, self._all_storages(groups), locate))
        group, tensors = tensors_of(self._entry.path, groups, locate)
        self._other_pickles()
        self._walker.hidden = archive.hidden
        return WeightFile(
            path=self._entry.path,
            kind=kind,
            size=archive.source.size,
            tensors=tensors,
            metadata=self._metadata(),
            damage=tuple(self._damage),
            group=group,
            groups=sorted_facts(groups),
            program=self._walker.program(),
            note=_NOTES.get(kind) or views_note(groups),
        )

    def _all_storages(self, groups: tuple[Group, ...]) -> list[Storage]:
        """Those that the main pickle names, or, where there are several pickles or none, those of the tensors."""
        of_tensors = {t.storage.key: t.storage for _, t in all_tensors(groups) if t.storage is not None}
        return list((self._walker.storages or of_tensors).values())

    def _main_groups(self, members: dict[str, frozenset[str]] | None) -> tuple[Group, ...]:
        root = self._walk(self._walker.main, report=True)
        self._walker.root = root
        tree = Tree(root, members)
        self._damage.extend(tree_damage(tree))
        return groups_of(tree.root)

    def _package(self) -> tuple[Group, ...]:
        found: list[Group] = []
        for name in self._archive.names():
            if name.endswith(".pkl") and self._inner < MAX_INNER:
                self._inner += 1
                root = self._walk(name, report=True)
                self._walker.root = self._walker.root or root
                path = tuple(name.removeprefix(self._archive.root).removesuffix(".pkl").split("/"))
                found.extend(msgspec.structs.replace(g, path=path + g.path) for g in groups_of(Tree(root).root))
        return tuple(found)

    def _walk(self, name: str, *, report: bool) -> Record:
        """The record that a member's pickle yields, None where it breaks off."""
        opened = self._archive.read(name)
        if opened is None:
            if report:
                text = f"the archive has no readable {name!r}"
                self._damage.append(Damage(kind=DamageKind.MEMBER_MISSING, message=text, observed=name))
            return None
        stream = ByteStream(opened)
        named = report or name.endswith(_PICKLE_SUFFIXES)
        try:
            root = self._walker.walk(stream, name, 0 if named else 1)
        except PickleFaultError as fault:
            if report:
                self._damage.append(fault_damage(fault))
            return None
        self._storages[name] = None
        for _ in range(8):  # what stands behind STOP is never run by torch, but is by other loaders
            if not PICKLE_START.match(opened.pread(stream.position, 2)):
                break
            try:
                self._walker.walk(stream, f"{name}, behind its end")
            except PickleFaultError:
                break
        return root

    def _other_pickles(self) -> None:
        """Walk every other member that is, or begins like, a pickle."""
        for name in self._archive.names():
            if name in self._storages:
                continue
            opened = self._archive.sniff(name)
            if opened is None:
                continue
            if name.endswith(_PICKLE_SUFFIXES) or PICKLE_START.match(opened):
                self._walk(name, report=False)
            elif opened.startswith(LOCAL):
                self._inner_archive(name)
        for header in self._archive.layout.hidden:
            start = self._archive.source.pread(header.data, 2)
            if PICKLE_START.match(start):
                try:
                    self._walker.walk(ByteStream(self._archive.source, header.data), f"{header.name} (not listed)")
                except PickleFaultError:
                    continue

    def _inner_archive(self, name: str) -> None:
        """Walk the pickles of an archive within the archive."""
        self._inner += 1
        opened = self._archive.read(name) if self._inner <= MAX_INNER else None
        inner = ZipArchive.open(opened) if opened is not None else None
        for member in inner.names() if inner is not None else ():
            if inner is not None and PICKLE_START.match(inner.sniff(member) or b""):
                data = inner.read(member)
                try:
                    self._walker.walk(ByteStream(data or MemoryRange(b"")), f"{name}, {member}", 1)
                except PickleFaultError:
                    continue

    def _in_folder(self, folder: str) -> Locate:
        def locate(storage: Storage) -> StoredBytes | None:
            return self._found(f"{self._archive.root}{folder}{storage.key}")

        return locate

    def _in_package(self, storage: Storage) -> StoredBytes | None:
        return self._found(f"{self._archive.root}.data/{storage.key}.storage")

    def _found(self, name: str) -> StoredBytes | None:
        stored = self._archive.stored(name)
        if stored is not None:
            self._storages[name] = None
        return stored

    def _metadata(self) -> dict[str, str]:
        found = {}
        for name in (
            "version",
            ".data/version",
            "byteorder",
            ".format_version",
            "archive_format",
            ".data/python_version",
        ):
            text = self._archive.text(name, MAX_METADATA)
            if text is not None:
                found[name.removeprefix(".data/").removeprefix(".")] = text
        return found


def sorted_facts(groups: tuple[Group, ...]) -> tuple[TensorGroup, ...]:
    """The groups as facts, largest first."""
    return tuple(sorted((g.fact() for g in groups), key=lambda g: -g.nbytes))
