"""What torch's and numpy's rebuild calls in a pickle describe: tensors and storages, from records, building none.

The calls and their arguments: torch/_utils.py `_rebuild_*`, torch/_tensor.py `_rebuild_from_type_v2` and
torch/serialization.py `persistent_load` of torch 2.14; numpy/_core/multiarray.py for arrays.
"""

import math

import msgspec

from mmdoctor.readers.pickle_records import Call, Dict, Global, Persistent, Record
from mmdoctor.readers.torch_dtypes import NUMPY_DTYPES, STORAGE_DTYPES, TORCH_DTYPES, ElementType

MAX_RANK = 64
"""Dimensions of a tensor; torch and numpy stop at 64."""
MAX_NUMEL = 1 << 56
"""Elements of a tensor; times 16 bytes this still fits the 64 bits that torch counts bytes with."""
MAX_WRAPPING = 32
"""Rebuild calls around each other: a parameter of a subclass of a tensor takes three."""


class Storage(msgspec.Struct, frozen=True):
    """A buffer that tensors are views of."""

    key: str
    """Name of the buffer in the file."""
    element: ElementType
    numel: int
    """Elements of `element`."""
    device: str

    @property
    def nbytes(self) -> int:
        """Bytes of the buffer."""
        return self.numel * self.element.size


class TensorRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor as its rebuild call describes it."""

    element: ElementType
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None = None
    """In elements; None where it is no strided view of a storage."""
    storage: Storage | None = None
    offset: int = 0
    """First element within the storage."""
    device: str | None = None
    nbytes: int | None = None
    """Bytes in the file where they are not those of a strided view: sparse 0 or the parts' sum, meta 0."""

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes that the elements take in the file."""
        return self.element.bytes_of(self.numel) if self.nbytes is None else self.nbytes

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie row-major without gaps, as torch's `is_contiguous`."""
        if self.strides is None:
            return self.nbytes is None
        expected = 1
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length != 1 and stride != expected and self.numel:
                return False
            expected *= length
        return True

    @property
    def extent(self) -> int:
        """Elements of the storage from its beginning to the tensor's last element."""
        if not self.numel or self.strides is None:
            return self.offset
        return self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1


def tensor_of(record: Record, depth: int = 0) -> TensorRecord | None:
    """The tensor that a record describes, None where it is something else."""
    if not isinstance(record, Call) or depth > MAX_WRAPPING:
        return None
    name = record.dotted
    rebuild = _TORCH.get(name.removeprefix("torch._utils.")) if name.startswith("torch._utils.") else _OTHER.get(name)
    if rebuild is not None:
        return rebuild(record, depth)
    if name.startswith("torch.") and name.endswith("Tensor") and record.new:
        return _old_tensor(record)
    return None


def is_impossible(record: Record) -> bool:
    """Whether it is a view of a storage whose shape, strides or offset are none."""
    if not isinstance(record, Call) or _TORCH.get(record.dotted.removeprefix("torch._utils.")) not in (_v2, _v3):
        return False
    return storage_of(record.argument(0)) is not None and tensor_of(record) is None


def storage_of(record: Record) -> Storage | None:
    """The storage that a record stands for, None where it is something else."""
    if isinstance(record, Call):
        record = record.state if record.dotted == "torch.storage._load_from_bytes" else record.argument(0)
    if not isinstance(record, Persistent) or not isinstance(record.identity, tuple) or len(record.identity) < 5:
        return None
    kind, cls, key, device, numel = record.identity[:5]
    if _text(kind) != "storage" or not isinstance(cls, Global) or not isinstance(key, str | int):
        return None
    if not isinstance(numel, int) or not _is_count(numel):
        return None
    name = cls.name.rpartition(".")[2]
    return Storage(str(key), STORAGE_DTYPES.get(name) or ElementType(name, 0), numel, _text(device) or "cpu")


def _text(value: Record) -> str | None:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else None


def _is_count(value: Record) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def sizes(record: Record) -> tuple[int, ...] | None:
    """A shape or strides: a tuple, a list or a torch.Size of counts; None where it is none."""
    if isinstance(record, Call) and record.dotted == "torch.Size":
        record = record.argument(0)
    if not isinstance(record, tuple | list) or isinstance(record, Dict) or len(record) > MAX_RANK:
        return None
    counts = tuple(n for n in record if isinstance(n, int) and _is_count(n))
    return counts if len(counts) == len(record) and math.prod(n for n in counts if n) < MAX_NUMEL else None


def element_of(record: Record) -> ElementType | None:
    """The element type that a torch dtype names, None where it is none."""
    return TORCH_DTYPES.get(record.name) if isinstance(record, Global) and record.module == "torch" else None


def device_of(record: Record) -> str | None:
    """A device, from its string or a torch.device call."""
    if isinstance(record, Call) and record.dotted == "torch.device":
        kind, index = _text(record.argument(0)), record.argument(1)
        return f"{kind}:{index}" if isinstance(index, int) else kind
    return _text(record)


