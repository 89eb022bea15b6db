from mmdoctor.facts.checkpoint import Damage, DamageKind
from mmdoctor.facts.source import FileKind
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.safetensors_truncated_or_bad_header import safetensors_truncated_or_bad_header
from tests.checks.integrity.made import loaded, tensor, weights

CUT = Damage(
    kind=DamageKind.TRUNCATED, message="the file has 5 of 9 bytes", observed=5, expected=9, offset=5, tensors=("a",)
)


def one(kind: DamageKind) -> Damage:
    return Damage(kind=kind, message="something is odd", observed=1)


def test_fires_with_the_numbers_and_the_place() -> None:
    (problem,) = fires(safetensors_truncated_or_bad_header, loaded(weights("model.safetensors", damage=(CUT,))))

    assert problem.message == "model.safetensors: the file has 5 of 9 bytes: loading fails"
    (evidence,) = problem.because
    assert (evidence.observed, evidence.expected, evidence.at.offset, evidence.at.tensor) == (5, 9, 5, "a")
    assert problem.severity is Severity.ERROR


def test_many_damaged_shards_are_one_finding() -> None:
    files = [weights(f"{i}.safetensors", damage=(CUT,)) for i in range(7)]
    (problem,) = fires(safetensors_truncated_or_bad_header, loaded(*files, weights("fine.safetensors")))

    assert problem.message.startswith("7 of 8 safetensors files are damaged (first: 0.safetensors: ")


def test_an_unknown_dtype_is_a_note_and_a_repeated_name_a_warning() -> None:
    for kind, severity in ((DamageKind.UNKNOWN_DTYPE, Severity.NOTE), (DamageKind.DUPLICATE_NAME, Severity.WARNING)):
        (problem,) = fires(safetensors_truncated_or_bad_header, loaded(weights("a.safetensors", damage=(one(kind),))))
        assert problem.severity is severity


def test_another_format_under_the_name_fires() -> None:
    renamed = weights("model.safetensors", kind=FileKind.TORCH_ZIP)
    (problem,) = fires(safetensors_truncated_or_bad_header, loaded(renamed))

    assert "holds torch zip" in problem.message


def test_silent_on_healthy_files_empty_ones_and_other_formats() -> None:
    silent(safetensors_truncated_or_bad_header, loaded(weights("model.safetensors", tensor("a"))))
    silent(safetensors_truncated_or_bad_header, loaded(weights("adapter_model.safetensors")))
    silent(safetensors_truncated_or_bad_header, loaded(weights("m.gguf", damage=(CUT,), kind=FileKind.GGUF)))
    silent(safetensors_truncated_or_bad_header, loaded(weights("m.bin", damage=(CUT,), kind=FileKind.TORCH_ZIP)))
    silent(safetensors_truncated_or_bad_header, loaded(weights("model.safetensors", kind=FileKind.LFS_POINTER)))
