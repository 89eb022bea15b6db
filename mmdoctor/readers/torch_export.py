"""Archives of torch.export.save: the weights' JSON index (since torch 2.7), or the pickles in the archive (before)."""

import msgspec

from mmdoctor.facts.source import FileKind
from mmdoctor.readers.byte_range import ByteStream, SubRange
from mmdoctor.readers.pickle_groups import Group, groups_of
from mmdoctor.readers.pickle_programs import PickleWalker
from mmdoctor.readers.pickle_records import PickleFaultError
from mmdoctor.readers.pickle_tensors import Storage, TensorRecord
from mmdoctor.readers.pickle_tree import Tree
from mmdoctor.readers.torch_dtypes import EXPORT_DTYPES, TORCH_DTYPES, ElementType
from mmdoctor.readers.torch_tensors import Locate, StoredBytes
from mmdoctor.readers.zip_archive import ZipArchive

MAX_MODELS = 16
"""Models of one archive that are read."""
MAX_INDEX = 32 << 20
"""Bytes of an index; one of 20,000 tensors takes 7 MB."""


# torch/_export/serde/schema.py: PayloadConfig, PayloadMeta, TensorMeta, SymInt
class _SymInt(msgspec.Struct):
    as_int: int | None = None


class _Device(msgspec.Struct):
    type: str = "cpu"
    index: int | None = None


class _TensorMeta(msgspec.Struct):
    dtype: int
    sizes: list[_SymInt]
    strides: list[_SymInt]
    storage_offset: _SymInt
    device: _Device


class _Payload(msgspec.Struct):
    path_name: str
    tensor_meta: _TensorMeta | None = None


class _Payloads(msgspec.Struct):
    config: dict[str, _Payload]


def export_groups(archive: ZipArchive) -> tuple[tuple[Group, ...], Locate]:
    """The weights of an exported program and where they lie."""
    folder = f"{archive.root}data/weights/"

    def locate(storage: Storage) -> StoredBytes | None:
        return archive.stored(f"{folder}{storage.key}")

    found: list[Group] = []
    for name in archive.names():
        if name.startswith(folder) and name.endswith("_weights_config.json") and len(found) < MAX_MODELS:
            model = name.removeprefix(folder).removesuffix("_weights_config.json")
            found.append(Group(() if model == "model" else (model,), "model", _index(archive, name, folder)))
    inner = f"{archive.root}serialized_state_dict.pt"
    stored = archive.stored(inner)
    if not found and stored is not None and stored.offset is not None:
        return _nested(archive, stored)
    return tuple(found), locate


def _index(archive: ZipArchive, name: str, folder: str) -> tuple[tuple[str, TensorRecord], ...]:
    opened = archive.read(name)
    if opened is None or opened.size > MAX_INDEX:
        return ()
    try:
        payloads = msgspec.json.decode(opened.pread(0, opened.size), type=_Payloads)
    except (msgspec.DecodeError, RecursionError):
        return ()
    found = []
    for key, payload in payloads.config.items():
        record = _record(archive, payload, folder)
        if record is not None:
            found.append((key, record))
    return tuple(found)


def _record(archive: ZipArchive, payload: _Payload, folder: str) -> TensorRecord | None:
    meta = payload.tensor_meta
    if meta is None:
        return None
    shape = tuple(n.as_int for n in meta.sizes if n.as_int is not None and n.as_int >= 0)
    strides = tuple(n.as_int for n in meta.strides if n.as_int is not None and n.as_int >= 0)
    if len(shape) != len(meta.sizes) or len(strides) != len(shape):
        return None
    element = TORCH_DTYPES.get(EXPORT_DTYPES.get(meta.dtype, "")) or ElementType(f"SCALARTYPE{meta.dtype}", 0)
    device = meta.device.type if meta.device.index is None else f"{meta.device.type}:{meta.device.index}"
    offset = max(0, meta.storage_offset.as_int or 0)
    record = TensorRecord(element=element, shape=shape, strides=strides, offset=offset, device=device)
    # the index does not have the storage's size: where the member is there, its own holds
    stored = archive.stored(folder + payload.path_name)
    numel = stored.size // element.size if stored and element.size else record.extent
    return msgspec.structs.replace(record, storage=Storage(payload.path_name, element, numel, device))


def _nested(archive: ZipArchive, stored: StoredBytes) -> tuple[tuple[Group, ...], Locate]:
    """The state dict of torch 2.1 to 2.6: a file of torch.save as a member."""
    assert stored.offset is not None
    inner = ZipArchive.open(SubRange(archive.source, stored.offset, stored.size))

    def locate(storage: Storage) -> StoredBytes | None:
        where = inner.stored(f"{inner.root}data/{storage.key}") if inner else None
        if where is None or where.offset is None or stored.offset is None:
            return where
        return msgspec.structs.replace(where, offset=where.offset + stored.offset)

    opened = inner.read(inner.root + "data.pkl") if inner else None
    if opened is None:
        return (), locate
    try:
        root = PickleWalker("", FileKind.TORCH_ZIP).walk(ByteStream(opened))
    except PickleFaultError:
        return (), locate
    return groups_of(Tree(root).root), locate
