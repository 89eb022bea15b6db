"""CRC-32 of zip members, as neither torch.load nor its mmap path computes it."""

import os
import zlib
from collections.abc import Iterator

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, ChecksumMismatch, Checksums, WeightFile
from mmdoctor.facts.source import Depth, FileKind, Source
from mmdoctor.progress import Progress
from mmdoctor.readers.byte_range import ByteRange, FileRange, SubRange
from mmdoctor.readers.zip_archive import ZipArchive
from mmdoctor.readers.zip_directory import DEFLATED, STORED, ZipMember

BUFFER = 1 << 22
"""Bytes read at once."""
MAX_RATIO_SLACK = 1 << 20
"""Bytes that a compressed member may unpack to beyond the size it declares before it is given up."""
MAX_INFLATED_TOTAL = 4 << 30
"""Bytes unpacked of one archive: a bomb of many honest members ends here. torch stores weights uncompressed."""
WORKERS = 4
"""Files read at a time; zlib.crc32 works at about 3 GB/s a thread and releases the interpreter."""

_ZIPS = {FileKind.TORCH_ZIP, FileKind.TORCHSCRIPT, FileKind.TORCH_EXPORT, FileKind.TORCH_PACKAGE, FileKind.KERAS} | {
    FileKind.NUMPY_ARCHIVE
}


def checksums(checkpoint: Checkpoint, source: Source, depth: Depth, progress: Progress | None = None) -> Checksums:
    """Read every member of every zip archive once and compare its CRC-32 with the recorded one.

    Raises:
        NotApplicable: no weight file is a zip archive, or the depth is `headers`.
        Unavailable: a file cannot be read, or no checksums were recorded.
    """
    files = [f for f in checkpoint.files if f.kind in _ZIPS]
    if not files:
        raise NotApplicable("no weight file is a zip archive")
    if not depth.covers(Depth.WEIGHTS):
        raise NotApplicable("needs --depth weights: every byte of the weights is read")
    from concurrent.futures import ThreadPoolExecutor

    watched = progress or Progress()
    what = files[0].path if len(files) == 1 else f"{len(files)} files"
    watched.start(f"reading {what}", sum(f.size for f in files))
    with ThreadPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        results = list(pool.map(lambda file: _of_file(file, source, watched), files))
    if not any(r.members for r in results):
        raise Unavailable("the archives record no checksums (torch.serialization.set_crc32_options(False))")
    return Checksums(
        members=sum(r.members for r in results),
        nbytes=sum(r.nbytes for r in results),
        mismatches=tuple(m for r in results for m in r.mismatches),
        unrecorded=sum(r.unrecorded for r in results),
    )


def _of_file(file: WeightFile, source: Source, progress: Progress) -> Checksums:
    try:
        descriptor = os.open(source.absolute(file.path), os.O_RDONLY)
    except OSError as error:
        raise Unavailable(f"{file.path} cannot be read: {error.strerror}") from None
    try:
        archive = ZipArchive.open(FileRange(descriptor, 0, os.fstat(descriptor).st_size))
        if archive is None:
            raise Unavailable(f"{file.path} is cut off: the checksums stand at its end")
        return archive_checksums(archive, file, progress)
    except OSError as error:
        raise Unavailable(f"{file.path} cannot be read to its end: {error.strerror}") from None
    finally:
        os.close(descriptor)


def archive_checksums(archive: ZipArchive, file: WeightFile, progress: Progress | None = None) -> Checksums:
    """The checksums of one archive; members that are cut off or encrypted are left to the readers' damage."""
    by_storage: dict[str, list[str]] = {}
    for tensor in file.tensors:
        if tensor.storage is not None:
            by_storage.setdefault(tensor.storage, []).append(tensor.name)
    members = nbytes = inflated = unrecorded = 0
    mismatches = []
    for member in archive.directory.members.values():
        data = archive.layout.data.get(member.name)
        if data is None or data + member.packed > archive.source.size or member.encrypted or not _readable(member):
            continue
        if member.crc == 0 and member.size:  # torch.serialization.set_crc32_options(False) writes zeros
            unrecorded += 1
            continue
        if member.method == DEFLATED:
            inflated += member.size
            if inflated > MAX_INFLATED_TOTAL:
                continue
        if nbytes + member.packed > archive.source.size:
            break  # members that overlap, which is damage: the same bytes are not read a thousand times
        computed = crc_of(archive.source, member, data, progress)
        members += 1
        nbytes += member.packed
        if computed != member.crc:
            key = member.name.rpartition("/")[2].removesuffix(".storage")
            mismatches.append(
                ChecksumMismatch(
                    file=file.path,
                    member=member.name,
                    stored=member.crc,
                    computed=computed,
                    tensors=tuple(by_storage.get(key, ())) if "/data/" in f"/{member.name}" else (),
                )
            )
    return Checksums(members=members, nbytes=nbytes, mismatches=tuple(mismatches), unrecorded=unrecorded)


def _readable(member: ZipMember) -> bool:
    return member.method in (STORED, DEFLATED)


def crc_of(source: ByteRange, member: ZipMember, data: int, progress: Progress | None = None) -> int:
    """CRC-32 of a member's bytes, unpacked; unpacking is given up shortly past the declared size."""
    crc = 0
    for chunk in _bytes_of(SubRange(source, data, member.packed), member, progress or Progress()):
        crc = zlib.crc32(chunk, crc)
    return crc


def _bytes_of(packed: SubRange, member: ZipMember, progress: Progress) -> Iterator[bytes]:
    at = size = 0
    inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
    while at < packed.size:
        chunk = packed.pread(at, BUFFER)
        if not chunk:
            return
        at += len(chunk)
        progress.advance(len(chunk))
        if inflater is None:
            yield chunk
            continue
        while chunk and size <= member.size + MAX_RATIO_SLACK:
            try:
                part = inflater.decompress(chunk, BUFFER)
            except zlib.error:
                return
            chunk = inflater.unconsumed_tail
            size += len(part)
            yield part
