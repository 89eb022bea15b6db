"""REF001."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.self_test import Bundle, SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location


@check("REF001", Severity.ERROR)
def reference_files_damaged(test: SelfTest) -> Iterator[Problem]:
    """The files of a bundled reference model are not the ones that were shipped.

    ## What it checks

    The SHA-256 digest of every bundled file (configuration, tokenizer, processor, weights, recorded outputs; hybrid,
    early and late fusion) against the digest noted when it was made; that the files open; and that the weights have
    every tensor that the configuration asks for, in its shape, without NaN or infinity.

    ## Why it matters

    The reference models are the healthy patients that this machine is measured with. When their own files are damaged,
    no deviation says anything about the machine, so the other REF rules stay silent. A disk, a proxy or a packaging
    step that changed these files may have changed yours too.

    ## How to fix it

    Install mmdoctor again: `pip install --force-reinstall --no-deps mmdoctor`. If the files differ again, look at what
    stands between the package index and the disk: a rewriting proxy, line-ending conversion in a git checkout, a full
    or failing disk.

    ## Sources

    - https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    - https://github.com/huggingface/safetensors#format
    """
    for bundle in test.bundles:
        because = list(_evidence(bundle))
        if because:
            yield Problem(
                f"the bundled reference model of {bundle.fusion} fusion is damaged: {len(bundle.damaged_files)} of "
                f"{len(bundle.files)} files differ from what was shipped; of the weights "
                f"{len(bundle.missing_tensors)} are missing, {len(bundle.unexpected_tensors)} are not expected, "
                f"{len(bundle.mismatched_tensors)} have another shape, {len(bundle.non_finite_tensors)} hold NaN or "
                "infinity",
                because=because,
                fix=Fix("install mmdoctor again: pip install --force-reinstall --no-deps mmdoctor"),
            )


def _evidence(bundle: Bundle) -> Iterator[Evidence]:
    for file in bundle.damaged_files:
        yield Evidence(
            "SHA-256", file.observed_sha256 or "no such file", Location(file=file.file), file.recorded_sha256
        )
    for name in bundle.missing_tensors:
        yield Evidence("tensor", "missing", Location(file=bundle.weights, tensor=name), "present")
    for name in bundle.unexpected_tensors:
        yield Evidence("tensor", "present", Location(file=bundle.weights, tensor=name), "no such tensor")
    for tensor in bundle.mismatched_tensors:
        place = Location(file=bundle.weights, tensor=tensor.name)
        yield Evidence("shape", str(tensor.observed), place, str(tensor.expected))
    for name in bundle.non_finite_tensors:
        yield Evidence("values", "NaN or infinity", Location(file=bundle.weights, tensor=name), "finite")
    if bundle.load_error is not None:
        yield Evidence("loading", bundle.load_error, expected="a model")
