"""Tokens of a video, counted twice: as the processor writes placeholders, and as the model makes features."""

from contextlib import suppress

from mmdoctor.architectures.image_tokens.features import Model
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.architectures.image_tokens.vision_values import VisionValues
from mmdoctor.architectures.video_tokens.families import JOINTS, MODELS, USUAL, VIDEOS, JointClass, Video
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.image_tokens import Side
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import Processor, Settings
from mmdoctor.facts.video_tokens import VideoTokenCount, VideoTokenCounts

__all__ = ["Refused", "UnknownFamily", "UnknownValue", "count_video_tokens", "video_settings", "video_token_counts"]

CLIPS = ((8, 640, 480), (32, 640, 480), (64, 1280, 720))
"""(frames, width, height in pixels) of the videos that are counted."""

_FILES = ("video_preprocessor_config.json", "preprocessor_config.json")
"""Where the settings stand when processor_config.json has no section for them (video_processing_utils.py)."""


def video_token_counts(
    model: MultimodalModel, vision: VisionModel, processor: Processor | None, documents: Documents
) -> VideoTokenCounts:
    """Both counts for a few videos.

    Raises:
        NotApplicable: the formulae of the family are not known, or code of the artefact does the counting.
        Unavailable: a value is neither stated nor a known default, or stands in a file that cannot be read.
    """
    for file in ("processor_config.json", *_FILES):
        if trouble := documents.trouble(file):
            raise Unavailable(trouble)
    videos, counts = video_settings(documents), []
    try:
        joint, kind = _classes(model, videos, processor)
        for frames, width, height in CLIPS:
            with suppress(Refused):
                counts.append(count_video_tokens(model, vision, videos, processor, frames, (width, height)))
    except UnknownFamily as reason:
        raise NotApplicable(str(reason)) from None
    except UnknownValue as reason:
        raise Unavailable(f"video tokens cannot be counted: {reason}") from None
    return VideoTokenCounts(processor_class=joint, video_processor_class=kind, counts=tuple(counts))


def video_settings(documents: Documents) -> Settings | None:
    """The video processor's settings, from the copy that transformers 5 takes; None where no file has any."""
    joint = documents.find("processor_config.json")
    if joint is not None and isinstance(joint.get("/video_processor"), dict):
        return Settings(document=joint, pointer="/video_processor")
    own = next((documents.find(name) for name in _FILES if documents.find(name) is not None), None)
    return Settings(document=own) if own is not None else None


def count_video_tokens(
    model: MultimodalModel,
    vision: VisionModel,
    videos: Settings | None,
    processor: Processor | None,
    frames: int,
    size: tuple[int, int],
) -> VideoTokenCount:
    """Placeholders and features of a video of that many frames, (width, height) in pixels.

    Raises:
        UnknownFamily: no formula is known for one of the classes.
        UnknownValue: a value is neither stated nor a known default.
        Refused: the video processor takes no such video.
    """
    if frames < 1:
        raise Refused("there are no frames")
    name, kind = _classes(model, videos, processor)
    joint, maker = JOINTS[name], VIDEOS[kind]
    settings = Values(processor.settings if processor is not None else None, name, joint.defaults)
    made_by = Values(videos, kind, maker.defaults, imposed=joint.imposed)
    width, height = size
    made = maker.make(made_by, frames, (height, width))
    return VideoTokenCount(
        frames=frames,
        width=width,
        height=height,
        pixels=made.pixels,
        steps=made.steps,
        placeholders=_placeholders(joint, settings, made_by, made),
        features=_features(model, vision, made),
    )


def _classes(model: MultimodalModel, videos: Settings | None, processor: Processor | None) -> tuple[str, str]:
    model_type = model.config.model_type or ""
    if model_type not in MODELS:
        raise UnknownFamily(f"no formula for video tokens is known for {model_type or 'this model'}")
    if model.remote_code or model.external_tower is not None:
        raise UnknownFamily("other code than transformers' own counts this model's video tokens")
    usual, kind = USUAL[model_type]
    stated = processor.processor_class if processor is not None else None
    stated = stated or (videos.read("processor_class", str) if videos is not None else None)
    named = videos.read("video_processor_type", str) if videos is not None else None
    name, kind = stated.value if stated else usual, named.value if named else kind
    for unknown in (n for n, known in ((name, JOINTS), (kind, VIDEOS)) if n not in known):
        raise UnknownFamily(f"no formula for video tokens is known for {unknown}")
    return name, kind


def _placeholders(joint: JointClass, settings: Values, videos: Values, made: Video) -> Side:
    try:
        count, arithmetic = joint.count(settings, videos, made)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=settings.used + videos.used)
    return Side(count=count, arithmetic=arithmetic, used=settings.used + videos.used)


def _features(model: MultimodalModel, vision: VisionModel, made: Video) -> Side:
    config = model.config
    kind = MODELS[config.model_type or ""]
    top = Values(Settings(document=config.document), f"the configuration class of {config.model_type}", kind.defaults)
    reader = VisionValues(vision, config.document)
    try:
        count, arithmetic = kind.count(Model(top, reader, vision.model_type), made)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=reader.used + top.used)
    return Side(count=count, arithmetic=arithmetic, used=reader.used + top.used)
