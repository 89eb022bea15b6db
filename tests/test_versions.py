"""Comparing versions."""

import pytest

from mmdoctor.versions import older


@pytest.mark.parametrize(
    ("version", "than", "answer"),
    [
        ("2.5.1", "2.6", True),
        ("2.6.0", "2.6", False),
        ("2.10", "2.6", False),
        ("2.6.0+cu126", "2.6", False),
        ("5.0.0.dev0", "5.0.dev0", False),
        ("4.57.6", "5.0.dev0", True),
        (None, "2.6", False),
        ("", "2.6", False),
        ("unknown", "2.6", False),
    ],
)
def test_older(version: str | None, than: str, answer: bool):
    assert older(version, than) is answer
