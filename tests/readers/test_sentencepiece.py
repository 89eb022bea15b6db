"""SentencePiece models, against the library that writes them."""

import io

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.readers.sentencepiece import NotSentencePieceError, pieces


def _model(kind: str = "unigram", **more: object) -> bytes:
    words = ["the quick brown fox jumps over the lazy dog", "é è ê 中文 日本語", "hello world of pieces"]
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words * 20),
        model_writer=out,
        model_type=kind,
        hard_vocab_limit=False,
        minloglevel=2,
        **{"vocab_size": 60, "user_defined_symbols": ["<image>", "<a b>"], **more},
    )
    return out.getvalue()


@pytest.mark.parametrize("kind", ["unigram", "char", "word"])
def test_pieces_and_types_are_the_librarys(kind: str) -> None:
    data = _model(kind)
    library = sentencepiece.SentencePieceProcessor(model_proto=data)

    found = pieces(data)

    ids = range(library.get_piece_size())
    assert list(found.contents) == [library.id_to_piece(i) for i in ids]
    assert found.control == {i for i in ids if library.is_control(i)}
    assert {"<image>", "<a b>"} <= {found.contents[i] for i in found.special}


def test_byte_pieces_are_ordinary() -> None:
    found = pieces(_model(byte_fallback=True, vocab_size=330))

    assert "<0x0A>" in found.contents
    assert "<0x0A>" not in {found.contents[i] for i in found.special}


@given(data=st.binary(max_size=300))
def test_any_bytes_are_pieces_or_refused(data: bytes) -> None:
    try:
        found = pieces(data).contents
    except NotSentencePieceError:
        found = ("refused",)

    assert found


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_model_that_is_cut_short_is_refused(keep: float) -> None:
    data = _model()

    with pytest.raises(NotSentencePieceError):
        pieces(data[: int(len(data) * keep)])


@pytest.mark.parametrize(
    "data", [b"", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x02\x0a\x7f", b"\x07", b"\x00\x00"]
)
def test_broken_protobufs_are_refused(data: bytes) -> None:
    with pytest.raises(NotSentencePieceError):
        pieces(data)
