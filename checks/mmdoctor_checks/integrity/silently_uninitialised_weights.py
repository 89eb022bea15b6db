import re
from collections.abc import Iterable, Iterator, Mapping

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.completeness import (
    Half,
    Thin,
    generates,
    half_modules,
    holes,
    lacks_embedding,
    lacks_final_norm,
    lacks_patches,
    main_stack,
    missing_parts,
    modules_of,
    thin_layers,
)
from mmdoctor.architectures.grouping import group_names, index_set
from mmdoctor.architectures.layout import Wrapped, wrapped
from mmdoctor.architectures.normalise import LIBRARY
from mmdoctor.facts.checkpoint import Checkpoint, CompleteCheckpoint, Tensor
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import AttentionBlocks, LayerStack, LayerStacks, Parts, Role
from mmdoctor.finding import Confidence
from mmdoctor.location import Location, Reading

_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
_A_LAYER = 6
"""Tensors from which the members of a numbered list count as layers, and not as the steps of a sequence."""
_SHARED = ("albert", "zamba", "zamba2", "hrm_text")
"""Types that run the same layers several times."""
_AGAIN = Fix("download or convert the checkpoint again: these weights are not in it")


_CAUSES = ("INT001", "INT002", "INT003", "INT005", "INT006", "INT008", "INT012", "INT018", "PRE011")


@check("INT010", Severity.ERROR, yields_to=_CAUSES)
def silently_uninitialised_weights(
    complete: CompleteCheckpoint,
    parts: Parts,
    stacks: LayerStacks,
    blocks: AttentionBlocks | None,
    model: MultimodalModel | None,
) -> Iterator[Problem]:
    """Weights that the model needs are missing, or hidden behind a prefix, and would be random after loading.

    ## What it checks

    By pattern, part by part: as many layers as the configuration says and none missing in between; every layer with the
    modules of its siblings; attention with all of queries, keys and values; feed-forward blocks with both layers; a
    token table and a final norm; a patch embedding; every part that the configuration describes. A prefix that training
    code leaves in front of all names is reported with the renaming that undoes it. Tied heads (INT014), layers for
    multi-token prediction (INT022), keys shared between layers, the last layers of a tower whose features are not used,
    and the companions of packed weights are no gaps. A single shard of a larger checkpoint, and an adapter, are left
    alone.

    ## Why it matters

    transformers fills what is missing with random numbers and says so in one line of its log; loaders with
    `strict=False` say nothing. The model then runs and answers nonsense.

    ## How to fix it

    Take the missing weights from the checkpoint that this one was made from, or rename the tensors as shown.

    ## Sources

    - https://github.com/huggingface/pytorch-image-models/issues/2003
    - https://github.com/pytorch/pytorch/issues/123510
    - https://github.com/vllm-project/vllm/issues/11802
    """
    checkpoint = complete.checkpoint
    if len(checkpoint.files) == 1 and _SHARD.search(checkpoint.files[0].path):
        return
    if all(part.role is Role.ADAPTER for part in parts.parts):
        return
    prefix = wrapped(checkpoint.tensors, model)
    if prefix is not None:
        yield _hidden(prefix, model)
        if model is not None:
            return
    if model is not None:
        for part, place in missing_parts(parts, model):
            yield Problem(
                f"config.json describes a {part}, the checkpoint has no tensor of one: it would be random",
                because=[
                    Evidence(f"tensors of the {part}", 0, place),
                    Evidence("tensors of all parts", len(checkpoint.tensors), _whole(checkpoint)),
                ],
                fix=_AGAIN,
            )
    yield from _layers(stacks.stacks, model)
    text = model.text if model is not None else None
    thin = [found for stack in stacks.stacks for found in thin_layers(stack, text)]
    for found in thin:
        yield _thin(found)
    told = {f"{t.stack.prefix}{i}." for t in thin for i in t.layers}
    halves = list(half_modules(blocks.blocks if blocks else (), stacks.stacks, text))
    yield from _halves([h for h in halves if not h.module.startswith(tuple(told))] if told else halves)
    yield from _ends(parts, stacks.stacks, model)


def _whole(checkpoint: Checkpoint) -> Location:
    """Where a loader looks for every tensor: the index, or the weight file."""
    if checkpoint.index is not None:
        return Location(file=checkpoint.index.file, pointer="/weight_map")
    return checkpoint.files[0].at


def _hidden(prefix: Wrapped, model: MultimodalModel | None) -> Problem:
    shown = prefix.example.name
    renamed = prefix.replacement + shown.removeprefix(prefix.prefix)
    return Problem(
        f"{prefix.count} of {prefix.total} tensor names start with `{prefix.prefix}`, which the model does not have: "
        + ("every weight would be random after loading" if model else "a strict load stops, any other loads nothing"),
        because=[Evidence("first name", shown, prefix.example.at, expected=renamed)],
        fix=Fix(f"rename `{prefix.prefix}` to `{prefix.replacement}`: `{shown}` becomes `{renamed}`"),
        severity=None if model else Severity.NOTE,
    )


