"""SEC001."""

from collections.abc import Iterator, Sequence

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.pickles import PickleGlobal, PickleProgram, Pickles
from mmdoctor.facts.source import FileKind
from mmdoctor_checks.security.verdicts import Judgement, Verdict, judge

_SHOWN = 8
_FIX = Fix(
    "do not load it outside a sandbox; get the weights as safetensors, or from where they were made, "
    "and load others with weights_only=True"
)


@check("SEC001", Severity.ERROR)
def pickle_code_execution(pickles: Pickles) -> Iterator[Problem]:
    """Loading a file would run code that the file itself chooses.

    ## What it checks
    Every opcode of every pickle in the artefact, without executing one: weights, `optimizer.pt`, `training_args.bin`,
    object arrays, members that the archive's directory does not list, second pickles behind the first, pickles in
    strings of pickles. Each imported name is compared with a list of harmless ones; the names behind `getattr` of
    constants are resolved, names that are computed count as dangerous.

    - error: names that execute, open files or sockets, import, or reach such names through others. It says what the
      file can do, not that it is malware.
    - warning: functions that are on no list, archives made to be read in two ways, and pickles that could not be
      walked to their end.
    - note: custom objects (`argparse.Namespace`, omegaconf, transformers' training arguments, a project's own classes).
      They run their library's code and need it installed, which is no danger of the file.

    ## Why it matters
    `torch.load(weights_only=False)`, `pickle.load`, `joblib.load` and `numpy.load(allow_pickle=True)` call whatever the
    file names, before anything is returned. Scanners with a list of forbidden names are passed by names not on it.

    ## How to fix it
    Use the safetensors variant. Load what has to be loaded with `weights_only=True` and torch 2.6 or later.

    ## Sources
    - https://github.com/protectai/modelscan/issues/338
    - https://github.com/protectai/modelscan/issues/330
    - https://github.com/protectai/modelscan/issues/263
    - https://github.com/KoboldAI/KoboldAI-Client/issues/227
    - https://github.com/chaiNNer-org/chaiNNer/issues/1250
    - https://docs.python.org/3/library/pickle.html
    """
    custom: list[tuple[PickleProgram, PickleGlobal]] = []
    for program in pickles.programs:
        script = program.kind is FileKind.TORCHSCRIPT
        judged = [(g, judge(g, script=script)) for g in program.globals]
        dangerous = [(g, j) for g, j in judged if j.verdict is Verdict.DANGEROUS]
        unknown = [g for g, j in judged if j.verdict is Verdict.UNKNOWN]
        if dangerous:
            yield _executes(program, dangerous)
        elif unknown:
            yield _unknown(program, unknown)
        if program.hidden and not dangerous:
            yield _hidden(program)
        custom.extend((program, g) for g, j in judged if j.verdict is Verdict.CUSTOM)
    if custom:
        yield _custom(custom)
    walked = {p.file for p in pickles.programs}
    for file in pickles.unscanned:
        yield Problem(
            f"{file.file} was not scanned for code: {file.why}",
            because=[Evidence("not scanned", file.why, Location(file=file.file), expected="every opcode walked")],
            fix=Fix("unpack it, or get an undamaged copy, before it is loaded"),
            severity=Severity.NOTE if file.damaged or file.file not in walked else Severity.WARNING,
        )


def _executes(program: PickleProgram, found: Sequence[tuple[PickleGlobal, Judgement]]) -> Problem:
    ways = ", ".join(dict.fromkeys(j.what for _, j in found))
    names = ", ".join(f"{g.dotted}{'()' if g.called else ''}" for g, _ in found[:_SHOWN])
    message = f"{program.file} can execute code when it is unpickled: it names {names} ({ways})"
    return Problem(message, because=[_evidence(program, g, j.what) for g, j in found[:_SHOWN]], fix=_FIX)


def _unknown(program: PickleProgram, found: Sequence[PickleGlobal]) -> Problem:
    names = ", ".join(g.dotted for g in found[:_SHOWN])
    message = f"{program.file} calls {len(found)} functions that are on no list of harmless ones: {names}"
    because = [_evidence(program, g, "function on no list") for g in found[:_SHOWN]]
    return Problem(message, because=because, fix=_FIX, severity=Severity.WARNING)


def _hidden(program: PickleProgram) -> Problem:
    message = f"{program.file} hides content from tools that read zip archives: {program.hidden[0]}"
    because = [Evidence("archive", text, Location(file=program.file)) for text in program.hidden[:_SHOWN]]
    return Problem(message, because=because, fix=_FIX, severity=Severity.WARNING)


def _custom(found: Sequence[tuple[PickleProgram, PickleGlobal]]) -> Problem:
    names = list(dict.fromkeys(g.dotted for _, g in found))
    modules = ", ".join(dict.fromkeys(n.partition(".")[0] for n in names))
    files = list(dict.fromkeys(p.file for p, _ in found))
    where = files[0] if len(files) == 1 else f"{len(files)} files"
    message = (
        f"{where} holds {len(names)} kinds of custom objects ({modules}): unpickling runs their libraries' code, "
        "nothing in the file chooses what that does"
    )
    because = [_evidence(p, g, "custom object") for p, g in found[:_SHOWN]]
    return Problem(message, because=because, severity=Severity.NOTE)


def _evidence(program: PickleProgram, found: PickleGlobal, what: str) -> Evidence:
    inside = f" in {found.member}" if found.member else ""
    return Evidence(f"{what}{inside}", found.dotted, Location(file=program.file, offset=found.offset))
