"""SEC004."""

from collections.abc import Iterator, Sequence

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.remote_code import CodeAct, CodeCall, CodeFile, CodeReference, RemoteCode

_SHOWN = 6


@check("SEC004", Severity.WARNING)
def remote_code_auto_map(code: RemoteCode, config: ModelConfig | None) -> Iterator[Problem]:
    """A loader that trusts the model runs Python code that comes with it.

    ## What it checks
    Every `auto_map` of every configuration file, at any level; the files that it names and what they import
    relatively, as syntax trees, never executed: which packages they need, and what they call that does more than
    compute.

    - warning: the code executes commands or strings (`os.system`, `subprocess`, `eval`, `exec`), which no model of
      transformers does; or it is fetched from another repository, of which no revision is fixed.
    - note: the model needs code of its own, as InternVL, MiniCPM-V or Phi-3 Vision do. What would run is listed.
    - note: transformers knows the type itself, so the code is not needed.

    ## Why it matters
    Engines stop with `contains custom code which must be executed` until `--trust-remote-code` is given, and from then
    on the repository decides what runs on the server. Code of another repository can change from one day to the next.

    ## How to fix it
    Leave `trust_remote_code` off where transformers knows the type. Else read the listed files, copy them beside the
    weights, and fix `revision` and `code_revision`.

    ## Sources
    - https://github.com/huggingface/transformers/issues/13467
    - https://github.com/huggingface/huggingface.js/issues/467
    - https://github.com/InternLM/lmdeploy/issues/434
    - https://github.com/lm-sys/FastChat/issues/3720
    - https://github.com/h2oai/h2o-llmstudio/issues/560
    """
    acting = [(file, call) for file in code.files for call in file.calls if call.act is CodeAct.EXECUTE]
    if acting:
        yield _executes(acting)
    foreign = [r for r in code.references if r.repository is not None]
    at_top = [r for r in foreign if not r.nested]
    if at_top:
        yield _foreign(at_top)
    own = [r for r in code.references if r.repository is None]
    if not own or acting:
        return
    native = config is not None and config.model_type in class_defaults()
    yield _unneeded(own, str(config.model_type)) if native and config else _needed(own, code.files)


def _executes(acting: Sequence[tuple[CodeFile, CodeCall]]) -> Problem:
    names = ", ".join(dict.fromkeys(call.name for _, call in acting))
    return Problem(
        f"the model's own code uses {names}: with trust_remote_code it can run any command on the server",
        because=[
            Evidence(f"call that {call.act}", call.name, Location(file=file.path, line=call.line))
            for file, call in acting[:_SHOWN]
        ],
        fix=Fix("read these lines before anybody loads the model with trust_remote_code"),
    )


def _foreign(references: Sequence[CodeReference]) -> Problem:
    repositories = ", ".join(dict.fromkeys(str(r.repository) for r in references))
    return Problem(
        f"code is fetched from {repositories}, not from this model, and no revision is fixed: it can change any day",
        because=[Evidence("code from another repository", r.value, r.at) for r in references[:_SHOWN]],
        fix=Fix("copy the code beside the weights and drop the part before `--`, or fix code_revision"),
    )


def _needed(references: Sequence[CodeReference], files: Sequence[CodeFile]) -> Problem:
    packages = sorted({name for file in files for name in file.imports} - {"torch", "transformers", "numpy"})
    telling = [(file, call) for file in files for call in file.calls]
    what = f"; it imports {', '.join(packages[:12])}" if packages else ""
    calls = f" and uses {', '.join(list(dict.fromkeys(call.name for _, call in telling))[:_SHOWN])}" if telling else ""
    return Problem(
        f"the model needs Python code of its own ({', '.join(dict.fromkeys(r.file for r in references))}): "
        f"loaders ask for trust_remote_code{what}{calls}",
        because=[
            *(Evidence(r.key, r.value, r.at) for r in references[:_SHOWN]),
            *(
                Evidence(f"call ({call.act})", call.name, Location(file=file.path, line=call.line))
                for file, call in telling[:_SHOWN]
            ),
            *(Evidence("not looked into", file.unread, Location(file=file.path)) for file in files if file.unread),
        ],
        fix=Fix("read the code, and fix the revision that is deployed"),
        severity=Severity.NOTE,
    )


def _unneeded(references: Sequence[CodeReference], model_type: str) -> Problem:
    return Problem(
        f"transformers knows {model_type} itself: trust_remote_code is not needed, and off is safer",
        because=[Evidence(r.key, r.value, r.at) for r in references[:_SHOWN]],
        fix=Fix("leave trust_remote_code off"),
        severity=Severity.NOTE,
    )
