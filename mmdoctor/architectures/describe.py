"""What a model is, for the head of a report: each part's numbers, from the configuration or else from shapes."""

import re
from collections.abc import Mapping
from math import isqrt

from mmdoctor.architectures.geometry import heads_of, of_stream, projections, true_head_size
from mmdoctor.architectures.own_sections import described_as_text, divided, section_of
from mmdoctor.architectures.projectors import entrance, exit_of, matrices
from mmdoctor.architectures.spelling import SectionReader
from mmdoctor.architectures.towers import edges, patch_kernel, position_table, rows_of, tower_blocks, tower_width
from mmdoctor.facts.checkpoint import Tensor
from mmdoctor.facts.model import AudioModel, MultimodalModel, TextModel, VisionModel
from mmdoctor.facts.parts import (
    AttentionBlock,
    AttentionBlocks,
    Description,
    Embeddings,
    Part,
    PartDetails,
    Parts,
    Role,
)

_EXPERT = re.compile(r"\.experts\.(\d+)\.")


def describe(
    parts: Parts, model: MultimodalModel | None, blocks: AttentionBlocks | None, embeddings: Embeddings | None
) -> Description:
    """Each part with the numbers that are known of it, the largest part first.

    A number that a configuration states, or leaves to the library's class, stands as it is stated; where there is no
    configuration it is derived from shapes, as far as they tell: heads only where norms on queries or keys show the
    width of one.
    """
    listed = blocks.blocks if blocks is not None else ()
    towers = {role: parts.largest(role) for role in (Role.TEXT, Role.VISION, Role.AUDIO)}
    details = []
    text = towers[Role.TEXT]
    halves = tuple(divided(text, model)) if text is not None else ()
    towers[Role.TEXT] = described_as_text(halves, model)
    for part in sorted((*(p for p in parts.parts if p is not text), *halves), key=lambda p: -p.nbytes):
        stated: dict[str, int] = {}
        shown: dict[str, int] = {}
        if part is towers[Role.TEXT]:
            shown = _text_shapes(part, listed, embeddings)
            stated = _text_stated(model.text) if model is not None and model.text is not None else {}
        elif part is towers[Role.VISION]:
            shown = _vision_shapes(part, listed)
            if model is not None and model.vision is not None:
                shown.pop("image", None)  # a table says what it is for, not what the tower takes
            stated = _vision_stated(model.vision) if model is not None and model.vision is not None else {}
        elif part is towers[Role.AUDIO]:
            shown = _audio_shapes(part)
            stated = _audio_stated(model.audio) if model is not None and model.audio is not None else {}
        elif part.role in (Role.FUSION, Role.DECODER) or part in halves:
            own = section_of(part, model)
            stated = _section_stated(own) if own is not None and part.layers else {}
        elif part.role is Role.PROJECTOR:
            shown = _projector_shapes(part)
        elif part.role is Role.HEAD and embeddings is not None and embeddings.head in part.tensors:
            shown = _table(embeddings.head)
        details.append(_merged(part, stated, shown))
    return Description(parts=tuple(details))


def _section_stated(section: SectionReader) -> dict[str, int]:
    names = {
        "layers": "num_hidden_layers",
        "hidden": "hidden_size",
        "heads": "num_attention_heads",
        "kv_heads": "num_key_value_heads",
        "vocabulary": "vocab_size",
    }
    found = {name: section.integer(field) for name, field in names.items()}
    return {name: reading.value for name, reading in found.items() if reading is not None}


def _merged(part: Part, stated: Mapping[str, int], shown: Mapping[str, int]) -> PartDetails:
    derived = tuple(name for name in shown if name not in stated)
    return PartDetails(part=part, numbers={**stated, **{name: shown[name] for name in derived}}, derived=derived)


def _present(**numbers: int | None) -> dict[str, int]:
    return {name: number for name, number in numbers.items() if number is not None}


