"""REF001."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import SelfTest
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

_WEIGHTS = "model.safetensors"


@check("REF001", Severity.ERROR)
def reference_files_damaged(test: SelfTest) -> Iterator[Problem]:
    """The files of the bundled reference model are not the ones that were shipped.

    ## What it checks

    The SHA-256 digest of every bundled file (configuration, tokenizer, processor, weights, recorded outputs) against
    the digest noted when it was made; that the files open; and that the weights have every tensor that the
    configuration asks for, in its shape, without NaN or infinity.

    ## Why it matters

    The reference model is the healthy patient that this machine is measured with. When its own files are damaged, no
    deviation says anything about the machine, so the other REF rules stay silent. A disk, a proxy or a packaging step
    that changed these files may have changed yours too.

    ## How to fix it

    Install mmdoctor again: `pip install --force-reinstall --no-deps mmdoctor`. If the files differ again, look at what
    stands between the package index and the disk: a rewriting proxy, line-ending conversion in a git checkout, a full
    or failing disk.

    ## Sources

    - https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file
    - https://github.com/huggingface/safetensors#format
    """
    because = [
        Evidence("SHA-256", file.observed_sha256 or "no such file", Location(file=file.file), file.recorded_sha256)
        for file in test.damaged_files
    ]
    because += [
        Evidence("tensor", "missing", Location(file=_WEIGHTS, tensor=name), "present") for name in test.missing_tensors
    ]
    because += [
        Evidence("tensor", "present", Location(file=_WEIGHTS, tensor=name), "no such tensor")
        for name in test.unexpected_tensors
    ]
    because += [
        Evidence("shape", str(tensor.observed), Location(file=_WEIGHTS, tensor=tensor.name), str(tensor.expected))
        for tensor in test.mismatched_tensors
    ]
    because += [
        Evidence("values", "NaN or infinity", Location(file=_WEIGHTS, tensor=name), "finite")
        for name in test.non_finite_tensors
    ]
    if test.load_error is not None:
        because.append(Evidence("loading", test.load_error, expected="a model"))
    if because:
        yield Problem(
            f"the bundled reference model is damaged: {len(test.damaged_files)} of {len(test.files)} files differ from "
            f"what was shipped; of the weights {len(test.missing_tensors)} are missing, {len(test.unexpected_tensors)} "
            f"are not expected, {len(test.mismatched_tensors)} have another shape, {len(test.non_finite_tensors)} hold "
            "NaN or infinity",
            because=because,
            fix=Fix("install mmdoctor again: pip install --force-reinstall --no-deps mmdoctor"),
        )
