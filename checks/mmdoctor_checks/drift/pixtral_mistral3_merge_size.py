"""DRF005."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location, Reading

CLASS = "PixtralProcessor"
FILE = "processor_config.json"
# Class defaults: transformers 4.57 and 5.23, models/pixtral/processing_pixtral.py, PixtralProcessor.__init__, and
# models/mistral3/configuration_mistral3.py, models/lighton_ocr/configuration_lighton_ocr.py.
PROCESSOR_DEFAULTS = {"patch_size": 16, "spatial_merge_size": 1}
MODEL_DEFAULTS = {"mistral3": 2, "lighton_ocr": 2}
EDGE = 1540
"""Pixels of the largest edge that the published processors allow."""


@check("DRF005", Severity.ERROR, yields_to=("ATT005",))
def pixtral_mistral3_merge_size(
    model: MultimodalModel, vision: VisionModel, image: ImageProcessor, processor: Processor | None
) -> Iterator[Problem]:
    """Pixtral's processor counts image tokens of another size than the model makes.

    ## What it checks

    The pixels along one edge of an image token: `patch_size x spatial_merge_size` of the processor against
    `vision_config.patch_size x spatial_merge_size` of the model (Mistral 3 merges 2 x 2 patches, Pixtral inside a LLaVA
    model merges none). Only the product counts: some releases wrote a patch of 28 merged by 1, which is the same as 14
    merged by 2. A value that the processor's file lacks is the class's default, 16 and 1.

    ## Why it matters

    `Image features and image tokens do not match: tokens: 5476, features 1369`, exactly four times as many, for every
    image. Checkpoints converted before transformers 4.51, and re-uploads of them, lack the processor's
    `spatial_merge_size`.

    ## How to fix it

    Set the processor's values to those of config.json.

    ## Sources

    - https://github.com/Blaizzy/mlx-vlm/issues/741
    - https://github.com/Blaizzy/mlx-vlm/issues/873
    - https://github.com/huggingface/transformers/issues/37019
    - https://github.com/vllm-project/vllm/issues/17270
    - https://github.com/openvinotoolkit/openvino.genai/issues/3797
    """
    if vision.model_type != "pixtral" or vision.patch_size is None or model.remote_code:
        return
    if not _is_pixtral(model, image, processor):
        return
    merges = _merges(model)
    patch, merge = (_of_processor(processor, key) for key in ("patch_size", "spatial_merge_size"))
    ours, theirs = patch.value * merge.value, vision.patch_size.value * merges.value
    if ours <= 0 or theirs <= 0 or ours == theirs:
        return
    tokens, features = (EDGE // ours) ** 2, (EDGE // theirs) ** 2
    right = {"patch_size": vision.patch_size.value, "spatial_merge_size": merges.value}
    stated = {"patch_size": patch.value, "spatial_merge_size": merge.value}
    yield Problem(
        f"the processor counts a token for every {ours} x {ours} pixels, the model makes a feature of every "
        f"{theirs} x {theirs}: a {EDGE}x{EDGE} image becomes {tokens} tokens and {features} features, it fails",
        because=[
            Evidence("processor's spatial_merge_size", merge.value, merge.at, expected=right["spatial_merge_size"]),
            Evidence("processor's patch_size (pixels)", patch.value, patch.at, expected=right["patch_size"]),
            Evidence("model's spatial_merge_size", merges.value, merges.at),
            Evidence("model's patch_size (pixels)", vision.patch_size.value, vision.patch_size.at),
        ],
        fix=_fix({key: value for key, value in right.items() if value != stated[key]}, processor),
    )


def _is_pixtral(model: MultimodalModel, image: ImageProcessor, processor: Processor | None) -> bool:
    """Whether the processor that loads is Pixtral's: it says so, or the model type has no other."""
    if processor is not None and processor.processor_class is not None:
        return processor.processor_class.value == CLASS
    stated = image.settings.read("processor_class", str)
    if stated is not None:
        return stated.value == CLASS
    return model.config.model_type in MODEL_DEFAULTS


def _merges(model: MultimodalModel) -> Reading[int]:
    document = model.config.document
    if model.config.model_type not in MODEL_DEFAULTS:
        return Reading(1, document.at("/model_type"))
    stated = document.read("/spatial_merge_size", int)
    return stated or Reading(MODEL_DEFAULTS[model.config.model_type], document.at())


def _of_processor(processor: Processor | None, key: str) -> Reading[int]:
    if processor is None:
        return Reading(PROCESSOR_DEFAULTS[key], Location(file=FILE))
    return processor.settings.read(key, int) or Reading(PROCESSOR_DEFAULTS[key], processor.settings.at())


def _fix(wrong: dict[str, int], processor: Processor | None) -> Fix:
    text = " and ".join(f"{key} to {value}" for key, value in wrong.items())
    if processor is None:
        return Fix(f"write {FILE} with {text}, processor_class {CLASS}")
    file, pointer = processor.settings.document.file, processor.settings.pointer
    edits = tuple(Edit(file=file, pointer=f"{pointer}/{key}", value=value) for key, value in wrong.items())
    return Fix(f"set {text} in {file}", edits)
