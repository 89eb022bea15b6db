"""All pickles of one file, walked one after the other and inside each other, and summed up as a `PickleProgram`."""

import math
import re

from mmdoctor.facts.checkpoint import DamageKind
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram
from mmdoctor.facts.source import FileKind
from mmdoctor.readers.byte_range import ByteRange, ByteStream, MemoryRange, SubRange
from mmdoctor.readers.pickle_machine import PickleMachine
from mmdoctor.readers.pickle_records import Blob, Call, PickleFaultError, Record
from mmdoctor.readers.pickle_stack import MAX_WORK
from mmdoctor.readers.pickle_tensors import Storage, sizes, storage_of
from mmdoctor.readers.pickle_tree import attributes, contents, describe, kind_of
from mmdoctor.readers.zip_archive import ZipArchive
from mmdoctor.readers.zip_directory import LOCAL

MAX_PICKLES = 20_000
"""Pickles walked in one file; each storage within a pickle is one."""
MAX_NESTING = 3
"""Pickles within pickles."""
MAX_ARCHIVES = 4
"""Zip archives within strings that are opened; each may take a second to unpack."""
MAX_GLOBALS = 20_000
"""Different names listed."""
MAX_TOP_LEVEL = 64
"""Keys of the root dictionary that are described."""
MAX_KEY = 100
"""Characters of a key that are kept."""

PICKLE_START = re.compile(rb"\x80[\x00-\x05]")


