"""The globals and opcodes that torch.load(weights_only=True) takes, of torch 2.14.

Source: torch/_weights_only_unpickler.py, `_get_allowed_globals` and `Unpickler.load`; a test compares both with the
torch that is installed. Names that a program adds with `add_safe_globals` are not known here.
"""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_STORAGES = _words("BFloat16 Bool Byte Char ComplexDouble ComplexFloat Double Float Half Int Long Short")
_TENSORS = _words("BFloat16 Bool Byte Char Double Float Half Int Long Short")
_SPARSE = _words("BFloat16 Byte Char Double Float Half Int Long Short")
_DTYPES = _words(
    "bcomplex32 bfloat16 bits16 bits1x8 bits2x4 bits4x2 bits8 bool complex128 complex32 complex64 float16 float32 "
    "float4_e2m1fn_x2 float64 float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu "
    "int1 int16 int2 int3 int32 int4 int5 int6 int64 int7 int8 qint32 qint8 quint2x4 quint4x2 quint8 "
    "uint1 uint16 uint2 uint3 uint32 uint4 uint5 uint6 uint64 uint7 uint8 "
    "per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine per_tensor_symmetric"
)
_REBUILD = _words(
    "device_tensor_from_cpu_tensor device_tensor_from_numpy meta_tensor_no_storage nested_tensor parameter "
    "parameter_with_state qtensor sparse_tensor tensor tensor_v2 tensor_v3 wrapper_subclass"
)

WEIGHTS_ONLY: frozenset[str] = frozenset(
    [
        "_codecs.encode",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.set",
        "collections.Counter",
        "collections.OrderedDict",
        "torch.Size",
        "torch.Tensor",
        "torch.device",
        "torch._tensor._rebuild_from_type_v2",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
        *(f"torch.{name}Storage" for name in (*_STORAGES, "QInt32", "QInt8", "QUInt2x4", "QUInt4x2", "QUInt8")),
        *(f"torch.cuda.{name}Storage" for name in _STORAGES),
        *(f"torch.{name}Tensor" for name in _TENSORS),
        *(f"torch.cuda.{name}Tensor" for name in _TENSORS),
        *(f"torch.sparse.{name}Tensor" for name in _SPARSE),
        *(f"torch.cuda.sparse.{name}Tensor" for name in _SPARSE),
        *(f"torch.{name}" for name in _DTYPES),
        *(f"torch._utils._rebuild_{name}" for name in _REBUILD),
    ]
)
"""Dotted names."""

OPCODES: frozenset[int] = frozenset(b"eabhX}])GJKM\x8ajr(\x81N\x88\x89\x80RqQsucU.t\x85\x86\x87\x8f")
"""Opcode bytes; protocol 4 and 5 bring others, which end in "Unsupported operand"."""

IMPLIED: frozenset[str] = frozenset({"torch._tensor._rebuild_from_type", "torch.tensor._rebuild_from_type_v2"})
"""Older spellings that are refused although they are harmless."""


def is_storage(dotted: str) -> bool:
    """Whether it names a class of storages that torch replaces before it looks it up (`find_class` of torch.load)."""
    return dotted.startswith("torch.") and dotted.endswith("Storage")