def _layers(stacks: Iterable[LayerStack], model: MultimodalModel | None) -> Iterator[Problem]:
    counted: set[str] = set()
    for stack, expected, allowed in _expectations(stacks, model) if model is not None and model.known else ():
        counted.add(stack.prefix)
        if model is not None and model.family == LIBRARY and len(stack.members[stack.indices[0]]) < _A_LAYER:
            continue
        missing = holes(stack, expected)
        if missing and len(missing) <= allowed and missing[-1] == expected.value - 1 == missing[0] + len(missing) - 1:
            continue
        if missing:
            yield Problem(
                f"layers {index_set(missing)} of `{stack.prefix}` are not in the checkpoint, config.json says "
                f"{expected.value} layers and {len(stack.members)} are there: the others would be random after loading",
                because=[
                    Evidence("layers in the checkpoint", index_set(stack.indices), _place(stack)),
                    Evidence("layers configured", expected.value, expected.at),
                ],
                fix=_AGAIN,
            )
    for stack in stacks:
        missing = holes(stack, None) if stack.prefix not in counted else ()
        alike = all(_like_neighbours(stack, index) for index in missing)
        if missing and alike and len(missing) < len(stack.members) > 2 and len(_first(stack)) >= _A_LAYER:
            yield Problem(
                f"layers {index_set(missing)} of `{stack.prefix}` are missing between the others",
                because=[Evidence("layers in the checkpoint", index_set(stack.indices), _place(stack))],
                fix=_AGAIN,
                confidence=Confidence.LIKELY,
            )


def _first(stack: LayerStack) -> Mapping[str, Tensor]:
    return stack.members[stack.indices[0]]


def _like_neighbours(stack: LayerStack, missing: int) -> bool:
    """Whether the layers around a gap are of one kind; between two kinds there may be a layer without weights."""
    before = max(i for i in stack.indices if i < missing)
    after = min(i for i in stack.indices if i > missing)
    return modules_of(stack.members[before]) == modules_of(stack.members[after])


def _expectations(
    stacks: Iterable[LayerStack], model: MultimodalModel
) -> Iterator[tuple[LayerStack, Reading[int], int]]:
    """(stack, configured number of layers, last layers that may be left out)."""
    listed = list(stacks)
    if model.text is not None and model.text.num_hidden_layers is not None and model.text.model_type not in _SHARED:
        if model.text.encoder_layers is not None and (encoder := main_stack(listed, Role.TEXT, "encoder")):
            yield encoder, model.text.encoder_layers, 0
        decoder = main_stack(listed, Role.TEXT, "decoder" if model.text.encoder_layers is not None else None)
        if decoder is None and not model.text.section:  # words and patches in one encoder
            decoder = main_stack(listed, Role.FUSION)
        if decoder is not None:
            yield decoder, model.text.num_hidden_layers, 0
    if model.vision is not None and model.vision.num_hidden_layers is not None:
        tower = main_stack(listed, Role.VISION)
        if tower is not None:
            layers = model.feature_layers.value if model.feature_layers is not None else (-1,)
            unused = -max(layers) - 1 if max(layers) < 0 else 0
            yield tower, model.vision.num_hidden_layers, max(unused, 0)
    if model.audio is not None and model.audio.num_hidden_layers is not None:
        tower = main_stack(listed, Role.AUDIO)
        if tower is not None:
            yield tower, model.audio.num_hidden_layers, 0


def _place(stack: LayerStack) -> Location:
    tensor = next(iter(stack.members[stack.indices[0]].values()))
    return Location(file=tensor.file, tensor=f"{stack.prefix}*")


def _thin(found: Thin) -> Problem:
    sibling = f"{found.stack.prefix}{found.sibling}."
    names = [f"{found.stack.prefix}{layer}.{module}" for layer in found.layers for module in found.missing]
    groups = group_names(names)
    return Problem(
        f"{len(names)} modules that layer {found.sibling} has are missing in layer {index_set(found.layers)}: "
        f"{', '.join(groups[:3])}{' ...' if len(groups) > 3 else ''} would be random after loading",
        because=[
            Evidence(
                "modules missing", ", ".join(groups[:6]), Location(file=_place(found.stack).file, tensor=groups[0])
            ),
            Evidence("complete sibling", f"{sibling}*", Location(file=_place(found.stack).file, tensor=f"{sibling}*")),
        ],
        fix=_AGAIN,
    )


def _halves(halves: list[Half]) -> Iterator[Problem]:
    for has, lacks in dict.fromkeys((h.has, h.lacks) for h in halves):
        same = [h for h in halves if (h.has, h.lacks) == (has, lacks)]
        names = group_names(h.module for h in same)
        yield Problem(
            f"{names[0]}* has {has} but no {lacks}: what is missing would be random after loading",
            because=[
                Evidence(f"modules without {lacks}", len(same), Location(file=same[0].at.file, tensor=f"{names[0]}*"))
            ],
            fix=_AGAIN,
        )


def _ends(parts: Parts, stacks: Iterable[LayerStack], model: MultimodalModel | None) -> Iterator[Problem]:
    text, tower = parts.largest(Role.TEXT), parts.largest(Role.VISION)
    stack = main_stack(stacks, Role.TEXT)
    lacking: list[tuple[str, Location]] = []
    if text is not None and stack is not None:
        if lacks_final_norm(stack, text):
            lacking.append((f"no norm after the layers `{stack.prefix}*`", _place(stack)))
        vocabulary = model.text.vocab_size if model is not None and model.known and model.text is not None else None
        if model is not None and model.family == LIBRARY and not generates(model):
            vocabulary = None
        if vocabulary is not None and lacks_embedding(parts, vocabulary.value):
            lacking.append(("no token embedding", text.at))
    own = model is not None and model.known and model.family != LIBRARY
    if tower is not None and own and tower.layers and lacks_patches(tower):
        lacking.append(("no patch embedding in the vision tower", tower.at))
    for what, place in lacking:
        yield Problem(
            f"the checkpoint has {what}: it would be random after loading",
            because=[Evidence("tensors found", 0, place)],
            fix=_AGAIN,
        )
