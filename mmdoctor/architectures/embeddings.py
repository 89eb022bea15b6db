"""Finds the text model's token embedding and its output head."""

import re

from mmdoctor.architectures.names import strip_wrappers
from mmdoctor.architectures.parts import split_layer
from mmdoctor.architectures.roles import TOKEN_TABLE
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.parts import Embeddings, Parts, Role

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
                if len(tensor.shape) != 2:
                    continue
                name = strip_wrappers(tensor.name)
                if part.role is not Role.HEAD and TOKEN_TABLE.search(name) and not name.startswith(_NOT_TEXT):
                    tables.append(tensor)
                elif part.role in (Role.HEAD, Role.TEXT) and _is_head(name):
                    heads.append(tensor)
    if not tables and not heads:
        raise NotApplicable("no token embedding and no output head among the tensors")
    return Embeddings(embedding=min(tables, key=_rank, default=None), head=_head(heads, tables))


_NOT_TEXT = ("talker.", "token2wav.", "tts.", "encoder.", "model.encoder.")


def _is_head(name: str) -> bool:
    return bool(_HEAD.search(name)) and split_layer(name) is None and not name.startswith(_NOT_TEXT)


def _rank(tensor: Tensor) -> tuple[int, int, int]:
    """Shared tables first, those of an encoder last, then the shortest name."""
    name = strip_wrappers(tensor.name)
    return ("encoder" in name.split("."), "shared" not in name, len(name))


def _head(heads: list[Tensor], tables: list[Tensor]) -> Tensor | None:
    """The head whose columns fit the embedding best, else the first."""
    width = min(tables, key=_rank).shape[1] if tables else None
    fitting = [h for h in heads if h.shape[1] == width]
    named = [h for h in heads if "lm_head" in h.name or "embed_out" in h.name]
    return next(iter(fitting or named or heads), None)
