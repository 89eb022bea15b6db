"""A bundled model as files of a user's own: a folder, or one `.pt`."""

import shutil
from collections import OrderedDict
from pathlib import Path

import torch

from mmdoctor.errors import MMDoctorError
from mmdoctor.reference import tensorfile, weights_of
from mmdoctor.reference.config import FusionKind

STATE_DICT = "model.pt"
"""The name of the weights in torch's own format, beside `model.safetensors` in a folder."""


def export_model(target: Path, kind: FusionKind = "hybrid", *, force: bool = False) -> tuple[Path, ...]:
    """Write the bundled model of that fusion to `target`: a state dict when its name ends in `.pt`, else a folder.

    The folder has the bundled files in the Hugging Face layout, and the same weights as `model.pt`.

    Raises:
        MMDoctorError: a file is already there and `force` is false, or it cannot be written.
    """
    one_file, folder = target.suffix == ".pt", weights_of(kind)
    sources = () if one_file else tuple(sorted(file for file in folder.iterdir() if file.is_file()))
    state_dict = target if one_file else target / STATE_DICT
    written = (*(target / source.name for source in sources), state_dict)
    if not one_file and target.exists() and not target.is_dir():
        raise MMDoctorError(f"{target} is a file, so no folder can be made there; name another place")
    taken = [file for file in written if file.exists() or file.is_symlink()]
    if taken and not force:
        raise MMDoctorError(f"{taken[0]} is already there; name another place, or write over it with --force")
    try:
        for file in taken:
            file.unlink()
        state_dict.parent.mkdir(parents=True, exist_ok=True)
        for source in sources:
            shutil.copyfile(source, target / source.name)
        state = OrderedDict(sorted(tensorfile.read_tensors(folder / "model.safetensors").items()))
        torch.save(OrderedDict((name, tensor.clone()) for name, tensor in state.items()), state_dict)
    except OSError as error:
        raise MMDoctorError(f"{target} cannot be written: {error.strerror}") from None
    return written
