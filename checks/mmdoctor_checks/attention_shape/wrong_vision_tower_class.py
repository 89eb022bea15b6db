"""ATT006."""

import math
import re
from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Parts, Role
from mmdoctor.facts.source import Source
from mmdoctor.finding import Confidence
from mmdoctor.location import Reading

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+|[\w-]+")
_POSITIONS = re.compile(r"(?:^|\.)position_embedding\.weight$")
_KNOWN = ("clip", "openai", "laion", "siglip", "eva", "dino", "internvit", "sharegpt4v", "convnext", "vit", "radio")
"""Words by which builders of the original LLaVA and its forks choose a tower's class."""


@check("ATT006", Severity.ERROR)
def wrong_vision_tower_class(source: Source, model: MultimodalModel, parts: Parts | None) -> Iterator[Problem]:
    """The vision tower is loaded from elsewhere, as another class than its weights, or from nowhere.

    ## What it checks

    Models of the original LLaVA and its forks, whose `mm_vision_tower` names the tower by a Hub id or a path. The class
    is chosen by words in that name: `siglip` makes a SigLIP tower, anything else a CLIP one.

    - error: the weights carry a tower, and the name makes the other class of it: SigLIP has no class embedding, CLIP
      has one.
    - error: the name is a path of the machine that trained the model, and the weights carry no tower: without that
      folder there is none.
    - warning: it is such a path, and the weights carry the tower: its folder is still read for the configuration.

    Models in the layout of transformers (`vision_config`) name no path.

    ## Why it matters

    `size mismatch ... position_embedding: torch.Size([729, 1152]) vs torch.Size([50, 768])`: a folder that was renamed
    from `siglip-so400m-patch14-384` to `my-tower` is built as CLIP with its default sizes.

    ## How to fix it

    Name the Hub id of the tower in `mm_vision_tower`, or keep `siglip` or `clip` in the folder's name.

    ## Sources

    - https://github.com/LLaVA-VL/LLaVA-NeXT/issues/303
    - https://github.com/LLaVA-VL/LLaVA-NeXT/issues/246
    - https://github.com/VITA-Group/VLM-3R/issues/18
    - https://github.com/sgl-project/sglang/issues/35471
    """
    named = model.external_tower
    if named is None or not named.value.strip() or "vision_config" in model.config.document.value:
        return
    tensors = [t for part in parts.of(Role.VISION) for t in part.tensors] if parts is not None else []
    yield from _class(named, tensors)
    if _is_elsewhere(named.value, source):
        yield _path(named, carried=bool(tensors) or parts is None)


def _class(named: Reading[str], tensors: list[Tensor]) -> Iterator[Problem]:
    table = next((t for t in tensors if _POSITIONS.search(t.name) and len(t.shape) == 2), None)
    if table is None:
        return
    siglip = not any(t.name.endswith("class_embedding") for t in tensors)
    if siglip == ("siglip" in named.value.lower()) or (siglip and not _plausible(table)):
        return
    says = any(word in named.value.lower() for word in _KNOWN)
    actual, built = ("SigLIP", "CLIP") if siglip else ("CLIP", "SigLIP")
    yield Problem(
        f"the weights hold a {actual} tower ({table.shape[0]} positions, {'no' if siglip else 'with a'} class "
        f"embedding), and the name {named.value} makes the builder choose {built}: loading ends in a size mismatch",
        because=[
            Evidence("mm_vision_tower", named.value, named.at, expected=f"a name with {actual.lower()}"),
            Evidence("rows of the position table", table.shape[0], table.at),
        ],
        fix=Fix(f"name the {actual} tower that it was trained with in mm_vision_tower"),
        confidence=Confidence.CERTAIN if says else Confidence.LIKELY,
    )


def _plausible(table: Tensor) -> bool:
    """Whether the table has one row a patch of a square picture."""
    return math.isqrt(table.shape[0]) ** 2 == table.shape[0]


def _is_elsewhere(name: str, source: Source) -> bool:
    """Whether it can only be a folder of some machine, and none of the artefact's own."""
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return False
    inside = name.removeprefix("./").rstrip("/")
    return not any(f.path.startswith(f"{inside}/") for f in source.files)


def _path(named: Reading[str], *, carried: bool) -> Problem:
    rest = (
        "the folder is read for the tower's configuration"
        if carried
        else "the weights hold no vision tower, so there is none without it"
    )
    return Problem(
        f"mm_vision_tower is {named.value}, a folder of the machine that trained the model: {rest}",
        because=[Evidence("mm_vision_tower", named.value, named.at, expected="a Hub id, or a folder of this model")],
        fix=Fix("put the Hub id of the tower there, or its folder beside the weights"),
        severity=Severity.WARNING if carried else Severity.ERROR,
    )
