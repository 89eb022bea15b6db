"""Every pickle of an artefact, whatever the files are called: what they would import, and what was not looked at."""

import os
import re

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.pickles import PickleProgram, Pickles, Unscanned
from mmdoctor.facts.source import FileEntry, FileKind, Source
from mmdoctor.readers.byte_range import ByteStream, FileRange, SubRange
from mmdoctor.readers.pickle_programs import PICKLE_START, PickleWalker
from mmdoctor.readers.pickle_records import PickleFaultError
from mmdoctor.readers.torch_file import read_range
from mmdoctor.readers.zip_archive import ZipArchive

MAX_FILES = 2_000
"""Files with pickles that are walked; a training run keeps some dozens."""
MAX_TAR_MEMBERS = 10_000
"""Members of a tar archive that are looked at."""
NPY_MAGIC = b"\x93NUMPY"
MAX_NPY_HEADER = 1 << 16
"""Bytes of a .npy header; numpy refuses more than 10,000 without being asked."""

_TORCH = {FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT, FileKind.TORCH_EXPORT, FileKind.TORCH_PACKAGE, FileKind.ZIP} | {
    *(FileKind.TORCH_LEGACY, FileKind.PICKLE)
}
_NUMPY = {FileKind.NUMPY, FileKind.NUMPY_ARCHIVE}
_PICKLE_NAMES = (".pkl", ".pickle", ".p", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".sav")
_OLD_PICKLE = re.compile(rb"\(?[ci][A-Za-z_][\w.]*\r?\n[\w.]+\r?\n|\([dl]p?\d*\n|\((?:lp|dp)0")
"""How a pickle of protocol 0 begins, which has no magic: with a global, a dictionary or a list."""
_UNREAD = {
    FileKind.COMPRESSED: "it is compressed; unpack it and check again",
    FileKind.UNKNOWN: "its format is not known",
}


def pickles(source: Source, checkpoint: Checkpoint | None) -> Pickles:
    """Walk every file that holds a pickle, weights or not.

    Raises:
        NotApplicable: there is no pickle.
    """
    known = {f.path: f.program for f in checkpoint.files if f.program is not None} if checkpoint else {}
    damaged = {f.path for f in checkpoint.files if f.damage} if checkpoint else set()
    programs: list[PickleProgram] = []
    unscanned: list[Unscanned] = []
    for entry in source.files:
        if entry.problem is not None or entry.size == 0:
            continue
        program = known.get(entry.path)
        if program is None:
            if not _may_hold_pickles(entry):
                why = _UNREAD.get(entry.kind)
                if why is not None and entry.name.lower().endswith(_PICKLE_NAMES):
                    unscanned.append(Unscanned(file=entry.path, why=why))
                continue
            if len(programs) >= MAX_FILES:
                unscanned.append(Unscanned(file=entry.path, why=f"there are more than {MAX_FILES:,} such files"))
                continue
            program = _program(source, entry)
        if program is not None and (program.pickles or program.hidden):
            programs.append(program)
            if program.incomplete:
                unscanned.append(Unscanned(file=entry.path, why=program.incomplete, damaged=entry.path in damaged))
    if not programs and not unscanned:
        raise NotApplicable("no file holds a pickle")
    return Pickles(programs=tuple(programs), unscanned=tuple(unscanned))


def _may_hold_pickles(entry: FileEntry) -> bool:
    if entry.kind in _TORCH | _NUMPY | {FileKind.TAR}:
        return True
    if PICKLE_START.match(entry.head):  # so does a header's length of 128 or 640 bytes, whose zero bytes are no opcodes
        return entry.kind is not FileKind.SAFETENSORS
    return entry.kind in (FileKind.TEXT, FileKind.UNKNOWN) and bool(_OLD_PICKLE.match(entry.head))


def _program(source: Source, entry: FileEntry) -> PickleProgram | None:
    try:
        descriptor = os.open(source.absolute(entry.path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        return PickleProgram(file=entry.path, pickles=1, incomplete=f"it cannot be opened: {error.strerror}")
    try:
        file = FileRange(descriptor, 0, os.fstat(descriptor).st_size)
        if entry.kind is FileKind.NUMPY:
            return _walk_array(file, entry)
        if entry.kind is FileKind.NUMPY_ARCHIVE:
            return _walk_arrays(file, entry)
        if entry.kind is FileKind.TAR:
            return _walk_tar(file, entry)
        return read_range(file, entry).program
    finally:
        os.close(descriptor)


def _walk_array(file: FileRange, entry: FileEntry) -> PickleProgram:
    walker = PickleWalker(entry.path, entry.kind)
    _object_array(walker, SubRange(file, 0, file.size), "")
    return walker.program()


def _walk_arrays(file: FileRange, entry: FileEntry) -> PickleProgram:
    walker = PickleWalker(entry.path, entry.kind)
    archive = ZipArchive.open(file)
    for name in archive.names() if archive is not None else ():
        opened = archive.read(name) if archive is not None else None
        if opened is None:
            continue
        if PICKLE_START.match(opened.pread(0, 2)):  # np.load unpickles a member without the .npy magic
            _walk_quietly(walker, ByteStream(opened), name)
        else:
            _object_array(walker, SubRange(opened, 0, opened.size), name)
    if archive is not None:
        walker.hidden = archive.hidden
    return walker.program()


def _object_array(walker: PickleWalker, array: SubRange, member: str) -> None:
    """Walk the pickle of an object array: numpy/lib/format.py, a header with `'descr': '|O'`, then a pickle."""
    head = array.pread(0, 12)
    if not head.startswith(NPY_MAGIC) or len(head) < 12:
        return
    wide = head[6] > 1
    size = int.from_bytes(head[8:12] if wide else head[8:10], "little")
    start = (12 if wide else 10) + size
    if size <= MAX_NPY_HEADER and b"O" in array.pread(start - size, size) and PICKLE_START.match(array.pread(start, 2)):
        _walk_quietly(walker, ByteStream(array, start), member)


def _walk_tar(file: FileRange, entry: FileEntry) -> PickleProgram:
    """Walk the pickles of a tar archive, such as torch's before 0.1.10: ustar headers of 512 bytes (POSIX.1-1988)."""
    walker = PickleWalker(entry.path, entry.kind)
    at = 0
    for _ in range(MAX_TAR_MEMBERS):
        header = file.pread(at, 512)
        digits = header[124:136].strip(b" \0")
        if len(header) < 512 or not digits or any(d not in b"01234567" for d in digits):
            break
        size = int(digits, 8)
        name = header[:100].rstrip(b"\0").decode("utf-8", "replace")
        if PICKLE_START.match(file.pread(at + 512, 2)):
            stream = ByteStream(SubRange(file, at + 512, size))
            while PICKLE_START.match(stream.source.pread(stream.position, 2)):
                if not _walk_quietly(walker, stream, name):
                    break
        at += 512 + -(-size // 512) * 512
    return walker.program()


def _walk_quietly(walker: PickleWalker, stream: ByteStream, member: str) -> bool:
    """Walk a pickle; a fault stays in the walker's `incomplete`."""
    try:
        walker.walk(stream, member)
    except PickleFaultError:
        return False
    return True