def _strided(call: Call, element: ElementType | None) -> TensorRecord | None:
    storage, offset = storage_of(call.argument(0)), call.argument(1)
    shape, strides = sizes(call.argument(2)), sizes(call.argument(3))
    if storage is None or shape is None or strides is None or len(shape) != len(strides) or not _is_count(offset):
        return None
    assert isinstance(offset, int)
    return TensorRecord(
        element=element or storage.element,
        shape=shape,
        strides=strides,
        storage=storage,
        offset=offset,
        device=storage.device,
    )


def _v2(call: Call, _: int) -> TensorRecord | None:
    return _strided(call, None)


def _v3(call: Call, _: int) -> TensorRecord | None:
    element = element_of(call.argument(6))
    return _strided(call, element) if element else None


def _wrapped(call: Call, depth: int) -> TensorRecord | None:
    return tensor_of(call.argument(0), depth + 1)


def _from_type(call: Call, depth: int) -> TensorRecord | None:
    inner = Call(call.argument(0), call.argument(2), call.offset)
    return tensor_of(inner, depth + 1)


def _from_cpu(call: Call, depth: int) -> TensorRecord | None:
    data, element = tensor_of(call.argument(0), depth + 1), element_of(call.argument(1))
    if data is None or element is None:
        return None
    stored = data.size
    return TensorRecord(element=element, shape=data.shape, device=device_of(call.argument(2)), nbytes=stored)


def _meta(call: Call, _: int) -> TensorRecord | None:
    return _shaped(element_of(call.argument(0)), sizes(call.argument(1)), "meta")


def _subclass(call: Call, _: int) -> TensorRecord | None:
    return _shaped(element_of(call.argument(1)), sizes(call.argument(2)), device_of(call.argument(6)))


def _shaped(element: ElementType | None, shape: tuple[int, ...] | None, device: str | None) -> TensorRecord | None:
    if element is None or shape is None:
        return None
    return TensorRecord(element=element, shape=shape, device=device, nbytes=0)


def _sparse(call: Call, depth: int) -> TensorRecord | None:
    parts = call.argument(1)
    if not isinstance(parts, tuple) or len(parts) < 3:
        return None
    tensors = [t for t in (tensor_of(p, depth + 1) for p in parts) if t is not None]
    shape = next((s for s in (sizes(p) for p in parts) if s is not None), None)
    if not tensors or shape is None:
        return None
    values = tensors[-1]  # (indices, values, size) and (crow, col, values, size)
    return TensorRecord(element=values.element, shape=shape, device=values.device, nbytes=sum(t.size for t in tensors))


def _nested(call: Call, depth: int) -> TensorRecord | None:
    return tensor_of(call.argument(0), depth + 1)


def _old_tensor(call: Call) -> TensorRecord | None:
    """A tensor of torch 0.1 to 0.3, made empty and given (storage, offset, size, stride) as its state."""
    state = call.state
    return _strided(Call(None, state, call.offset), None) if isinstance(state, tuple) and len(state) == 4 else None


def _array(call: Call, _: int) -> TensorRecord | None:
    """numpy's `_reconstruct` with the state (version, shape, dtype, fortran, bytes), or `_frombuffer` of protocol 5."""
    if call.dotted.endswith("_frombuffer"):
        shape, kind = sizes(call.argument(2)), call.argument(1)
    elif isinstance(call.state, tuple) and len(call.state) >= 5:
        shape, kind = sizes(call.state[1]), call.state[2]
    else:
        return None
    element = numpy_element(kind)
    return TensorRecord(element=element, shape=shape) if shape is not None and element is not None else None


def numpy_element(record: Record) -> ElementType | None:
    """The element type of a numpy dtype call, None for objects, strings and structures."""
    if not isinstance(record, Call) or record.dotted != "numpy.dtype":
        return None
    code = _text(record.argument(0))
    return NUMPY_DTYPES.get(code.lstrip("<>|=")) if code else None


_TORCH = {
    "_rebuild_tensor": _v2,
    "_rebuild_tensor_v2": _v2,
    "_rebuild_tensor_v3": _v3,
    "_rebuild_qtensor": _v2,
    "_rebuild_parameter": _wrapped,
    "_rebuild_parameter_with_state": _wrapped,
    "_rebuild_device_tensor_from_numpy": _from_cpu,
    "_rebuild_xla_tensor": _from_cpu,
    "_rebuild_device_tensor_from_cpu_tensor": _from_cpu,
    "_rebuild_meta_tensor_no_storage": _meta,
    "_rebuild_wrapper_subclass": _subclass,
    "_rebuild_sparse_tensor": _sparse,
    "_rebuild_nested_tensor": _nested,
    "_rebuild_sparse_csr_tensor": _sparse,
}
_OTHER = {
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.tensor._rebuild_from_type": _from_type,
    "torch.tensor._rebuild_from_type_v2": _from_type,
    "torch.nn.parameter.Parameter": _wrapped,
    "numpy.core.multiarray._reconstruct": _array,
    "numpy._core.multiarray._reconstruct": _array,
    "numpy.core.numeric._frombuffer": _array,
    "numpy._core.numeric._frombuffer": _array,
}
