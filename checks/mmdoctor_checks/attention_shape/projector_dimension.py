from collections.abc import Iterable, Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.geometry import text_widths
from mmdoctor.architectures.projectors import (
    Matrix,
    broken_pairs,
    entrance,
    exit_of,
    is_shared_space,
    is_simple,
    matrices,
)
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.architectures.towers import main_tower, stream_width, tower_width
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import AttentionBlocks, Embeddings, Parts, Role
from mmdoctor.finding import Confidence
from mmdoctor.location import Reading

_FIX = Fix("use the projector that was trained with this vision tower and this language model")
_MOST = 64
"""Most features, in tower widths, that a projector reads where no configuration tells: 4 x 4 patches of 4 layers."""


@check("ATT007", Severity.ERROR, yields_to=("INT008", "ATT004"))
def projector_dimension(
    parts: Parts, blocks: AttentionBlocks, embeddings: Embeddings, model: MultimodalModel | None
) -> Iterator[Problem]:
    """The projector does not fit the vision tower, the language model, or itself.

    ## What it checks

    The first linear layer reads `tower width x selected layers x stacked patches` features: stacked patches are `(1 /
    downsample_ratio)^2` for InternVL, `scale_factor^2` for Idefics 3 and SmolVLM, `spatial_merge_size^2` for Qwen-VL
    and Mistral 3, and 1 for LLaVA, PaliGemma and Gemma 3; Llama 3.2 Vision reads `vision_output_dim`. The last one
    writes the width of the language model's embedding. Of two layers in a row, the second reads what the first writes.
    Projectors with attention (Q-Former, perceiver, resampler) need one map that reads the tower's width and one that
    writes the language model's. Without a configuration, any whole multiple of the tower's width passes.

    ## Why it matters

    The first image ends in `mat1 and mat2 shapes cannot be multiplied (576x1024 and 4096x1024)`, or the load does.

    ## How to fix it

    Put the projector and the vision tower together that were trained together.

    ## Sources

    - https://github.com/CircleRadon/TokenPacker/issues/20
    - https://github.com/vllm-project/vllm/issues/20495
    - https://github.com/comfyanonymous/ComfyUI/issues/4967
    """
    maps = [m for part in parts.of(Role.PROJECTOR) for m in matrices(part)]
    pair = next(broken_pairs(maps, gated=_may_be_gated(model)), None)
    if pair is not None:
        before, after = pair
        yield _problem(
            f"{_short(after)} reads {after.into} features, {_short(before)} before it writes {before.out}",
            [
                Evidence("features read", after.into, after.tensor.at, before.out),
                Evidence("features written", before.out, before.tensor.at),
            ],
        )
        return
    every, maps = maps, [m for m in maps if not is_shared_space(m)]
    text = embeddings.embedding
    if not maps or text is None or not parts.of(Role.TEXT) or len(text.shape) != 2:
        return
    tower = main_tower(parts, _stated(model))
    width = tower_width(tower, blocks.blocks) if tower is not None else None
    written = Evidence("width of the language model (features)", text.shape[1], text.at)
    widths = text_widths(blocks.blocks) | {text.shape[1]}
    last = exit_of(maps)
    if last is not None and last.out not in widths:
        yield _problem(
            f"{_short(last)} {list(last.tensor.shape)} writes {last.out} features, "
            f"the language model is {text.shape[1]} wide",
            [Evidence("features written", last.out, last.tensor.at, text.shape[1]), written],
        )
    elif last is None and _generates(model) and not any(m.out in widths for m in every):
        yield _problem(
            f"the projector writes {_numbers(m.out for m in maps)} features, "
            f"the language model is {text.shape[1]} wide",
            [Evidence("features written", _numbers(m.out for m in maps), maps[-1].tensor.at, text.shape[1]), written],
            confidence=Confidence.LIKELY,
        )
        return
    handed = _handed_on(model)
    if last is not None and handed is not None and last.out in widths and last.out != handed.value:
        yield _problem(
            f"{_short(last)} {list(last.tensor.shape)} writes {last.out} features, config.json says {handed.value}",
            [
                Evidence("features handed on", handed.value, handed.at, last.out),
                Evidence("features written", last.out, last.tensor.at),
            ],
        )
        return
    sound = parts.largest(Role.AUDIO)
    if tower is None and sound is not None and len(parts.of(Role.AUDIO)) == 1:
        tower, width = sound, stream_width(sound, blocks.blocks)
    elif sound is not None:
        return
    if tower is None or width is None:
        return
    read = Evidence(f"width of the {tower.role} (features)", width, tower.at)
    first = entrance(maps)
    if first is not None:
        plain = is_simple(maps, parts.of(Role.PROJECTOR), tower) or tower.role is Role.AUDIO
        yield from _entrance(first, width, read, tower.role, model, certain=plain)
    elif last is None and is_simple(maps, parts.of(Role.PROJECTOR), tower) and _fits_nowhere(maps, width, widths):
        yield _problem(
            f"the projector reads {_numbers(m.into for m in maps)} features and writes "
            f"{_numbers(m.out for m in maps)}: it fits neither the vision tower's {width} "
            f"nor the language model's {text.shape[1]}",
            [Evidence("features read and written", _numbers(maps[0].tensor.shape), maps[0].tensor.at), read, written],
            confidence=Confidence.LIKELY,
        )


