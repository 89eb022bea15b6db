"""The phantoms are as large as the models they stand for, and as empty."""

from pathlib import Path

import pytest

from tests.specimens import phantom

pytest.importorskip("torch")
transformers = pytest.importorskip("transformers", minversion="5")


@pytest.mark.slow
@pytest.mark.parametrize("name", phantom.NAMES)
def test_a_phantom_has_the_published_size_and_no_weight(name: str) -> None:
    from safetensors import safe_open

    folder = phantom.build(name)
    files = sorted(folder.glob("*.safetensors"))
    total = 0
    for file in files:
        with safe_open(file, "numpy") as opened:
            for key in opened.keys():  # noqa: SIM118  not a dict
                slices = opened.get_slice(key)
                count = 1
                for side in slices.get_shape():
                    count *= side
                total += count * {"BF16": 2, "F16": 2, "F32": 4, "I64": 8}[slices.get_dtype()]

    assert total == phantom.SIZES[name]
    assert sum(file.stat().st_size for file in files) > total
    assert sum(file.stat().st_blocks * 512 for file in files) < 4 * 2**20


def test_an_unknown_phantom_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="no phantom is called 'gpt-5'"):
        phantom.build("gpt-5", tmp_path)
