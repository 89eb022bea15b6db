"""Element types by their safetensors names, which every reader translates to, with GGUF's block types beside them."""

import msgspec


class DType(msgspec.Struct, frozen=True):
    """An element type of stored tensors."""

    name: str
    """Canonical name: safetensors' own (`BF16`, `F8_E4M3`), or GGUF's block type (`Q4_K`)."""
    bits: float
    """Bits of storage per element, block scales included."""
    kind: str
    """`float`, `int`, `bool`, `complex`, `quantised` (blocks with scales) or `unknown`."""
    block: tuple[int, int] | None = None
    """(elements, bytes) of one block of a quantised type."""


def _plain(kind: str, **bits: float) -> dict[str, DType]:
    return {name: DType(name, size, kind) for name, size in bits.items()}


def _blocks(**sizes: tuple[int, int]) -> dict[str, DType]:
    return {name: DType(name, 8 * size / count, "quantised", (count, size)) for name, (count, size) in sizes.items()}


# safetensors 0.8, safetensors/src/tensor.rs, enum Dtype; C128 and the quantised q* types are torch's.
# Block types: (elements, bytes) from gguf-py/gguf/constants.py, GGML_QUANT_SIZES.
DTYPES: dict[str, DType] = {
    **_plain("float", F64=64, F32=32, F16=16, BF16=16, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E5M2FNUZ=8, F8_E4M3FNUZ=8),
    **_plain("float", F6_E2M3=6, F6_E3M2=6, F4=4),
    **_plain("int", I64=64, I32=32, I16=16, I8=8, U64=64, U32=32, U16=16, U8=8, I4=4, U4=4),
    **_plain("bool", BOOL=8),
    **_plain("complex", C32=32, C64=64, C128=128),
    **_plain("quantised", QINT8=8, QUINT8=8, QINT32=32, QUINT4X2=4, QUINT2X4=2),
    **_blocks(Q4_0=(32, 18), Q4_1=(32, 20), Q5_0=(32, 22), Q5_1=(32, 24), Q8_0=(32, 34), Q8_1=(32, 40)),
    **_blocks(Q2_K=(256, 84), Q3_K=(256, 110), Q4_K=(256, 144), Q5_K=(256, 176), Q6_K=(256, 210), Q8_K=(256, 292)),
    **_blocks(IQ2_XXS=(256, 66), IQ2_XS=(256, 74), IQ3_XXS=(256, 98), IQ1_S=(256, 50), IQ4_NL=(32, 18)),
    **_blocks(IQ3_S=(256, 110), IQ2_S=(256, 82), IQ4_XS=(256, 136), IQ1_M=(256, 56), TQ1_0=(256, 54), TQ2_0=(256, 66)),
    **_blocks(MXFP4=(32, 17), NVFP4=(64, 36), Q1_0=(128, 18)),
}


def dtype(name: str) -> DType:
    """The element type of that name; a name not known here has kind `unknown` and 0 bits."""
    return DTYPES.get(name) or DType(name, 0, "unknown")


def is_float(name: str) -> bool:
    """Whether elements of that type are plain floating point numbers."""
    return dtype(name).kind == "float"