def _generates(model: MultimodalModel | None) -> bool:
    """Whether the text model writes text: a detector's projectors lead to its decoder, not to its text encoder."""
    return model is not None and model.text is not None and model.text.is_decoder


_GATED = ("aya_vision", "cohere2_vision")
"""Types of transformers whose projector halves its width in a gated activation."""


def _may_be_gated(model: MultimodalModel | None) -> bool:
    return model is None or model.config.model_type in _GATED or model.config.model_type not in class_defaults()


def _entrance(
    first: Matrix, width: int, evidence: Evidence, role: Role, model: MultimodalModel | None, *, certain: bool
) -> Iterator[Problem]:
    expected = _heard(width, model) if role is Role.AUDIO else _expected(width, model)
    if expected is None:
        if not certain or _multiple(first.into, width):
            return
        arithmetic = f"no multiple of the tower's {width}"
    elif first.into == expected[0]:
        return
    else:
        arithmetic = f"the configuration makes {expected[1]}"
    yield _problem(
        f"{_short(first)} {list(first.tensor.shape)} reads {first.into} features, {arithmetic}",
        [Evidence("features read", first.into, first.tensor.at, expected[0] if expected else None), evidence],
    )


def _multiple(features: int, width: int) -> bool:
    return features % width == 0 and features // width <= _MOST


def _fits_nowhere(maps: list[Matrix], width: int, widths: set[int]) -> bool:
    return not any(_multiple(m.into, width) or m.out in widths or m.into in widths for m in maps)


def _numbers(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(set(values))))


def _expected(width: int, model: MultimodalModel | None) -> tuple[int, str] | None:
    """Features that the first layer reads, and the arithmetic; None where the family's ways are not known."""
    if model is None or not model.known or model.vision is None:
        return None
    if model.family == "mllama" and model.vision.output_size is not None:
        return model.vision.output_size.value, f"vision_output_dim {model.vision.output_size.value}"
    if model.family not in _PLAIN:
        return None
    layers = len(model.feature_layers.value) if model.feature_layers is not None else 1
    stacked = model.shuffle.value if model.shuffle is not None else 1
    terms = [
        str(width),
        *([f"{layers} layers"] if layers > 1 else []),
        *([f"{stacked}^2 patches"] if stacked > 1 else []),
    ]
    total = width * layers * stacked**2
    return total, " x ".join(terms) + (f" = {total}" if len(terms) > 1 else "")


def _heard(width: int, model: MultimodalModel | None) -> tuple[int, str] | None:
    """The same for sounds."""
    if model is None or model.audio is None:
        return None
    if model.config.model_type in _HEARS_PLAIN:
        return width, str(width)
    if model.config.model_type in _HEARS_STACKED:
        for key in ("intermediate_size", "encoder_ffn_dim"):
            stacked = model.config.document.read(f"{model.audio.section}/{key}", int)
            if stacked is not None:
                return stacked.value, f"{key} {stacked.value}"
    return None


_HEARS_PLAIN = ("qwen2_audio", "audioflamingo3")
_HEARS_STACKED = ("voxtral", "glmasr")
"""Types whose projector reads one frame of the audio tower, or as many as make `intermediate_size` features (their
modelling files in transformers)."""


def _handed_on(model: MultimodalModel | None) -> Reading[int] | None:
    if model is None or model.vision is None or model.family not in _HANDS_ON:
        return None
    return model.vision.output_size


_HANDS_ON = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
"""Families whose `out_hidden_size` (Qwen2-VL: `hidden_size`) is what the projector writes."""

_PLAIN = (
    "aya_vision",
    "colpali",
    "colqwen2",
    "gemma3",
    "idefics3",
    "internvl",
    "internvl_chat",
    "janus",
    "lfm2_vl",
    "llava",
    "mistral3",
    "paligemma",
    "qwen2_5_vl",
    "qwen2_vl",
    "qwen3_vl",
)
"""Families whose projector reads `width x layers x stacked patches` (their modelling files in transformers)."""


def _stated(model: MultimodalModel | None) -> int | None:
    vision = model.vision if model is not None else None
    return vision.hidden_size.value if vision is not None and vision.hidden_size is not None else None


def _problem(message: str, because: list[Evidence], confidence: Confidence = Confidence.CERTAIN) -> Problem:
    return Problem(
        f"{message}: the model stops at its first image or sound", because=because, fix=_FIX, confidence=confidence
    )


def _short(matrix: Matrix) -> str:
    return ".".join(matrix.tensor.name.removesuffix(".weight").split(".")[-2:])
