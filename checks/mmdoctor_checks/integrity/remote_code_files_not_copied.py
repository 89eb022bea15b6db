"""INT021."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.remote_code import RemoteCode

_SHOWN = 6


@check("INT021", Severity.ERROR)
def remote_code_files_not_copied(
    code: RemoteCode, checkpoint: Checkpoint | None, config: ModelConfig | None
) -> Iterator[Problem]:
    """The model needs Python files that are not in its folder.

    ## What it checks
    Every file that an `auto_map` names, in config, tokenizer and processor files, and every file that those import
    relatively. Names with `owner/name--` come from another repository and are not looked for. Where transformers knows
    the model type itself, the code is not needed, and where the folder has no weights it is only a set of
    configuration files: both are notes.

    ## Why it matters
    `... does not appear to have a file named configuration_internvl_chat.py`: training scripts save weights and
    configuration and leave the code behind, so the fine-tune loads on the machine that has the base model in its cache
    and nowhere else.

    ## How to fix it
    Copy the `.py` files of the base model's revision beside the weights.

    ## Sources
    - https://github.com/huggingface/transformers/issues/20884
    - https://github.com/huggingface/transformers/issues/46165
    - https://github.com/zai-org/ChatGLM3/issues/826
    - https://github.com/verl-project/verl/issues/5200
    """
    if not code.missing:
        return
    names = ", ".join(path for path, _ in code.missing[:_SHOWN])
    native = config is not None and config.model_type in class_defaults()
    mild = native or checkpoint is None
    if native and config is not None:
        what = f"transformers knows {config.model_type} itself and does without, with trust_remote_code off"
    elif checkpoint is None:
        what = "they have to lie beside the weights"
    else:
        what = "loading stops, with trust_remote_code too"
    yield Problem(
        f"{len(code.missing)} Python files that the model names are not here ({names}): {what}",
        because=[Evidence("file named", path, at, expected="present") for path, at in code.missing[:_SHOWN]],
        fix=Fix(f"copy {names} from the base model"),
        severity=Severity.NOTE if mild else Severity.ERROR,
    )
