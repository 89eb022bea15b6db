import pytest

from mmdoctor.facts.hub_cache import HubCache, PartialDownload
from mmdoctor.facts.source import FileProblem
from mmdoctor.finding import Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.hf_cache_broken_links_or_incomplete import hf_cache_broken_links_or_incomplete as rule
from tests.checks.integrity.made import file, index, loaded, source, tensor, weights

LOADED = loaded(weights("model.safetensors", tensor("a")))
BLOB = "../../blobs/" + "a" * 64


def broken(path: str, problem: FileProblem = FileProblem.DANGLING):
    return file(path, size=0, problem=problem, link=BLOB)


def partial(*, newer: bool = True, snapshots: int = 1) -> HubCache:
    return HubCache(
        partial=(PartialDownload(name="abc.incomplete", size=1234, newer=newer),), snapshots=snapshots, repository="o/n"
    )


def test_fires_on_links_to_nowhere() -> None:
    (problem,) = fires(rule, source(broken("config.json"), broken("model.safetensors")), None, None, None)

    assert "2 files of the model cannot be opened (first: config.json" in problem.message
    assert problem.fix is not None
    assert "cp -aL" in problem.fix.text


@pytest.mark.parametrize("problem", [FileProblem.LOOP, FileProblem.SPECIAL])
def test_fires_on_loops_and_pipes(problem: FileProblem) -> None:
    (found,) = fires(rule, source(file("config.json"), broken("model.safetensors", problem)), None, None, None)

    assert found.severity is None


@pytest.mark.parametrize(
    ("problem", "severity"), [(FileProblem.UNREADABLE, Severity.ERROR), (FileProblem.OUTSIDE, Severity.WARNING)]
)
def test_what_was_not_read_is_told(problem: FileProblem, severity: Severity) -> None:
    (found,) = fires(rule, source(broken("tokenizer.json", problem)), None, None, None)

    assert found.severity is severity


def test_what_the_model_does_not_need_is_a_note() -> None:
    files = source(
        file("model.safetensors"), broken("pytorch_model.bin"), broken("README.md"), broken("onnx/model.onnx")
    )
    (found,) = fires(rule, files, None, LOADED, None)

    assert found.severity is Severity.NOTE


def test_an_unfinished_download_of_a_missing_shard_is_an_error() -> None:
    (found,) = fires(rule, source(file("config.json")), partial(), None, index({"a": "x.safetensors"}))

    assert "1 of 1 shards are missing" in found.message
    assert found.severity is None
    assert fires(rule, source(file("config.json")), partial(), None, None)[0].severity is None


def test_an_unfinished_download_beside_complete_weights_depends_on_its_age() -> None:
    files = source(file("model.safetensors"))
    severities = [
        fires(rule, files, cache, LOADED, None)[0].severity
        for cache in (partial(), partial(newer=False), partial(snapshots=2))
    ]

    assert severities == [Severity.WARNING, Severity.NOTE, Severity.NOTE]


def test_silent_on_links_that_resolve() -> None:
    silent(rule, source(file("config.json", link=BLOB), file("model.safetensors", link=BLOB)), HubCache(), LOADED, None)
    silent(rule, source(file("model.safetensors", link="/data/model.safetensors")), None, LOADED, None)
