"""What the layers of a language model keep of the tokens that they have seen."""

from typing import Literal

import msgspec

from mmdoctor.location import Location

Kind = Literal["full", "sliding", "chunked", "latent", "linear", "hybrid", "cross", "none"]


class CacheLayer(msgspec.Struct, frozen=True, kw_only=True):
    """One layer."""

    kind: Kind
    """`full`: keys and values of every token. `sliding` and `chunked`: of the last `window` tokens, where the engine
    drops the others. `latent`: one compressed vector a token for all heads (multi-head latent attention). `linear`: a
    state of fixed size. `hybrid`: both `full` and `linear`. `cross`: of states of an image or an encoder, not of the
    text. `none`: it takes them from an earlier layer, or has no attention."""
    heads: int = 0
    """Key-value heads; 1 where the kind is `latent`."""
    key_size: int = 0
    """Numbers of a head's key; of `latent`, the compressed vector."""
    value_size: int = 0
    """Numbers of a head's value; of `latent`, the part of the key that carries the position."""
    window: int | None = None
    """Tokens at most."""
    state: int | None = None
    """Numbers that a sequence takes however long it is; None where that is not known."""
    expanded: int | None = None
    """Of `latent`: numbers a token where an engine keeps keys and values of all heads instead."""
    crossed: bool = False
    """It keeps those of the encoder's states too."""

    @property
    def numbers_per_token(self) -> int:
        """Numbers that each token adds, as long as none is dropped."""
        return self.heads * (self.key_size + self.value_size) if self.kind not in ("linear", "cross", "none") else 0

    def tokens(self, length: int) -> int:
        """Tokens that are kept of so many."""
        return min(length, self.window) if self.window is not None else length


class CacheGeometry(msgspec.Struct, frozen=True, kw_only=True):
    """All layers of the language model that attend to its own text."""

    layers: tuple[CacheLayer, ...]
    kinds_at: Location
    """Where the kinds of the layers are stated, or the section whose class derives them."""
    stated: bool
    """Whether the file lists the kinds; else they follow from the class's rule."""
    cross_states: int | None = None
    """States that cross-attention keeps: of one image, or of the encoder's input; None where that varies."""

    @property
    def numbers_per_token(self) -> int:
        """Numbers that each token adds in the layers that keep all tokens, and while the windows are not full."""
        return sum(layer.numbers_per_token for layer in self.layers)

    def numbers(self, length: int) -> int:
        """Numbers that a sequence of so many tokens takes, at least: the windows drop what is too old, states apart."""
        return sum(layer.numbers_per_token * layer.tokens(length) for layer in self.layers)

    @property
    def state(self) -> int | None:
        """Numbers of fixed size a sequence, all layers together; None where one is not known."""
        states = [layer.state for layer in self.layers if layer.kind in ("linear", "hybrid")]
        return None if None in states else sum(s for s in states if s is not None)
