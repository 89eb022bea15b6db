"""INT007."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import ContentHashes


@check("INT007", Severity.ERROR, yields_to=("INT001", "INT002", "INT020"))
def checksum_mismatch_subtle(hashes: ContentHashes) -> Iterator[Problem]:
    """A weight file is not the one that was downloaded.

    ## What it checks
    The SHA-256 of every weight file of which the download recorded it: in Hugging Face's cache the blob of a large file
    is named by it, and downloads into a plain folder note it in `.cache/huggingface/download`. Blobs with names of 40
    digits are small files under git's own hash, and are left out. Nothing is asked of the network.

    ## Why it matters
    huggingface_hub compares sizes, not hashes. A flipped bit on a disk, or a file that was written to while it was
    mapped, loads without a word and answers a little worse.

    ## How to fix it
    Delete the file and the blob that it links to, and download it again.

    ## Sources
    - https://github.com/vllm-project/vllm/issues/53537
    - https://github.com/huggingface/huggingface_hub/issues/2464
    - https://github.com/huggingface/huggingface_hub/issues/1498
    - https://github.com/huggingface/diffusers/issues/11989
    """
    for found in hashes.files:
        if found.computed != found.recorded:
            yield Problem(
                f"{found.file} has another SHA-256 ({found.computed[:12]}...) than the download recorded "
                f"({found.recorded[:12]}...): its bytes have changed since",
                because=[Evidence("SHA-256", found.computed, Location(file=found.file), found.recorded)],
                fix=Fix(f"delete {found.file} and what it links to, and download it again"),
            )
