"""Memory that the weights take once they are loaded."""

from collections.abc import Mapping

import msgspec

from mmdoctor.location import Location, Reading


class WeightMemory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of the weights on the accelerator at the dtype in which they are loaded, everything counted once."""

    split_bytes: int
    """Matrices that tensor parallelism divides."""
    key_value_bytes: int = 0
    """Key and value projections, divided by the number of key-value heads at most."""
    replicated_bytes: int = 0
    """What every rank holds whole: norms, biases, patch embeddings."""
    key_value_heads: int | None = None
    """As the configuration states it; None when unknown, which counts as divisible."""
    load_dtype: str
    """`bfloat16`, `float16`, `float32`, or `as stored`."""
    load_dtype_at: Location = Location()
    """Where the load dtype is stated, if a file states it."""
    why: str
    """Whose rule gives the load dtype: `--dtype`, `config.json`, `vLLM halves float32`."""
    stored_bytes: int
    """The same tensors as the files hold them."""
    half_bytes: int
    """The same tensors with all plain floats in 16 bits."""
    linear_bytes: int = 0
    """Of the total: matrices of the language model that weight quantisation would shrink."""
    linear_bits: int = 16
    """Bits of one element of those."""
    parts: Mapping[str, int] = {}
    """Part of the model to bytes; empty where the parts are not known."""
    engine: str | None = None
    """The engine that this holds for."""
    gguf: bool = False
    """The files are GGUF, which llama.cpp loads."""
    biggest: Reading[int]
    """The largest tensor, in bytes."""
    incomplete: bool = False
    """Some headers could not be read: the true numbers are larger."""

    @property
    def total_bytes(self) -> int:
        """All weights once."""
        return self.split_bytes + self.key_value_bytes + self.replicated_bytes

    def per_rank(self, ranks: int) -> int:
        """Bytes on each of so many accelerators under tensor parallelism."""
        key_value_ranks = min(ranks, self.key_value_heads or ranks)
        return self.split_bytes // ranks + self.key_value_bytes // key_value_ranks + self.replicated_bytes
