"""Element types by torch's, numpy's and the storage classes' names, with mmdoctor's canonical ones."""

import msgspec


class ElementType(msgspec.Struct, frozen=True):
    """What a storage or a tensor is made of."""

    name: str
    """Canonical name, see `mmdoctor.facts.dtypes`; of a type not known there, torch's own in capitals."""
    size: int
    """Bytes of one element as torch counts them (`torch.dtype.itemsize`); 0 where the type is not known."""
    packed: int = 1
    """Elements of a tensor in one element of its storage: 2 of quint4x2."""

    def bytes_of(self, numel: int) -> int:
        """Bytes that so many elements of a tensor take."""
        return -(-numel // self.packed) * self.size


def _table(**names: tuple[str, int]) -> dict[str, ElementType]:
    return {name: ElementType(*element) for name, element in names.items()}


# torch.dtype names and itemsize of torch 2.14; sub-byte ones (float4_e2m1fn_x2, uint1 ...) take a byte each.
TORCH_DTYPES: dict[str, ElementType] = {
    **_table(float64=("F64", 8), float32=("F32", 4), float16=("F16", 2), bfloat16=("BF16", 2)),
    **_table(double=("F64", 8), float=("F32", 4), half=("F16", 2)),
    **_table(int64=("I64", 8), int32=("I32", 4), int16=("I16", 2), int8=("I8", 1), uint8=("U8", 1), bool=("BOOL", 1)),
    **_table(uint64=("U64", 8), uint32=("U32", 4), uint16=("U16", 2)),
    **_table(complex32=("C32", 4), complex64=("C64", 8), complex128=("C128", 16), bcomplex32=("BCOMPLEX32", 4)),
    **_table(float8_e5m2=("F8_E5M2", 1), float8_e4m3fn=("F8_E4M3", 1), float8_e8m0fnu=("F8_E8M0", 1)),
    **_table(float8_e5m2fnuz=("F8_E5M2FNUZ", 1), float8_e4m3fnuz=("F8_E4M3FNUZ", 1)),
    **_table(float4_e2m1fn_x2=("FLOAT4_E2M1FN_X2", 1), bits8=("BITS8", 1), bits16=("BITS16", 2)),
    **_table(bits1x8=("BITS1X8", 1), bits2x4=("BITS2X4", 1), bits4x2=("BITS4X2", 1)),
    **_table(qint8=("QINT8", 1), quint8=("QUINT8", 1), qint32=("QINT32", 4)),
    "quint4x2": ElementType("QUINT4X2", 1, packed=2),
    "quint2x4": ElementType("QUINT2X4", 1, packed=4),
    **{f"{kind}{bits}": ElementType(f"{kind.upper()}{bits}", 1) for kind in ("int", "uint") for bits in range(1, 8)},
}

# torch/storage.py, _dtype_to_storage_type_map
STORAGE_DTYPES: dict[str, ElementType] = {
    **_table(DoubleStorage=("F64", 8), FloatStorage=("F32", 4), HalfStorage=("F16", 2), BFloat16Storage=("BF16", 2)),
    **_table(LongStorage=("I64", 8), IntStorage=("I32", 4), ShortStorage=("I16", 2), CharStorage=("I8", 1)),
    **_table(ByteStorage=("U8", 1), BoolStorage=("BOOL", 1), UntypedStorage=("U8", 1), _UntypedStorage=("U8", 1)),
    **_table(ComplexDoubleStorage=("C128", 16), ComplexFloatStorage=("C64", 8)),
    **_table(QInt8Storage=("QINT8", 1), QInt32Storage=("QINT32", 4), QUInt8Storage=("QUINT8", 1)),
    "QUInt4x2Storage": ElementType("QUINT4X2", 1, packed=2),
    "QUInt2x4Storage": ElementType("QUINT2X4", 1, packed=4),
}

# numpy's array protocol type codes, byte order left out.
NUMPY_DTYPES: dict[str, ElementType] = {
    **_table(f8=("F64", 8), f4=("F32", 4), f2=("F16", 2), b1=("BOOL", 1), c8=("C64", 8), c16=("C128", 16)),
    **_table(i8=("I64", 8), i4=("I32", 4), i2=("I16", 2), i1=("I8", 1)),
    **_table(u8=("U64", 8), u4=("U32", 4), u2=("U16", 2), u1=("U8", 1)),
}

# torch/_export/serde/schema.py, class ScalarType
EXPORT_DTYPES: dict[int, str] = {
    **dict(enumerate(("uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"), 1)),
    **dict(enumerate(("complex32", "complex64", "complex128", "bool", "bfloat16"), 9)),
    **dict(enumerate(("uint16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"), 28)),
    **dict(enumerate(("float8_e8m0fnu", "uint32", "uint64"), 33)),
}