class PickleWalker:
    """Walks pickles of one file and remembers what they would import.

    Args:
        file: path within the artefact.
        kind: what the file is.
    """

    def __init__(self, file: str, kind: FileKind) -> None:
        self.file = file
        self.kind = kind
        self.main = ""
        self.incomplete: str | None = None
        """Why the last walk that broke off did, None where none has."""
        self.root: Record = None
        self.hidden: tuple[str, ...] = ()
        self.storages: dict[str, Storage] = {}
        """Every storage that the main pickle names, by key, those of sparse tensors' indices and the like too."""
        self._globals: dict[tuple[str, str, str], PickleGlobal] = {}
        self._devices: dict[str, None] = {}
        self._opcodes = bytearray(256)
        self._pickles = 0
        self._archives = 0
        self._work = MAX_WORK

    def walk(self, stream: ByteStream, member: str = "", depth: int = 0) -> Record:
        """What one pickle yields, the stream behind it afterwards.

        Raises:
            PickleFaultError: it breaks off; what came before is remembered.
        """
        machine = PickleMachine(stream, self._work)
        machine.after_build = self._skip_joblib_array
        self._pickles += 1
        try:
            if self._pickles > MAX_PICKLES:
                raise machine.too_complex(f"more than {MAX_PICKLES:,} pickles")
            root = machine.run()
        except PickleFaultError as fault:
            if depth == 0 or fault.kind is DamageKind.PICKLE_TOO_COMPLEX:  # others only begin like a pickle
                where = f" of {member}" if member else ""
                self.incomplete = self.incomplete or f"{fault.message} (byte {fault.offset:,}{where})"
            raise
        finally:
            self._work = machine.work
            self._remember(machine, member, depth)
        return root

    def _remember(self, machine: PickleMachine, member: str, depth: int) -> None:
        if depth == 0 and member == self.main:
            self._opcodes = bytearray(a | b for a, b in zip(self._opcodes, machine.opcodes, strict=True))
        for found in machine.globals:
            key = (found.module, found.name, member)
            known = self._globals.get(key)
            if known is None and len(self._globals) < MAX_GLOBALS:
                self._globals[key] = PickleGlobal(
                    module=found.module, name=found.name, member=member, offset=found.offset, called=found.called
                )
            elif known is not None and found.called and not known.called:
                self._globals[key] = PickleGlobal(
                    module=found.module, name=found.name, member=member, offset=known.offset, called=True
                )
        for record in machine.persistent:
            storage = storage_of(record)
            if storage is None:
                continue
            if depth == 0 and member == self.main:
                self.storages.setdefault(storage.key, storage)
            if len(self._devices) < MAX_TOP_LEVEL:
                self._devices[storage.device] = None
        self._inside(machine, member, depth)

    def _inside(self, machine: PickleMachine, member: str, depth: int) -> None:
        """Walk the pickles within the pickle; those that storages are in give the storage."""
        if depth >= MAX_NESTING:
            return
        loaded: set[int] = set()
        for call in machine.loads:
            data = call.argument(0)
            if isinstance(data, bytes | Blob):
                loaded.add(id(data))
                call.state = self._all(_range(machine.stream.source, data), _within(member), depth + 1)
        for inner in machine.nested:
            if id(inner) not in loaded:
                self._all(_range(machine.stream.source, inner), _within(member), depth + 1)

    def _all(self, source: ByteRange, member: str, depth: int) -> Record:
        """Walk consecutive pickles; the record of torch's legacy object, the fourth."""
        if source.pread(0, 4) == LOCAL:
            self._archive(source, member, depth)
            return None
        stream = ByteStream(source)
        roots: list[Record] = []
        while len(roots) < 5 and PICKLE_START.match(source.pread(stream.position, 2)):
            try:
                roots.append(self.walk(stream, member, depth))
            except PickleFaultError:
                break
        return roots[3] if len(roots) > 3 else None

    def _archive(self, source: ByteRange, member: str, depth: int) -> None:
        """Walk the pickles of a zip archive in a string."""
        self._archives += 1
        if self._archives > MAX_ARCHIVES:
            self.incomplete = self.incomplete or f"more than {MAX_ARCHIVES} archives in strings"
            return
        archive = ZipArchive.open(source)
        for name in archive.names() if archive is not None else ():
            if archive is not None and PICKLE_START.match(archive.sniff(name) or b""):
                opened = archive.read(name)
                if opened is not None:
                    self._all(opened, f"{member}, {name}", depth)

    def _skip_joblib_array(self, call: Call, stream: ByteStream) -> None:
        """Pass over the array that joblib writes behind its wrapper (joblib/numpy_pickle.py, NumpyArrayWrapper)."""
        if not call.dotted.startswith("joblib.numpy_pickle.NumpyArrayWrapper"):
            return
        state = attributes(call)
        shape, kind = sizes(state.get("shape")), state.get("dtype")
        code = kind.argument(0) if isinstance(kind, Call) else None
        if shape is None or not isinstance(code, str):
            return
        if code.startswith("O"):
            self.walk(stream, _within(""), 1)
            return
        if state.get("numpy_array_alignment_bytes") is not None:
            stream.skip(stream.take(1)[0])
        digits = re.search(r"\d+", code)
        width = int(digits[0]) if digits else 1
        stream.skip(math.prod(shape) * width * (4 if "U" in code else 1))

    def program(self) -> PickleProgram:
        """Everything met so far."""
        root = self.root
        described = describe(root)
        return PickleProgram(
            file=self.file,
            kind=self.kind,
            main=self.main,
            globals=tuple(self._globals.values()),
            root="instance" if described.startswith("instance") else described,
            root_class=root.dotted or None if described.startswith("instance") and isinstance(root, Call) else None,
            top_level=_top_level(root),
            devices=tuple(self._devices),
            pickles=self._pickles,
            incomplete=self.incomplete,
            opcodes=tuple(code for code, met in enumerate(self._opcodes) if met),
            hidden=self.hidden,
        )


def _range(source: ByteRange, data: bytes | Blob) -> ByteRange:
    return MemoryRange(data) if isinstance(data, bytes) else SubRange(source, data.offset, data.length)


def _within(member: str) -> str:
    return f"{member}, within a string" if member else "within a string"


def _top_level(root: Record) -> tuple[tuple[str, str], ...]:
    if kind_of(root) != "mapping":
        return ()
    found: list[tuple[str, str]] = []
    for key, value in contents(root):
        if len(found) == MAX_TOP_LEVEL:
            break
        found.append((key[:MAX_KEY], describe(value)))
    return tuple(found)
