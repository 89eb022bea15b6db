"""Divides a checkpoint into the parts of a multimodal model, and finds its stacks of layers."""

from collections.abc import Iterable, Mapping

from mmdoctor.architectures.names import LAYER
from mmdoctor.architectures.roles import assign_roles
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.parts import LayerStack, LayerStacks, Part, Parts, Role

_OWN_TOWER = 8
"""Tensors from which a group of a role counts as a tower of its own beside a larger one."""


def parts(checkpoint: Checkpoint) -> Parts:
    """The checkpoint's tensors by what they do, largest part of each role first.

    Raises:
        NotApplicable: there are no tensors.
    """
    if not checkpoint.tensors:
        raise NotApplicable("no tensors to tell apart")
    groups: dict[tuple[Role, str], list[Tensor]] = {}
    for name, found in assign_roles(checkpoint.tensors).items():
        groups.setdefault(found, []).append(checkpoint.tensors[name])
    made = [part_of(role, members) for role, members in _joined(groups)]
    made.sort(key=lambda part: (list(Role).index(part.role), -part.nbytes))
    return Parts(parts=tuple(made))


def _joined(groups: Mapping[tuple[Role, str], list[Tensor]]) -> Iterable[tuple[Role, list[Tensor]]]:
    """Groups of one role in one list, but towers that stand beside each other apart."""
    by_role: dict[Role, list[list[Tensor]]] = {}
    for (role, _), members in groups.items():
        by_role.setdefault(role, []).append(members)
    for role, lists in by_role.items():
        lists.sort(key=len, reverse=True)
        towers = [m for m in lists if len(m) >= _OWN_TOWER] if role in (Role.VISION, Role.AUDIO) else []
        if len(towers) < 2:
            yield role, [t for members in lists for t in members]
            continue
        rest = [t for members in lists if len(members) < _OWN_TOWER for t in members]
        yield role, towers[0] + rest
        for members in towers[1:]:
            yield role, members


def part_of(role: Role, members: list[Tensor]) -> Part:
    """Tensors of one role, with their sums."""
    dtypes: dict[str, int] = {}
    for tensor in members:
        dtypes[tensor.dtype] = dtypes.get(tensor.dtype, 0) + tensor.nbytes
    layers: dict[str, set[int]] = {}
    for place in filter(None, (split_layer(t.name) for t in members)):
        layers.setdefault(place[0], set()).add(place[1])
    return Part(
        role=role,
        prefix=common_prefix(t.name for t in members),
        tensors=tuple(members),
        layers=max(map(len, layers.values()), default=None),
        parameters=sum(t.numel for t in members),
        nbytes=sum(t.nbytes for t in members),
        dtypes=dtypes,
    )


def layer_stacks(parts: Parts) -> LayerStacks:
    """All stacks of layers, those with the most layers first within a role."""
    found = [stack for part in parts.parts for stack in _stacks(part.role, part.tensors)]
    return LayerStacks(stacks=tuple(found))


def _stacks(role: Role, tensors: Iterable[Tensor]) -> list[LayerStack]:
    by_prefix: dict[str, dict[int, dict[str, Tensor]]] = {}
    for tensor in tensors:
        place = split_layer(tensor.name)
        if place is not None:
            prefix, index, rest = place
            by_prefix.setdefault(prefix, {}).setdefault(index, {})[rest] = tensor
    stacks = [LayerStack(role=role, prefix=prefix, members=members) for prefix, members in by_prefix.items()]
    return sorted(stacks, key=lambda s: -len(s.members))


def split_layer(name: str) -> tuple[str, int, str] | None:
    """A tensor name as (up to the layer index, layer index, below the layer); None where it is in no layer.

    Of indices inside each other, such as `stages.2.layers.5.`, the innermost that counts layers is taken; those of
    experts or of the steps of a sequence do not count.
    """
    found = None
    for match in LAYER.finditer(name):
        if found is None or not (match[1] == "layer" and name[: match.start()].endswith(f"block.{found[2]}.")):
            found = match  # T5 counts the parts of a block as layers: there the outer index stays
    if found is None:
        return None
    return name[: found.start(2)], int(found[2]), name[found.end() :]


def common_prefix(names: Iterable[str]) -> str:
    """Longest common start of names that ends in a dot, or empty."""
    listed = list(names)
    if not listed:
        return ""
    first, last = min(listed), max(listed)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first[:same].rfind(".") + 1]
