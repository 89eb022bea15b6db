"""INT018."""

import sys
from collections.abc import Iterator, Sequence

from mmdoctor import Confidence, Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, WeightFile
from mmdoctor.facts.machine import Machine
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram
from mmdoctor.facts.source import FileKind

_TORCH = {FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY, FileKind.PICKLE}
_WITH_TORCH = {"torch", "numpy"}
_LIBRARIES = frozenset(
    [
        *("torchvision", "torchaudio", "timm", "transformers", "diffusers", "peft", "accelerate", "ultralytics"),
        *("omegaconf", "pytorch_lightning", "lightning", "lightning_fabric", "sentence_transformers", "fairseq"),
        *("detectron2", "mmcv", "mmengine", "open_clip", "segmentation_models_pytorch", "torch_geometric", "pyannote"),
        *("speechbrain", "sklearn", "xgboost", "lightgbm", "scipy", "pandas", "torchmetrics", "deepspeed", "einops"),
        *("kornia", "monai", "e3nn", "spacy"),
    ]
)
"""Top-level modules that a package index has under that name, so that the code can be installed."""
_SHOWN = 8
_FIX = "where its code is at hand, save the tensors alone: torch.save(model.state_dict(), ...), better as safetensors"


@check("INT018", Severity.ERROR, yields_to=("SEC001", "INT003"))
def full_object_pickle(checkpoint: Checkpoint, machine: Machine | None) -> Iterator[Problem]:
    """A weight file loads only where the code, or the device, that it was saved with is at hand.

    ## What it checks
    The names that the pickle imports and what its root is, from the opcodes; nothing is imported. Tensors, containers,
    numpy's and the standard library's values and TorchScript's classes (their code is in the archive) are normal.

    - error: the model itself is pickled (`torch.save(model)`) and its class is of a project, not of a library.
    - warning: the model is pickled and its class is of torch or of a library that can be installed, since it has to be
      a version whose classes still fit; or objects beside the tensors were defined in `__main__`, which no other
      program has.
    - note: objects of other modules beside the tensors (their names are SEC003's matter where torch refuses them);
      storages saved from a GPU that this machine does not have.

    ## Why it matters
    `ModuleNotFoundError: No module named 'models'`, `Can't get attribute 'Net' on <module '__main__'>`, `Attempting to
    deserialize object on CUDA device 3 but torch.cuda.device_count() is 1`. Since torch 2.6 the default of torch.load
    refuses such files altogether.

    ## How to fix it
    Save the state dict in the environment that the file comes from. For the device pass `map_location="cpu"`.

    ## Sources
    - https://github.com/pytorch/pytorch/issues/7812
    - https://github.com/pytorch/pytorch/issues/2762
    - https://github.com/pytorch/pytorch/issues/18325
    - https://github.com/pytorch/pytorch/issues/15541
    """
    for file in checkpoint.files:
        program = file.program
        if file.kind not in _TORCH or program is None:
            continue
        pickled = _pickled_model(file, program)
        if pickled:
            yield _whole(file, program, pickled)
        else:
            yield from _beside(file, program)
    yield from _devices(checkpoint, machine)


def _pickled_model(file: WeightFile, program: PickleProgram) -> str | None:
    """Class of the pickled model: the root, or the only entries with tensors; None for plain tensors."""
    if program.root == "instance":
        return program.root_class or "an object"
    instances = {
        key: what.removeprefix("instance of ") for key, what in program.top_level if what.startswith("instance")
    }
    holders = [g.path.partition(".")[0] for g in file.groups if g.role != "optimizer"]
    if holders and all(h in instances for h in holders):
        return instances[holders[0]]
    return None


def _whole(file: WeightFile, program: PickleProgram, cls: str) -> Problem:
    needed = _projects(program)
    top = cls.partition(".")[0]
    message = f"{file.path} is a pickled {cls}, not a state dict: "
    because = [Evidence("class of the model", cls, Location(file=file.path), expected="a dictionary of tensors")]
    because += [_evidence(file, g) for g in needed[:_SHOWN]]
    if top in _WITH_TORCH | _LIBRARIES and not any(g.module.partition(".")[0] not in _LIBRARIES for g in needed):
        text = f"it loads only with weights_only=False and a version of {top} whose classes still fit"
        return Problem(message + text, because=because, fix=Fix(_FIX), severity=Severity.WARNING)
    modules = ", ".join(dict.fromkeys(g.module for g in needed[:_SHOWN])) or top
    text = f"it will not load without the code of {modules}, and only with weights_only=False"
    certain = Confidence.CERTAIN if "__main__" in modules else Confidence.LIKELY
    return Problem(message + text, because=because, fix=Fix(_FIX), confidence=certain)


def _projects(program: PickleProgram) -> list[PickleGlobal]:
    """Names of modules that neither Python, torch nor numpy bring."""
    known = _WITH_TORCH | sys.stdlib_module_names
    return [g for g in program.loaded() if (t := g.module.partition(".")[0]) == "__main__" or t not in known]


def _beside(file: WeightFile, program: PickleProgram) -> Iterator[Problem]:
    needed = _projects(program)
    if not needed:
        return
    main = [g for g in needed if g.module == "__main__"]
    because = [_evidence(file, g) for g in (main or needed)[:_SHOWN]]
    if main:
        names = ", ".join(g.name for g in main[:_SHOWN])
        message = f"{file.path} holds objects of classes that only the script that saved it has: {names}"
        yield Problem(message, because=because, fix=Fix(_FIX), severity=Severity.WARNING)
        return
    modules = ", ".join(dict.fromkeys(g.module.partition(".")[0] for g in needed))
    message = f"{file.path} holds objects beside the tensors: loading it whole needs {modules} to be installed"
    yield Problem(message, because=because, fix=Fix(_FIX), severity=Severity.NOTE)


def _evidence(file: WeightFile, found: PickleGlobal) -> Evidence:
    return Evidence("imported name", found.dotted, Location(file=file.path, offset=found.offset))


def _devices(checkpoint: Checkpoint, machine: Machine | None) -> Iterator[Problem]:
    if machine is None:
        return
    count = len(machine.gpus)
    absent: list[tuple[WeightFile, str]] = []
    for file in checkpoint.files:
        absent.extend((file, d) for d in (file.program.devices if file.program else ()) if _index(d) >= count)
    if absent:
        yield _device_note(absent, count)


def _index(device: str) -> int:
    kind, _, index = device.partition(":")
    return int(index or 0) if kind == "cuda" and (index or "0").isdigit() else -1


def _device_note(absent: Sequence[tuple[WeightFile, str]], count: int) -> Problem:
    file, device = absent[0]
    what = f"{file.path} was saved from {device}, this machine has {count} CUDA devices"
    message = f'{what}: torch.load needs map_location="cpu"'
    because = [Evidence("device of the storages", d, f.at) for f, d in absent[:_SHOWN]]
    return Problem(message, because=because, fix=Fix('torch.load(..., map_location="cpu")'), severity=Severity.NOTE)
