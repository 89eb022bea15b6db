import re
from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.completeness import main_stack
from mmdoctor.architectures.grouping import index_set
from mmdoctor.architectures.names import strip_wrappers
from mmdoctor.facts.checkpoint import CompleteCheckpoint, Tensor
from mmdoctor.facts.model import TextModel
from mmdoctor.facts.parts import LayerStack, LayerStacks, Role
from mmdoctor.location import Location, Reading

_MTP = re.compile(r"(?:^|\.)(?:mtp|mtp_\w+|nextn)\.")


@check("INT022", Severity.NOTE, yields_to=("INT001", "INT002", "INT003", "INT005", "INT006", "INT008"))
def mtp_heads_extra_or_lost(complete: CompleteCheckpoint, stacks: LayerStacks, text: TextModel) -> Iterator[Problem]:
    """Layers for multi-token prediction are in the checkpoint, or are configured and lost.

    ## What it checks

    Tensors named `mtp.*`, and layers with an index of `num_hidden_layers` or more (DeepSeek-V3, GLM-4.5); and whether
    they are there where `num_nextn_predict_layers` or `mtp_num_hidden_layers` says so.

    ## Why it matters

    transformers ignores these layers on purpose and reports them as UNEXPECTED: that is normal. It also drops them when
    it saves, so after a fine-tune the model answers the same, but speculative decoding with `method=mtp` has no draft
    layers: vLLM then stops with `Following weights were not initialized from checkpoint`.

    ## How to fix it

    To serve with multi-token prediction, copy the `mtp.*` tensors of the base model into the checkpoint.

    ## Sources

    - https://github.com/modelscope/ms-swift/issues/9802
    - https://github.com/NVIDIA/Model-Optimizer/issues/2427
    """
    layers = text.num_hidden_layers
    tensors = complete.checkpoint.tensors
    named = [t for name, t in tensors.items() if _MTP.search(strip_wrappers(name))]
    stack = main_stack(stacks.stacks, Role.TEXT)
    extra = [i for i in stack.indices if layers is not None and i >= layers.value] if stack is not None else []
    if named or (extra and stack is not None):
        yield _present(named, extra, stack, layers)
    elif text.mtp_layers is not None and stack is not None:
        yield Problem(
            f"config.json declares {text.mtp_layers.value} layers for multi-token prediction, the checkpoint has none: "
            "answers are the same, speculative decoding with method mtp does not start",
            because=[Evidence("layers for multi-token prediction", 0, text.mtp_layers.at, text.mtp_layers.value)],
            fix=Fix("copy the mtp tensors of the base model if you want to serve with multi-token prediction"),
        )


def _present(named: list[Tensor], extra: list[int], stack: LayerStack | None, layers: Reading[int] | None) -> Problem:
    if named or stack is None or layers is None:
        what, place = f"{len(named)} tensors named mtp", named[0].at
        because = [Evidence("tensors for multi-token prediction", len(named), place)]
    else:
        what = f"layers {index_set(extra)} beyond the {layers.value} of num_hidden_layers"
        first = next(iter(stack.members[extra[0]].values()))
        place = Location(file=first.file, tensor=f"{stack.prefix}{index_set(extra)}.*")
        because = [
            Evidence("layers beyond num_hidden_layers", index_set(extra), place),
            Evidence("num_hidden_layers", layers.value, layers.at),
        ]
    return Problem(
        f"the checkpoint has {what}: they are for multi-token prediction, transformers ignores them and that is normal",
        because=because,
        fix=Fix("nothing to do"),
    )
