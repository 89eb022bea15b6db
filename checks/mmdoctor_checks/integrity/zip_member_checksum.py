"""INT023."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import ChecksumMismatch, Checksums

_SHOWN = 8


@check("INT023", Severity.ERROR, yields_to=("INT003",))
def zip_member_checksum(checksums: Checksums) -> Iterator[Problem]:
    """Bytes in an archive of weights have changed since they were saved.

    ## What it checks
    The CRC-32 of every member of every zip file with weights (PyTorch since 1.6, TorchScript, torch.export, npz,
    Keras) against the one in the archive's directory. Every byte is read once, at `--depth weights`. A CRC of 0 in the
    directory of a member that is not empty is no checksum: torch writes none with
    `torch.serialization.set_crc32_options(False)`.

    ## Why it matters
    `torch.load` computes no checksum: a flipped bit, a hole of a sparse copy or a block of another file loads without
    a word and the model answers a little, or very, wrongly. Other members are checked by nobody either.

    ## How to fix it
    Get the file again from where it was whole and compare sha256; look for what damages files there (memory, disk,
    network file system, in-place writes while the file is mapped).

    ## Sources
    - https://pytorch.org/docs/stable/generated/torch.serialization.set_crc32_options.html
    - https://github.com/vllm-project/vllm/issues/53537
    - https://github.com/huggingface/diffusers/issues/11989
    """
    by_file: dict[str, list[ChecksumMismatch]] = {}
    for mismatch in checksums.mismatches:
        by_file.setdefault(mismatch.file, []).append(mismatch)
    for file, wrong in by_file.items():
        tensors = [name for m in wrong for name in m.tensors]
        message = (
            f"{file} has {len(wrong)} members whose bytes are not those that were saved"
            f"{f' ({_named(tensors)})' if tensors else ''}: torch.load will load them without a word"
        )
        yield Problem(
            message,
            because=[_evidence(m) for m in wrong[:_SHOWN]],
            fix=Fix("get the file again and compare its sha256 with the source"),
        )


def _named(tensors: list[str]) -> str:
    return f"tensor {tensors[0]}" if len(tensors) == 1 else f"{len(tensors)} tensors, first: {tensors[0]}"


def _evidence(mismatch: ChecksumMismatch) -> Evidence:
    at = Location(file=mismatch.file, tensor=mismatch.tensors[0] if mismatch.tensors else None)
    return Evidence(f"CRC-32 of {mismatch.member}", f"{mismatch.computed:08x}", at, expected=f"{mismatch.stored:08x}")
