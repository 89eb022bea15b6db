"""Which files are walked as pickles."""

import json
import struct
from pathlib import Path

import pytest

from mmdoctor.engine import NotApplicable
from mmdoctor.readers.pickle_files import pickles
from mmdoctor.readers.source import open_source


@pytest.mark.parametrize("length", [0x80, 0x0280, 0x0480])
def test_a_safetensors_header_length_that_begins_like_a_pickle_is_none(tmp_path: Path, length: int) -> None:
    header = json.dumps({"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", length) + header.ljust(length) + b"data")

    with pytest.raises(NotApplicable):
        pickles(open_source(tmp_path), None)


def test_a_pickle_named_like_safetensors_is_walked(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x02cos\nsystem\nU\x02lsR.")

    (program,) = pickles(open_source(tmp_path), None).programs

    assert [g.dotted for g in program.globals] == ["os.system"]
