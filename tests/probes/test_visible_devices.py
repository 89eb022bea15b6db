"""CUDA_VISIBLE_DEVICES, against torch's own reading of it."""

import os
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.probes.visible_devices import visible, visible_slices

UUIDS = ("GPU-aa11", "GPU-ab22", None, "GPU-cc44")


@pytest.mark.parametrize(
    ("spec", "positions"),
    [
        (None, (0, 1, 2, 3)),
        ("", ()),
        ("3,1", (3, 1)),
        ("GPU-a", ()),
        ("GPU-aa,GPU-c", (0, 3)),
        ("0,x,1", (0,)),
        ("0,-1,1", (0,)),
        ("0,0", ()),
        (" 2 , 3", (2, 3)),
    ],
)
def test_visible(spec: str | None, positions: tuple[int, ...]) -> None:
    assert visible(spec, UUIDS) == positions


@settings(deadline=None)  # the first call imports torch
@given(st.lists(st.sampled_from(["0", "1", "2", "3", "7", "-1", "", "x", " 1"]), max_size=5))
def test_like_torch(entries: list[str]) -> None:
    cuda = pytest.importorskip("torch.cuda")
    spec = ",".join(entries)
    with mock.patch.dict(os.environ, {"CUDA_VISIBLE_DEVICES": spec}):
        raw = cuda._parse_visible_devices()

    expected = []
    for position in raw:
        if not 0 <= position < 4:
            break
        expected.append(position)
    assert visible(spec, ("GPU-a", "GPU-b", "GPU-c", "GPU-d")) == tuple(expected)


def test_slices_by_name_by_gpu_and_in_the_old_spelling() -> None:
    slices = [(0, "MIG-1a"), (0, "MIG-1b"), (2, "MIG-GPU-cc44/1/0")]

    assert visible_slices(None, slices) == (0, 1, 2)
    assert visible_slices("MIG-1b,MIG-1a", slices) == (1, 0)
    assert visible_slices("MIG-1", slices) == ()
    assert visible_slices("2", slices) == (2,)
    assert visible_slices("MIG-GPU-cc44/1/0", slices) == (2,)
    assert visible_slices("0,0", slices) == (0, 1)
