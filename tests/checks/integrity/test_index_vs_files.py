from mmdoctor.facts.source import FileEntry, FileKind, FileProblem
from mmdoctor.finding import Severity
from mmdoctor.location import Location, Reading
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.index_vs_files import index_vs_files
from tests.checks.integrity.made import INDEX, file, index, loaded, source, tensor, weights

S1, S2 = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
MAP = {"a": S1, "b": S2}
FILES = source(file(INDEX), file(S1), file(S2))
W1, W2 = weights(S1, tensor("a", S1)), weights(S2, tensor("b", S2))


def both(**more):
    return loaded(W1, W2, index=index(MAP), **more)


def test_silent_where_they_agree() -> None:
    silent(index_vs_files, FILES, index(MAP), both())
    silent(index_vs_files, source(file("model.safetensors")), None, loaded(weights("model.safetensors", tensor("a"))))


def test_fires_on_a_missing_shard() -> None:
    (problem,) = fires(
        index_vs_files, source(file(INDEX), file(S1)), index(MAP), loaded(W1, index=index(MAP), gaps=("x",))
    )

    assert f"1 of 2 shards are missing ({S2}): 1 of 2 tensors are not here (first: b)" in problem.message
    assert problem.because[0].at.pointer == "/weight_map/b"


def test_a_complete_set_of_another_numbering_makes_the_index_stale() -> None:
    old = index({"a": "model-00001-of-00030.safetensors", "b": "model-00002-of-00030.safetensors"})
    (problem,) = fires(index_vs_files, FILES, old, None)

    assert "stale" in problem.message
    assert problem.fix is not None
    assert "rebuild" in problem.fix.text


def test_only_the_configuration_here_is_a_note() -> None:
    (problem,) = fires(index_vs_files, source(file("config.json"), file(INDEX)), index(MAP), None)

    assert problem.severity is Severity.NOTE


def test_pointers_broken_links_and_misnamed_shards_are_other_rules_business() -> None:
    pointer = file(S2, FileKind.LFS_POINTER, 135)
    dangling = file(S2, FileKind.UNKNOWN, 0, FileProblem.DANGLING)
    misnamed = file(f"{S2}?download=true")
    for other in (pointer, dangling, misnamed):
        silent(
            index_vs_files, source(file(INDEX), file(S1), other), index(MAP), loaded(W1, index=index(MAP), gaps=("x",))
        )


def test_names_that_lead_out_are_errors() -> None:
    evil = index({"a": S1, "b": "../../etc/passwd", "c": "/etc/shadow"})
    (problem, *_) = fires(index_vs_files, FILES, evil, None)

    assert "names 2 files outside of the folder" in problem.message


def test_an_index_without_metadata_stops_transformers() -> None:
    (problem,) = fires(index_vs_files, FILES, index(MAP, problems=("it has no metadata",)), both())

    assert "KeyError" in problem.message


def test_a_tensor_in_no_shard_is_an_error_and_a_buffer_a_note() -> None:
    for name, severity in (
        ("model.norm.weight", Severity.ERROR),
        ("rotary.inv_freq", Severity.NOTE),
        ("lm_head.weight", Severity.NOTE),
    ):
        grown = index({**MAP, name: S1})
        (problem,) = fires(index_vs_files, FILES, grown, loaded(W1, W2, index=grown))
        assert name in problem.message
        assert problem.severity is severity


def test_a_tensor_in_another_shard_and_one_without_an_entry_are_warnings() -> None:
    moved = index({"a": S2, "b": S2, "c": S1})
    here = loaded(weights(S1, tensor("a", S1), tensor("c", S1)), W2, index=moved)
    (problem,) = fires(index_vs_files, FILES, moved, here)
    assert problem.severity is Severity.WARNING
    assert problem.because[0].expected == S1

    extra = loaded(weights(S1, tensor("a", S1), tensor("x", S1)), W2, index=index(MAP))
    (problem,) = fires(index_vs_files, FILES, index(MAP), extra)
    assert problem.severity is Severity.WARNING
    assert "x" in problem.message


def test_a_shard_that_the_index_forgets() -> None:
    half = index({"a": S1})
    (problem,) = fires(index_vs_files, FILES, half, loaded(W1, index=half))
    assert S2 in problem.message
    assert problem.severity is Severity.ERROR

    (problem,) = fires(index_vs_files, source(file(INDEX), file(S1)), half, loaded(W1, index=half))
    assert problem.severity is Severity.WARNING


def test_silent_on_a_shard_without_tensors_that_the_index_leaves_out() -> None:
    half = index({"a": S1})
    header = b'{"__metadata__":{"format":"pt"}}'
    bare = FileEntry(
        path=S2, kind=FileKind.SAFETENSORS, size=8 + len(header), head=len(header).to_bytes(8, "little") + header
    )

    silent(index_vs_files, source(file(INDEX), file(S1), bare), half, loaded(W1, index=half))


def test_a_stale_total_size_is_a_note_and_a_duplicate_key_nothing() -> None:
    stale = index(MAP, total_size=Reading(99, Location(file=INDEX)))
    (problem,) = fires(index_vs_files, FILES, stale, loaded(W1, W2, index=stale))
    assert problem.severity is Severity.NOTE

    exact = index(MAP, total_size=Reading(48, Location(file=INDEX)))
    twice = loaded(W1, weights(S2, tensor("b", S2), tensor("a", S2)), index=exact)
    silent(index_vs_files, FILES, exact, twice)


def test_a_single_file_beside_an_index_of_others() -> None:
    single = loaded(weights("model.safetensors", tensor("a")))
    (problem,) = fires(
        index_vs_files, source(file(INDEX), file(S1), file(S2), file("model.safetensors")), index(MAP), single
    )
    assert problem.severity is Severity.WARNING

    silent(index_vs_files, source(file(INDEX), file("model.safetensors")), index({"a": "model.safetensors"}), single)


def test_shards_without_an_index() -> None:
    (problem,) = fires(index_vs_files, source(file(S1), file(S2)), None, loaded(W1, W2))
    assert "model.safetensors.index.json is not" in problem.message

    (problem,) = fires(index_vs_files, source(file(S1)), None, loaded(W1))
    assert "1 of 2 parts" in problem.message


def test_silent_on_sets_that_need_no_index() -> None:
    names = ["m-00001-of-00002.gguf", "m-00002-of-00002.gguf"]
    parts = loaded(*(weights(n, tensor(n, n), kind=FileKind.GGUF) for n in names))
    silent(index_vs_files, source(*(file(n) for n in names)), None, parts)
    silent(index_vs_files, source(file(S1), single=S1), None, loaded(W1, gaps=("part 1 of 2",)))
    silent(index_vs_files, source(file(S1), file(S2), file(INDEX)), None, loaded(W1, W2))


def test_more_files_than_the_numbering_says_is_fine() -> None:
    names = {"a": S1, "b": S2, "mtp": "model-mtp.safetensors"}
    files = source(file(INDEX), *(file(n) for n in names.values()))
    all_of_them = loaded(*(weights(f, tensor(t, f)) for t, f in names.items()), index=index(names))
    silent(index_vs_files, files, index(names), all_of_them)
