"""INT013."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check
from mmdoctor.facts.checkpoint import CompleteCheckpoint
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.quantisation import Adapter
from mmdoctor.facts.source import Source

_SIDE_FILES = ("mm_projector.bin", "non_lora_trainables.bin")


@check("INT013", Severity.ERROR, yields_to=("INT010",))
def llava_projector_separate(
    source: Source, config: ModelConfig, complete: CompleteCheckpoint | None, adapter: Adapter | None
) -> Iterator[Problem]:
    """A model of the original LLaVA has no projector.

    ## What it checks
    Folders whose config.json has `mm_vision_tower` and `mm_projector_type`, as the original LLaVA and its forks write
    them: the projector is in the weights, or in `mm_projector.bin` (first stage of training) or
    `non_lora_trainables.bin` (LoRA) beside them. For an adapter, also that the folder's name has `lora` in it, which is
    how LLaVA's builder tells one (a warning).

    ## Why it matters
    The projector stays random: the model ignores the picture, or speaks nonsense about it.

    ## How to fix it
    Copy the side file from the training's output, or merge the adapter with `scripts/merge_lora_weights.py` and give
    the merged folder a name without `lora`.

    ## Sources
    - https://github.com/haotian-liu/LLaVA/issues/784
    - https://github.com/haotian-liu/LLaVA/issues/1592
    - https://github.com/haotian-liu/LLaVA/issues/474
    """
    document = config.document
    tower = document.read("/mm_vision_tower", str)
    if tower is None or not tower.value or "vision_config" in document.value:
        return
    side = [f.name for f in source.top() if f.name in _SIDE_FILES]
    if adapter is not None and adapter.alone:
        yield from _adapter(source, side, tower.at)
    elif not side and complete is not None and not any("mm_projector" in n for n in complete.checkpoint.tensors):
        total = len(complete.checkpoint.tensors)
        yield Problem(
            f"none of the {total:,} tensors is part of an mm_projector, and there is no mm_projector.bin: "
            "the projector stays random, the model cannot see",
            because=[
                Evidence("tensors of the projector", 0, Location(file=complete.checkpoint.files[0].path)),
                Evidence("mm_vision_tower", tower.value, tower.at),
            ],
            fix=Fix("copy mm_projector.bin from the training's output, or save the whole model again"),
        )


def _adapter(source: Source, side: list[str], at: Location) -> Iterator[Problem]:
    if "non_lora_trainables.bin" not in side:
        yield Problem(
            "the adapter lies without non_lora_trainables.bin, where LLaVA's training puts the projector: "
            "the projector stays random, the model cannot see",
            because=[Evidence("non_lora_trainables.bin", None, at, "beside the adapter")],
            fix=Fix("copy non_lora_trainables.bin from the training's output"),
        )
    elif "lora" not in source.name.lower():
        yield Problem(
            f"LLaVA's builder takes a folder for an adapter by `lora` in its name, and this one is called "
            f"{source.name}: it is loaded as a whole model",
            because=[Evidence("name of the folder", source.name, Location(file="adapter_config.json"), "with `lora`")],
            fix=Fix(f"rename the folder to {source.name}-lora"),
            severity=Severity.WARNING,
        )
