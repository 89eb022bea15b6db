"""What the tests of the reference model share: one loaded model, one batch, one thread."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmdoctor.reference import WEIGHTS, load, sample
from mmdoctor.reference.model import ReferenceModel
from mmdoctor.reference.processor import Processor


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def model() -> ReferenceModel:
    return load()


@pytest.fixture(scope="session")
def processor() -> Processor:
    return Processor.from_folder(WEIGHTS)


@pytest.fixture(scope="session")
def batch(model: ReferenceModel, processor: Processor) -> sample.Batch:
    return sample.batch(processor, model.config.vision_config.num_patches)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled folder, to be damaged."""
    return Path(shutil.copytree(WEIGHTS, tmp_path / "weights"))
