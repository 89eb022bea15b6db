"""Many tensor names in one."""

import pytest

from mmdoctor.architectures.grouping import group_names, index_set


@pytest.mark.parametrize(
    ("names", "groups"),
    [
        ([f"layers.{i}.q.weight" for i in range(32)], ("layers.{0..31}.q.weight",)),
        (["layers.3.q.weight"], ("layers.3.q.weight",)),
        (["layers.0.q", "layers.1.q"], ("layers.{0,1}.q",)),
        (["layers.0.q", "layers.2.q", "layers.9.q"], ("layers.{0,2,9}.q",)),
        ([f"layers.{i}.experts.{e}.w" for i in range(3) for e in range(4)], ("layers.{0..2}.experts.{0..3}.w",)),
        (["a.0.q", "b.0.q", "a.1.q"], ("a.{0,1}.q", "b.0.q")),
        (["conv1.weight", "conv2.weight"], ("conv1.weight", "conv2.weight")),
        ([], ()),
    ],
)
def test_group_names(names: list[str], groups: tuple[str, ...]):
    assert group_names(names) == groups


@pytest.mark.parametrize(
    ("indices", "text"),
    [([], ""), ([5], "5"), ([1, 0], "{0,1}"), ([0, 1, 2], "{0..2}"), (range(0, 20, 2), "{0,2,4,6,8,10 and 4 more}")],
)
def test_index_set(indices: list[int], text: str):
    assert index_set(indices) == text
