"""Finds the text model's token embedding and its output head."""

import re

from mmdoctor.architectures.names import strip_wrappers
from mmdoctor.architectures.parts import split_layer
from mmdoctor.architectures.roles import TOKEN_TABLE
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.parts import Embeddings, Parts, Role

_LEAVES = (
    "embed_tokens",
    "wte",
    "word_embedding",
    "word_embeddings",
    "token_embedding",
    "token_embeddings",
    "tok_embeddings",
    "token_embd",
    "shared",
    "embed_in",
    "tokens_embed",
    "word_embed_proj",
    "embedding",
    "lm_head",
    "embed_out",
    "output",
    "proj_out",
    "decoder_head",
    "output_projection",
    "decoder",
    "vocab_projector",
    "ff_out",
)
"""How the names of tables and heads end: a quick look before the exact patterns."""

_HEAD = re.compile(
    r"(?:^|\.)(?:lm_head|embed_out|output|proj_out|decoder_head|output_projection|lm_head\.decoder|vocab_projector"
    r"|cls\.predictions\.decoder|predictions\.decoder|ff_out|generator_lm_head)(?:\.weight)?$"
)
"""Names of output heads that score the vocabulary."""


def embeddings(parts: Parts) -> Embeddings:
    """The text model's token embedding and head.

    Of several tables (an encoder-decoder has up to three) the one nearest to the top of the decoder is taken.

    Raises:
        NotApplicable: the checkpoint has neither.
    """
    tables: list[Tensor] = []
    heads: list[Tensor] = []
    for part in parts.parts:
        if part.role in (Role.TEXT, Role.FUSION, Role.OTHER, Role.HEAD):
            for tensor in part.tensors:
                if len(tensor.shape) != 2 or not tensor.name.removesuffix(".weight").endswith(_LEAVES):
                    continue
                name = strip_wrappers(tensor.name)
                if part.role is not Role.HEAD and TOKEN_TABLE.search(name) and not _NOT_TEXT.search(name):
                    tables.append(tensor)
                elif part.role in (Role.HEAD, Role.TEXT) and _is_head(name):
                    heads.append(tensor)
    if not tables and not heads:
        raise NotApplicable("no token embedding and no output head among the tensors")
    return Embeddings(embedding=min(tables, key=_rank, default=None), head=_head(heads, tables))


_NOT_TEXT = re.compile(r"(?:^|\.)(?:talker|token2wav|tts|generation_\w+|speech_\w+|audio_\w+|depth_\w+|vqmodel)\.")
"""Modules with tables and heads of their own that are not the text's."""


def _is_head(name: str) -> bool:
    return bool(_HEAD.search(name)) and split_layer(name) is None and not _NOT_TEXT.search(name)


_IN_ENCODER = re.compile(r"(?:^|[._])encoder\.")
"""Inside a module called `encoder`, `text_encoder` ..."""


def _rank(tensor: Tensor) -> tuple[int, int, int]:
    """Shared tables first, those of an encoder last, then the shortest name."""
    name = strip_wrappers(tensor.name)
    return (_IN_ENCODER.search(name) is not None, "shared" not in name, len(name))


def _head(heads: list[Tensor], tables: list[Tensor]) -> Tensor | None:
    """The first head that reads as many features as the embedding has, or without an embedding the first."""
    width = min(tables, key=_rank).shape[1] if tables else None
    named = sorted(heads, key=lambda h: "lm_head" not in h.name and "embed_out" not in h.name)
    return next((h for h in named if width in (None, h.shape[1]) or not _LOOSE.search(h.name)), None)


_LOOSE = re.compile(r"(?:^|\.)(?:output|proj_out|output_projection|ff_out)(?:\.weight)?$")
"""Names that other layers have too: they count as heads only where the width fits."""
