"""Model families: what the numbers of a configuration and the names of tensors mean. No file formats here."""

from mmdoctor.architectures.normalise import normalise
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.model import AudioModel, ModelConfig, MultimodalModel, SpecialTokenIds, TextModel, VisionModel
from mmdoctor.location import Reading

_SPECIAL = (
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "decoder_start_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "unk_token_id",
    "sep_token_id",
    "cls_token_id",
)


def multimodal_model(config: ModelConfig) -> MultimodalModel:
    """The whole model as config.json states it, with the same fields for every family."""
    return normalise(config)


def text_model(model: MultimodalModel) -> TextModel:
    """The language model or text encoder.

    Raises:
        NotApplicable: the configuration has none.
    """
    if model.text is None:
        raise NotApplicable("the model has no text part")
    return model.text


def vision_model(model: MultimodalModel) -> VisionModel:
    """The vision tower.

    Raises:
        NotApplicable: the configuration has none.
    """
    if model.vision is None:
        raise NotApplicable("config.json describes no vision tower")
    return model.vision


def audio_model(model: MultimodalModel) -> AudioModel:
    """The audio tower.

    Raises:
        NotApplicable: the configuration has none.
    """
    if model.audio is None:
        raise NotApplicable("config.json describes no audio tower")
    return model.audio


def special_token_ids(documents: Documents, config: ModelConfig, model: MultimodalModel) -> SpecialTokenIds:
    """Ids of padding, begin and end tokens from config.json, its text section and generation_config.json."""
    sections = [(config.document, "")]
    if model.text is not None and model.text.section:
        sections.append((config.document, model.text.section))
    generation = documents.find("generation_config.json")
    if generation is not None:
        sections.append((generation, ""))
    found: list[tuple[str, Reading[int]]] = []
    for document, section in sections:
        for name in _SPECIAL:
            pointer = f"{section}/{name}"
            value = document.get(pointer)
            places = (
                [(f"{pointer}/{i}", v) for i, v in enumerate(value)] if isinstance(value, list) else [(pointer, value)]
            )
            found += [
                (name, Reading(v, document.at(place)))
                for place, v in places
                if isinstance(v, int) and not isinstance(v, bool)
            ]
    return SpecialTokenIds(ids=tuple(found))