def _text_stated(text: TextModel) -> dict[str, int]:
    heads = heads_of(text)
    return _present(
        layers=text.num_hidden_layers.value if text.num_hidden_layers else None,
        hidden=text.hidden_size.value if text.hidden_size else None,
        heads=heads.query if heads else None,
        kv_heads=heads.key_value if heads else None,
        head_dim=heads.size if heads else None,
        vocabulary=text.vocab_size.value if text.vocab_size else None,
        context=text.max_position_embeddings.value if text.max_position_embeddings else None,
    )


def _vision_stated(vision: VisionModel) -> dict[str, int]:
    return _present(
        layers=vision.num_hidden_layers.value if vision.num_hidden_layers else None,
        hidden=vision.hidden_size.value if vision.hidden_size else None,
        heads=vision.num_attention_heads.value if vision.num_attention_heads else None,
        patch=vision.patch_size.value if vision.patch_size else None,
        image=vision.image_size.value if vision.image_size else None,
        merge=vision.spatial_merge_size.value if vision.spatial_merge_size else None,
        frames=vision.temporal_patch_size.value if vision.temporal_patch_size else None,
    )


def _audio_stated(audio: AudioModel) -> dict[str, int]:
    return _present(
        layers=audio.num_hidden_layers.value if audio.num_hidden_layers else None,
        hidden=audio.hidden_size.value if audio.hidden_size else None,
        heads=audio.num_attention_heads.value if audio.num_attention_heads else None,
        mel_bins=audio.num_mel_bins.value if audio.num_mel_bins else None,
        positions=audio.max_source_positions.value if audio.max_source_positions else None,
    )


def _text_shapes(part: Part, blocks: tuple[AttentionBlock, ...], embeddings: Embeddings | None) -> dict[str, int]:
    own = [b for b in of_stream(blocks, Role.TEXT) if not b.quantised]
    size = true_head_size(own)
    widths = {field: out for b in own[:1] for field, _, (out, _) in projections(b)}
    table = _table(embeddings.embedding) if embeddings is not None else {}
    experts = {int(found[1]) for t in part.tensors if (found := _EXPERT.search(t.name))}
    return _present(
        layers=part.layers,
        hidden=table.get("hidden"),
        heads=widths["q"] // size if size and "q" in widths else None,
        kv_heads=widths["k"] // size if size and "k" in widths else None,
        head_dim=size,
        vocabulary=table.get("vocabulary"),
        experts=max(experts) + 1 if experts else None,
    )


def _table(tensor: Tensor | None) -> dict[str, int]:
    if tensor is None or len(tensor.shape) != 2:
        return {}
    return {"vocabulary": tensor.shape[0], "hidden": tensor.shape[1]}


def _vision_shapes(part: Part, blocks: tuple[AttentionBlock, ...]) -> dict[str, int]:
    kernel, table = patch_kernel(part), position_table(part)
    patch = edges(kernel) if kernel is not None else None
    size = true_head_size(tower_blocks(part, blocks))
    width = tower_width(part, blocks)
    rows = rows_of(table) if table is not None else None
    side = isqrt(rows) if rows else 0
    square = side * side in (rows, (rows or 0) - 1)  # with or without a class token
    return _present(
        layers=part.layers,
        hidden=width or (kernel.shape[0] if kernel is not None else None),
        heads=width // size if size and width else None,
        patch=patch[0] if patch is not None and patch[0] == patch[1] else None,
        frames=kernel.shape[2] if kernel is not None and len(kernel.shape) == 5 else None,
        positions=rows,
        image=side * patch[0] if rows and square and patch is not None and patch[0] == patch[1] else None,
    )


def _projector_shapes(part: Part) -> dict[str, int]:
    maps = matrices(part)
    first, last = entrance(maps), exit_of(maps)
    return _present(reads=first.into if first else None, writes=last.out if last else None)


def _audio_shapes(part: Part) -> dict[str, int]:
    first = next((t for t in part.tensors if len(t.shape) == 3 and t.name.endswith("conv1.weight")), None)
    table = next((t for t in part.tensors if "position" in t.name and len(t.shape) == 2), None)
    return _present(
        layers=part.layers,
        hidden=first.shape[0] if first is not None else None,
        mel_bins=first.shape[1] if first is not None else None,
        positions=table.shape[0] if table is not None else None,
    )
