"""The catalogue, and finding a card by what people type and drivers report."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmdoctor.errors import UsageError
from mmdoctor.memory.accelerators import CATALOGUE, GIB
from mmdoctor.memory.lookup import find, smallest_with


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("H100-80GB", "H100-80GB"),
        ("h100", "H100-80GB"),
        ("A100-40GB", "A100-40GB"),
        ("a100 80g", "A100-80GB"),
        ("L4-24GB", "L4-24GB"),
        ("rtx4090", "RTX-4090-24GB"),
        ("4090", "RTX-4090-24GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB"),
        ("NVIDIA H100 80GB HBM3", "H100-80GB"),
        ("NVIDIA H100 NVL", "H100-NVL-94GB"),
        ("Tesla V100-SXM2-32GB", "V100-32GB"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-Ada-48GB"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX-PRO-6000-96GB"),
        ("B200-192GB", "B200-180GB"),
        ("AMD Instinct MI300X", "MI300X-192GB"),
        ("M3-Max-64GB", "M3-Max-64GB"),
    ],
)
def test_found(text: str, name: str) -> None:
    model, count = find(text)

    assert (model.name, count) == (name, 1)


def test_every_name_finds_itself() -> None:
    assert [m.name for m in CATALOGUE if find(m.name)[0] is not m] == []


def test_names_are_unique_and_numbers_plausible() -> None:
    assert len({m.name for m in CATALOGUE}) == len(CATALOGUE)
    assert [m.name for m in CATALOGUE if not 0.8 * m.gb <= m.usable_gib <= m.gb] == []
    assert [m.name for m in CATALOGUE if m.usable_bytes > m.memory_bytes] == []


def test_memory_alone() -> None:
    model, _ = find("24GiB")

    assert model.memory_bytes == 24 * GIB
    assert model.usable_bytes == 24 * GIB


def test_several() -> None:
    model, count = find("8 x H100")

    assert (model.name, count) == ("H100-80GB", 8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A100", "A100-40GB or A100-80GB"),
        ("A100-60GB", "there is no such size"),
        ("h101", "H100-80GB"),
        ("RTX 490", "RTX-4090-24GB"),
        ("24", "24GiB"),
        ("", "L4-24GB"),
        ("0xL4", "at least 1"),
        ("99999999GB", "neither a name"),
        ("potato", "Give its memory instead"),
    ],
)
def test_not_found_says_what_is(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        find(text)


@given(st.text(max_size=40))
def test_any_text_is_an_answer_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        model, count = find(text)
        assert model.memory_bytes > 0
        assert count > 0


def test_a_larger_card() -> None:
    card = smallest_with(30 * GIB)

    assert card is not None
    assert card.name == "A100-40GB"
    assert smallest_with(10_000 * GIB) is None


def test_precisions_follow_the_generation() -> None:
    by_name = {m.name: m for m in CATALOGUE}

    assert not by_name["T4-16GB"].bf16
    assert by_name["A100-80GB"].bf16
    assert not by_name["A100-80GB"].fp8
    assert by_name["L4-24GB"].fp8
    assert by_name["MI300X-192GB"].fp8
