"""What the header of a GGUF file says beside its tensors."""

from collections.abc import Mapping

import msgspec

Value = str | int | float | bool


class GgufMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """The key-value pairs of a GGUF file."""

    version: int
    """Format version: 2 or 3."""
    big_endian: bool = False
    alignment: int = 32
    """Bytes that every tensor's offset is a multiple of."""
    values: Mapping[str, Value] = {}
    """Scalars and strings; long strings are cut off."""
    lengths: Mapping[str, int] = {}
    """Elements of every array, and bytes of every string that was cut off."""

    @property
    def architecture(self) -> str | None:
        """`general.architecture`, such as `gemma3`; `clip` for the vision and audio towers of llama.cpp."""
        value = self.values.get("general.architecture")
        return value if isinstance(value, str) else None

    @property
    def is_projector(self) -> bool:
        """Whether it is an mmproj file: vision or audio tower with projector, without a language model."""
        return self.values.get("general.type") == "mmproj" or self.architecture == "clip"

    @property
    def vocabulary(self) -> int | None:
        """Tokens in the vocabulary that it carries."""
        return self.lengths.get("tokenizer.ggml.tokens")

    @property
    def has_chat_template(self) -> bool:
        """Whether it carries a chat template."""
        return "tokenizer.chat_template" in self.values

    def number(self, key: str) -> int | None:
        """A whole number below the architecture's prefix: `block_count`, `attention.head_count`."""
        value = self.values.get(f"{self.architecture}.{key}")
        return value if isinstance(value, int) and not isinstance(value, bool) else None
