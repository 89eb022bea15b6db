"""checksum_mismatch_subtle (INT007) fires on a blob whose bytes changed, silent on one that kept them."""

import hashlib
from pathlib import Path

import pytest

from mmdoctor import check_path
from mmdoctor.facts.checkpoint import ContentHash, ContentHashes
from mmdoctor.testing import fires, silent
from mmdoctor_checks.integrity.checksum_mismatch_subtle import checksum_mismatch_subtle

RULES = ("INT007",)


@pytest.fixture
def cached(small_model: Path, tmp_path: Path) -> Path:
    """The model in Hugging Face's cache, each file a link to a blob that is named by its hash."""
    cache = tmp_path / "models--owner--name"
    snapshot, blobs = cache / "snapshots" / ("c" * 40), cache / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for file in small_model.iterdir():
        data = file.read_bytes()
        small = file.suffix != ".safetensors"
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest() if small else hashlib.sha256(data).hexdigest()
        (blobs / name).write_bytes(data)
        (snapshot / file.name).symlink_to(f"../../blobs/{name}")
    return snapshot


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1000] ^= 1
    file.resolve().write_bytes(data)


def test_silent_on_a_cache_as_it_was_downloaded(cached: Path):
    report = check_path(cached, select=RULES)

    assert report.findings == ()
    assert report.passed == RULES


def test_fires_on_one_flipped_bit(cached: Path):
    flip(cached / "model.safetensors")
    (finding,) = check_path(cached, select=RULES).findings

    assert finding.location.file == "model.safetensors"
    assert "has another SHA-256" in finding.message


def test_small_files_under_gits_own_hash_are_left_out(cached: Path):
    (cached / "config.json").resolve().write_bytes((cached / "config.json").read_bytes() + b" ")

    assert check_path(cached, select=RULES).findings == ()


@pytest.mark.parametrize("changed", [False, True])
def test_a_download_into_a_plain_folder_notes_the_hash(small_model: Path, changed: bool):
    file = small_model / "model.safetensors"
    notes = small_model / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    (notes / "model.safetensors.metadata").write_text(f"{'c' * 40}\n{digest}\n1700000000.0\n")
    if changed:
        flip(file)

    assert bool(check_path(small_model, select=RULES).findings) is changed


@pytest.mark.parametrize("depth", ["headers", "weights"])
def test_a_model_of_other_origin_and_a_look_at_headers_hash_nothing(small_model: Path, cached: Path, depth: str):
    folder = cached if depth == "headers" else small_model
    (skipped,) = check_path(folder, select=(*RULES, "INT002"), depth=depth).skipped

    assert (skipped.code, skipped.kind) == ("INT007", "not_applicable")


def test_the_rule_itself():
    same = ContentHash(file="a", recorded="0" * 64, computed="0" * 64)
    other = ContentHash(file="b", recorded="0" * 64, computed="1" * 64)

    silent(checksum_mismatch_subtle, ContentHashes(files=(same,)))
    assert len(fires(checksum_mismatch_subtle, ContentHashes(files=(same, other)))) == 1
