import pytest

from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.shard_misnamed import shard_misnamed
from tests.checks.integrity.made import file, index, source

S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
MAP = index({"a": S1, "b": S2})


@pytest.mark.parametrize(
    "name", [f"{S2}?download=true", "model-00002-of-00002 (1).safetensors", f"{S2}.1", f"{S2}.part"]
)
def test_fires_where_the_index_names_the_clean_name(name: str) -> None:
    (problem,) = fires(shard_misnamed, source(file("config.json"), file(S1), file(name)), MAP)

    assert S2 in problem.message
    assert problem.because[0].expected == S2
    assert problem.severity is Severity.ERROR


def test_fires_on_a_shard_without_an_index_and_on_the_only_weights() -> None:
    assert fires(shard_misnamed, source(file(S1), file(f"{S2}?download=true")), None)
    assert fires(shard_misnamed, source(file("config.json"), file("model (1).safetensors")), None)
    assert fires(shard_misnamed, source(file("model.safetensors"), file("config (1).json")), None)


def test_an_unfinished_download_is_not_to_be_renamed() -> None:
    (problem,) = fires(shard_misnamed, source(file(S1), file(f"{S2}.crdownload")), MAP)

    assert problem.fix is not None
    assert "again" in problem.fix.text


def test_a_second_copy_is_a_note() -> None:
    (problem,) = fires(shard_misnamed, source(file("model.safetensors"), file("model (1).safetensors")), None)

    assert problem.severity is Severity.NOTE


def test_silent_on_sound_names_and_on_the_downloader_s_own_files() -> None:
    silent(shard_misnamed, source(file("config.json"), file(S1), file(S2), file("tokenizer.model.v3")), MAP)
    silent(shard_misnamed, source(file(S1), file(S2), file(".cache/huggingface/download/x.incomplete")), MAP)
    silent(shard_misnamed, source(file("model.safetensors"), file("README.md.1"), file("photo (1).png")), None)
