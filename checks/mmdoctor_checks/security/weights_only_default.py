"""SEC003."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.machine import Machine
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram
from mmdoctor.facts.source import FileKind
from mmdoctor.versions import older
from mmdoctor_checks.security.allowed_globals import harmless_to_allow
from mmdoctor_checks.security.weights_only_globals import OPCODES, WEIGHTS_ONLY, is_storage

_DEFAULT_SINCE = "2.6"
_SHOWN = 8
_PLACES = 4
_LOADED = {FileKind.TORCH_ZIP, FileKind.TORCH_LEGACY}


@check("SEC003", Severity.WARNING, yields_to=("SEC001", "INT003"))
def weights_only_default(checkpoint: Checkpoint, machine: Machine | None) -> Iterator[Problem]:
    """The default of torch.load refuses the weights, since they name objects beyond tensors.

    ## What it checks
    The names and opcodes of the pickle that `torch.load` reads against the list that `weights_only=True` takes, which
    is the default since torch 2.6. Only weight files are looked at: `training_args.bin`, `optimizer.pt` and the like
    are not loaded by a deployment. Whole pickled modules are INT018's, TorchScript has a loader of its own.

    It is a warning: `torch.load(path)` as it stands in a serving script ends in an exception, while the training
    framework that wrote the file usually passes `weights_only=False` and loads it. With a torch before 2.6 on this
    machine it is a note: the file loads until the next upgrade. A message "Unsupported operand" with another
    number is a damaged file or a pickle of protocol 4 or 5, and not a question of trust.

    ## Why it matters
    `Weights only load failed ... Unsupported global: GLOBAL ... was not an allowed global by default`. What most
    answers suggest, `weights_only=False`, executes whatever the file names.

    ## How to fix it
    Save the tensors alone once, in the environment that the file comes from, best as safetensors. Where the names are
    plain values, allow them by name with `torch.serialization.add_safe_globals`.

    ## Sources
    - https://github.com/e3nn/e3nn/issues/519
    - https://github.com/pytorch/pytorch/issues/150998
    - https://pytorch.org/docs/stable/notes/serialization.html#weights-only
    """
    before = _older_torch(machine)
    for file in checkpoint.files:
        program = file.program
        if program is None or program.kind not in _LOADED or program.root == "instance" or program.incomplete:
            continue
        refused = [g for g in program.loaded() if g.dotted not in WEIGHTS_ONLY and not _replaced(g)]
        opcodes = [code for code in program.opcodes if code not in OPCODES]
        if not refused and not opcodes:
            continue
        names = list(dict.fromkeys(g.dotted for g in refused))
        yield Problem(
            _message(program, names, opcodes, before),
            because=_evidence(program, refused, opcodes),
            fix=_fix(names),
            severity=Severity.NOTE if before else Severity.WARNING,
        )


def _replaced(found: PickleGlobal) -> bool:
    return is_storage(found.dotted) and found.dotted in WEIGHTS_ONLY


def _older_torch(machine: Machine | None) -> str | None:
    """The version of torch on this machine where it is known and before 2.6."""
    text = machine.packages.get("torch") if machine else None
    return text if older(text, _DEFAULT_SINCE) else None


def _message(program: PickleProgram, names: list[str], opcodes: list[int], before: str | None) -> str:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        why = f"it names {', '.join(names[:_SHOWN])}{more}, which weights_only=True does not allow"
    else:
        why = f"its pickle uses opcode {opcodes[0]}, which weights_only=True does not know (protocol 4 or 5)"
    when = f"loads with torch {before}, but not from 2.6 on" if before else "is refused by torch.load since torch 2.6"
    return f"{program.file} {when}: {why}"


def _evidence(program: PickleProgram, refused: list[PickleGlobal], opcodes: list[int]) -> list[Evidence]:
    found = [
        Evidence("name", g.dotted, Location(file=program.file, offset=g.offset), expected="tensors and plain values")
        for g in refused[:_PLACES]
    ]
    return found or [Evidence("opcode", opcodes[0], Location(file=program.file), expected="the opcodes of protocol 2")]


def _fix(names: list[str]) -> Fix:
    again = "save the tensors alone, as safetensors, in the environment that the file comes from"
    if names and all(harmless_to_allow(n) for n in names):
        return Fix(f"torch.serialization.add_safe_globals([{', '.join(names)}]) allows exactly these; or {again}")
    return Fix(again)
