"""INT022 notes layers for multi-token prediction that are there, or configured and lost."""

from mmdoctor.finding import Severity
from mmdoctor_checks.integrity.mtp_heads_extra_or_lost import mtp_heads_extra_or_lost
from tests.architectures.made import LLAMA, changed, examine, llama


def test_silent_without_any():
    assert examine(mtp_heads_extra_or_lost, llama(), LLAMA) == ()


def test_fires_as_a_note_on_a_layer_beyond_the_configured():
    (finding,) = examine(mtp_heads_extra_or_lost, llama(layers=4), changed(LLAMA, num_nextn_predict_layers=1))

    assert finding.severity is Severity.NOTE
    assert "layers 3 beyond the 3" in finding.message
    assert "normal" in finding.message


def test_fires_as_a_note_on_tensors_named_so():
    shapes = {**llama(), "mtp.layers.0.self_attn.q_proj.weight": (64, 64), "mtp.fc.weight": (64, 128)}

    (finding,) = examine(mtp_heads_extra_or_lost, shapes, changed(LLAMA, mtp_num_hidden_layers=1))
    assert "2 tensors named mtp" in finding.message


def test_fires_as_a_note_where_they_are_lost():
    (finding,) = examine(mtp_heads_extra_or_lost, llama(), changed(LLAMA, num_nextn_predict_layers=1))

    assert finding.severity is Severity.NOTE
    assert "speculative decoding" in finding.message
    assert finding.location.pointer == "/num_nextn_predict_layers"


def test_silent_on_as_many_layers_as_configured():
    assert examine(mtp_heads_extra_or_lost, llama(layers=3), LLAMA) == ()
