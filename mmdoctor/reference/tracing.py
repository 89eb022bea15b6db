"""What every output and every layer was in one forward pass, in the order in which they ran.

The layers' names are the modules' own. Between them stand what attention makes before its last projection
(`....heads`) and what a feed-forward part makes before its second (`....activation`), since no module returns those.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from mmdoctor.reference.comparison import CHOICES, drawn, named_outputs
from mmdoctor.reference.model import Outputs, ReferenceModel
from mmdoctor.reference.sample import Batch

OUTPUT_NUMBERS = 1024
LAYER_NUMBERS = 128
"""Numbers that are kept of an output and of a layer, so that the records stay small. Choices are kept whole."""

_BEFORE = {"out_proj": "heads", "fc2": "activation"}


class Trace(NamedTuple):
    """One forward pass."""

    outputs: dict[str, Tensor]
    """In the order of the data's way through the model."""
    layers: dict[str, Tensor]
    """In the order in which they ran."""
    whole: Outputs


def trace(model: ReferenceModel, batch: Batch) -> Trace:
    """Run the model on the batch and keep what is compared."""
    with traced(model) as seen:
        whole = model(*batch)
    outputs = {
        name: tensor if name in CHOICES else drawn(tensor, OUTPUT_NUMBERS)
        for name, tensor in named_outputs(whole).items()
    }
    return Trace(outputs, {name: drawn(tensor, LAYER_NUMBERS) for name, tensor in seen.items()}, whole)


@contextmanager
def traced(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Fills the dictionary while the model runs; of a layer that runs twice the first time counts."""
    seen: dict[str, Tensor] = {}
    hooks = []
    for name, module in model.named_modules():
        parent, _, last = name.rpartition(".")
        if last in _BEFORE:
            hooks.append(module.register_forward_pre_hook(_keep_input(seen, f"{parent}.{_BEFORE[last]}")))
        if last.isdecimal() or any(True for _ in module.parameters(recurse=False)):
            hooks.append(module.register_forward_hook(_keep_output(seen, name)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _keep_input(seen: dict[str, Tensor], name: str) -> Any:
    def keep(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.setdefault(name, inputs[0])

    return keep


def _keep_output(seen: dict[str, Tensor], name: str) -> Any:
    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            seen.setdefault(name, output)

    return keep
