"""What LLaVA's processors have to be told, as it follows from the model's configuration."""

from mmdoctor.architectures.image_tokens import UnknownFamily, classes
from mmdoctor.architectures.image_tokens.features import TOWERS
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.image_tokens import LlavaProcessor, Used
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor
from mmdoctor.finding import Scalar

NEEDED = {
    "LlavaProcessor": "patch_size",
    "LlavaNextProcessor": "patch_size",
    "LlavaNextVideoProcessor": "patch_size",
    "LlavaOnevisionProcessor": "num_image_tokens",
}
"""The setting that these classes divide by or take the root of, and whose default is None (transformers 5.23 and 4.57,
models/*/processing_*.py). VideoLlavaProcessor has defaults for all: there absence is as good as its values."""

STRATEGIES = {"llava_onevision": "full"}
"""`vision_feature_select_strategy` of the configuration class when the file is silent; of the others, `default`."""


def llava_processor(
    model: MultimodalModel,
    vision: VisionModel | None,
    images: ImageProcessor,
    processor: Processor | None,
    documents: Documents | None = None,
) -> LlavaProcessor:
    """The processor, if it is one of LLaVA's.

    Raises:
        NotApplicable: it is another kind.
        Unavailable: its configuration is there and cannot be read.
    """
    if documents is not None and (trouble := documents.trouble("processor_config.json")):
        raise Unavailable(trouble)
    try:
        name, _ = classes(model, images, processor)
    except UnknownFamily as reason:
        raise NotApplicable(str(reason)) from None
    needed = NEEDED.get(name)
    if needed is None:
        raise NotApplicable(f"{name} has defaults for all its settings")
    right, because = _right(model, vision, needed)
    settings = processor.settings if processor is not None else None
    return LlavaProcessor(processor_class=name, needed=needed, settings=settings, right=right, because=because)


def _right(
    model: MultimodalModel, vision: VisionModel | None, needed: str
) -> tuple[dict[str, Scalar], tuple[Used, ...]]:
    settings: dict[str, Scalar] = {}
    because = []
    patch = vision.patch_size if vision is not None else None
    size = vision.image_size if vision is not None else None
    if patch is not None and patch.value > 0:
        because.append(Used("patch size of the vision tower (pixels)", patch.value, patch.at))
        if needed == "patch_size":
            settings["patch_size"] = patch.value
        elif size is not None:
            because.append(Used("image size of the vision tower (pixels)", size.value, size.at))
            settings["num_image_tokens"] = (size.value // patch.value) ** 2
    strategy = model.config.document.read("/vision_feature_select_strategy", str)
    if strategy is not None:
        because.append(Used("vision_feature_select_strategy", strategy.value, strategy.at))
    usual = STRATEGIES.get(model.config.model_type or "", "default")
    settings["vision_feature_select_strategy"] = strategy.value if strategy is not None else usual
    tower = TOWERS.get(vision.model_type or "") if vision is not None else None
    if needed == "patch_size" and tower is not None:
        settings["num_additional_image_tokens"] = tower.extra
    return settings, tuple(because)
