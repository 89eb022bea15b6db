from mmdoctor.facts.checkpoint import Damage, DamageKind
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.gguf_truncated_or_bad_header import gguf_truncated_or_bad_header
from tests.checks.integrity.made import loaded, weights

CUT = Damage(kind=DamageKind.TRUNCATED, message="the file has 5 of 9 bytes", observed=5, expected=9, offset=5)
NEW = Damage(kind=DamageKind.UNKNOWN_DTYPE, message="type 99", observed=99)


def test_fires_on_damage() -> None:
    (problem,) = fires(gguf_truncated_or_bad_header, loaded(weights("m.gguf", damage=(NEW, CUT), kind=FileKind.GGUF)))

    assert problem.message == "m.gguf: the file has 5 of 9 bytes; llama.cpp refuses the file"
    assert problem.severity is None


def test_a_new_type_alone_is_a_note() -> None:
    (problem,) = fires(gguf_truncated_or_bad_header, loaded(weights("m.gguf", damage=(NEW,), kind=FileKind.GGUF)))

    assert problem.severity is Severity.NOTE


def test_silent_on_healthy_files_and_other_formats() -> None:
    silent(gguf_truncated_or_bad_header, loaded(weights("m.gguf", kind=FileKind.GGUF)))
    silent(gguf_truncated_or_bad_header, loaded(weights("model.safetensors", damage=(CUT,))))
