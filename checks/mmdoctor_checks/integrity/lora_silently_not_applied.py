"""INT011."""

import re
from collections.abc import Iterator, Mapping, Sequence

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.grouping import group_names
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.quantisation import Adapter

_LORA = re.compile(
    r"(?:base_model\.model\.)?(?P<module>.+?)\.(?P<half>lora_(?:embedding_)?[AB])(?:\.(?!weight$)[^.]+)?(?:\.weight)?"
)
_SHOWN = 4
_PREFIXES = ("model.language_model.", "language_model.model.", "language_model.", "model.", "base_model.model.", "")
"""What layouts of one model put in front of the same module's name."""


@check("INT011", Severity.ERROR)
def lora_silently_not_applied(adapter: Adapter, checkpoint: Checkpoint) -> Iterator[Problem]:
    """The adapter's weights belong to modules that its configuration, or its base model, does not have.

    ## What it checks
    LoRA adapters (`adapter_config.json` with `peft_type` LORA):

    - `target_modules` as a list: PEFT puts an adapter on every module whose name ends in one of them and drops weights
      of all others without a word. An error where no weight belongs to a listed module, a warning where some do not.
      A regular expression or `all-linear` is not judged.
    - `r` and `rank_pattern` against the shapes of `lora_A` and `lora_B`: another rank is a size mismatch.
    - where the base model's weights lie in the same folder: the modules that the adapter changes are in it, under any
      of the prefixes that versions of transformers use.

    ## Why it matters
    The adapter is served, no module takes it up, and the answers are the base model's. Nothing is logged.

    ## How to fix it
    Name the trained modules in `target_modules`, with the prefix of the base model's layout; or merge the adapter with
    the versions it was trained with.

    ## Sources
    - https://github.com/vllm-project/vllm/issues/48019
    - https://github.com/vllm-project/vllm/issues/39369
    - https://github.com/unslothai/unsloth-zoo/issues/1234
    - https://github.com/huggingface/peft/issues/2574
    """
    if adapter.peft_type != "LORA" or adapter.settings.get("target_parameters"):
        return
    halves = dict(_halves(checkpoint.tensors))
    if not halves:
        return
    yield from _targets(adapter, halves)
    yield from _ranks(adapter, halves)
    if not adapter.alone:
        yield from _base(checkpoint.tensors, halves)


def _halves(tensors: Mapping[str, Tensor]) -> Iterator[tuple[tuple[str, str], Tensor]]:
    for name, tensor in tensors.items():
        match = _LORA.fullmatch(name)
        if match is not None and len(tensor.shape) >= 2:
            yield (match["module"], match["half"]), tensor


def _targets(adapter: Adapter, halves: Mapping[tuple[str, str], Tensor]) -> Iterator[Problem]:
    stated = adapter.settings.get("target_modules")
    if not isinstance(stated, list) or not stated or not all(isinstance(t, str) for t in stated):
        return
    ends = tuple(f".{target}" for target in stated)
    modules = sorted({module for module, _ in halves})
    outside = [m for m in modules if not f".{m}".endswith(ends)]
    if not outside:
        return
    none = len(outside) == len(modules)
    named = sorted({m.rpartition(".")[2] for m in outside})
    yield Problem(
        f"{'none' if none else len(modules) - len(outside)} of the {len(modules)} modules with adapter weights is "
        f"among target_modules ({', '.join(stated[:6])}; the weights are for {', '.join(named[:6])}): PEFT drops "
        f"{'all' if none else len(outside)} of them without a word",
        because=[
            Evidence(
                "target_modules", ", ".join(stated[:8]), adapter.settings.at("target_modules"), ", ".join(named[:8])
            ),
            *(Evidence("weights for", group, next(iter(halves.values())).at) for group in _grouped(outside)),
        ],
        fix=Fix(f"add {', '.join(named[:6])} to target_modules"),
        severity=Severity.ERROR if none else Severity.WARNING,
    )


def _grouped(modules: Sequence[str]) -> list[str]:
    return [str(group) for group in group_names(list(modules))][:_SHOWN]


def _ranks(adapter: Adapter, halves: Mapping[tuple[str, str], Tensor]) -> Iterator[Problem]:
    rank = adapter.settings.read("r", int)
    pattern = adapter.settings.get("rank_pattern")
    if rank is None or rank.value <= 0:
        return
    allowed = {rank.value, *(v for v in (pattern or {}).values() if isinstance(v, int))} if _is_table(pattern) else None
    if allowed is None:
        return
    wrong = [
        (tensor, size)
        for (_, half), tensor in halves.items()
        if (size := tensor.shape[0] if half.endswith("A") else tensor.shape[1]) not in allowed
    ]
    if wrong:
        tensor, size = wrong[0]
        yield Problem(
            f"{tensor.name} {list(tensor.shape)} has rank {size}, adapter_config.json says r {rank.value}: loading "
            f"ends in a size mismatch ({len(wrong)} of {len(halves)} tensors)",
            because=[Evidence("r", rank.value, rank.at, size), Evidence("rank of the weights", size, tensor.at)],
            fix=Fix(f"set r to {size}"),
        )


def _is_table(pattern: object) -> bool:
    return pattern is None or isinstance(pattern, dict)


def _base(tensors: Mapping[str, Tensor], halves: Mapping[tuple[str, str], Tensor]) -> Iterator[Problem]:
    own = {_bare(name.removesuffix(".weight")) for name in tensors if "lora_" not in name}
    modules = sorted({module for module, _ in halves})
    lost = [m for m in modules if _bare(m) not in own]
    if own and lost:
        none = len(lost) == len(modules)
        example = next(t for (module, _), t in halves.items() if module == lost[0])
        yield Problem(
            f"{'none' if none else len(modules) - len(lost)} of the {len(modules)} modules that the adapter changes is "
            f"in the base model beside it (first missing: {lost[0]}): those weights are never applied",
            because=[Evidence("module", lost[0], example.at, "a module of the base model")],
            fix=Fix("rename the adapter's modules as the base model has them"),
            severity=Severity.ERROR if none else Severity.WARNING,
        )


def _bare(module: str) -> str:
    return module.removeprefix(next(p for p in _PREFIXES if module.startswith(p)))
