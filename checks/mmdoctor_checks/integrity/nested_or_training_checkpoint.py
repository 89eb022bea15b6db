"""INT016."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint, TensorGroup, WeightFile
from mmdoctor.facts.source import FileKind, Source

_TORCH = {FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY, FileKind.PICKLE}
_SHOWN = 8
_LOADED_RAW = ("pytorch_model", "adapter_model", "diffusion_pytorch_model", "model")
"""Beginnings of file names that transformers, peft and diffusers load as a plain state dict (transformers/utils,
WEIGHTS_NAME; peft/utils/constants.py; diffusers/utils/constants.py)."""


@check("INT016", Severity.NOTE)
def nested_or_training_checkpoint(checkpoint: Checkpoint, source: Source) -> Iterator[Problem]:
    """The weights are one entry of a larger checkpoint.

    ## What it checks
    The keys of PyTorch files, from the pickle's opcodes: where the top level is no state dict, which entries hold
    tensors, told apart into model, moving average (ema), optimizer and others by their keys and by what is in them,
    with tensors, parameters and bytes. Where more than one could be the model (model and ema, generator and
    discriminator) none is chosen: all are listed.

    A training checkpoint is healthy, so this is a note that gives the line to load it. It is an error only where a
    loader takes the file as a plain state dict: a folder with config.json whose `pytorch_model.bin` is nested.

    ## Why it matters
    `load_state_dict` ends in `Missing key(s) ... Unexpected key(s): "epoch", "optimizer", "state_dict"`; with
    `strict=False`, and in transformers, it loads nothing and the model stays random. The optimizer's state makes the
    file about three times as large as the weights.

    ## How to fix it
    Take the entry when loading, and export it once as safetensors for serving.

    ## Sources
    - https://github.com/ohhhyeahhh/SiamCAR/issues/95
    - https://github.com/facebookresearch/deepcluster/issues/61
    - https://github.com/microsoft/unilm/issues/1194
    """
    for file in checkpoint.files:
        nested = [g for g in file.groups if g.path]
        if file.kind not in _TORCH or not nested or file.damage:
            continue
        raw = _loaded_raw(file, source)
        yield Problem(
            _message(file, raw),
            because=_evidence(file),
            fix=_fix(file),
            severity=Severity.ERROR if raw else Severity.NOTE,
        )


def _loaded_raw(file: WeightFile, source: Source) -> bool:
    """Whether transformers, peft or diffusers would take this file for a plain state dict."""
    folder, _, name = file.path.rpartition("/")
    config = f"{folder}/config.json" if folder else "config.json"
    adapter = f"{folder}/adapter_config.json" if folder else "adapter_config.json"
    beside = source.entry(adapter if name.startswith("adapter_") else config) is not None
    named = name.endswith(".bin") and name.startswith(_LOADED_RAW)
    return named and beside and not any(g.path == "" and g.role == "model" for g in file.groups)


def _candidates(file: WeightFile) -> list[TensorGroup]:
    """What could be the model, largest first; an average of it too."""
    models = [g for g in file.groups if g.role in ("model", "ema")]
    return models or [g for g in file.groups if g.role != "optimizer"]


def _message(file: WeightFile, raw: bool) -> str:
    total = sum(g.nbytes for g in file.groups)
    optimizer = sum(g.nbytes for g in file.groups if g.role == "optimizer")
    listed = _candidates(file)
    if len(listed) == 1:
        where = f"the weights are in {_name(listed[0])} ({listed[0].count:,} tensors, {listed[0].nbytes:,} bytes)"
    else:
        parts = ", ".join(f"{_name(g)} ({g.role}, {g.count:,} tensors, {g.nbytes:,} bytes)" for g in listed[:_SHOWN])
        where = f"{len(listed)} entries could be the model, none is chosen: {parts}"
    share = f"; {optimizer / total:.0%} of {total:,} bytes are the optimizer's" if optimizer and total else ""
    if raw:
        return (
            f"{file.path} is a nested checkpoint, its loader finds no weight and the model stays random: {where}{share}"
        )
    return f"{file.path} is a nested checkpoint: {where}{share}"


def _name(group: TensorGroup) -> str:
    return f'"{group.path}"' if group.path else "the top level"


def _evidence(file: WeightFile) -> list[Evidence]:
    at = Location(file=file.path)
    found = [Evidence(f"{g.role} in {_name(g)} (bytes)", g.nbytes, at) for g in file.groups[:_SHOWN]]
    if file.program is not None and file.program.top_level:
        found.append(Evidence("top-level keys", ", ".join(k for k, _ in file.program.top_level[:_SHOWN]), at))
    return found


def _fix(file: WeightFile) -> Fix:
    listed = _candidates(file)
    keys = (
        "".join(f"[{int(k)}]" if k.isdigit() else f'["{k}"]' for k in listed[0].path.split(".") if k) if listed else ""
    )
    line = f'state_dict = torch.load("{file.path}", map_location="cpu"){keys}'
    which = "" if len(listed) < 2 else ", or another of the entries listed"
    return Fix(f"{line}{which}; then safetensors.torch.save_file(state_dict, ...) for serving")
