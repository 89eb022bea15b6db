"""Tokens of a sound, counted twice: as the processor writes placeholders, and as the model makes features.

As with images, three things are read apart: the feature extractor's settings give the frames, the processor's the
number of placeholders, config.json the number of features.
"""

from contextlib import suppress

from mmdoctor.architectures.audio_tokens import features as models
from mmdoctor.architectures.audio_tokens import frames as extractors
from mmdoctor.architectures.audio_tokens import placeholders as processors
from mmdoctor.architectures.audio_tokens.families import USUAL
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue, Values
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.audio_tokens import AudioTokenCount, AudioTokenCounts, Frames
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.image_tokens import Side
from mmdoctor.facts.model import AudioModel, MultimodalModel
from mmdoctor.facts.tokenizer import AudioProcessor, Processor, Settings
from mmdoctor.location import Reading

__all__ = ["Refused", "UnknownFamily", "UnknownValue", "audio_token_counts", "classes", "count_audio_tokens"]

SECONDS = (1.0, 10.0, 30.0, 60.0)
"""Lengths of the sounds that are counted: a word, a sentence, one window, two."""


def audio_token_counts(
    model: MultimodalModel,
    audio: AudioModel,
    ears: AudioProcessor,
    processor: Processor | None,
    documents: Documents | None = None,
) -> AudioTokenCounts:
    """Both counts for a few sounds.

    Raises:
        NotApplicable: the formulae of the family are not known, or code of the artefact does the counting.
        Unavailable: a value is neither stated nor a known default, or stands in a file that cannot be read.
    """
    if documents is not None and (trouble := documents.trouble("processor_config.json")):
        raise Unavailable(trouble)
    try:
        name, kind = classes(model, ears, processor)
        rate = _settings(ears, kind).integer("sampling_rate")
        counts = []
        for seconds in SECONDS:
            with suppress(Refused):
                counts.append(count_audio_tokens(model, audio, ears, processor, int(seconds * rate)))
    except UnknownFamily as reason:
        raise NotApplicable(str(reason)) from None
    except UnknownValue as reason:
        raise Unavailable(f"audio tokens cannot be counted: {reason}") from None
    cut = [c.frames.taken / rate for c in counts if c.frames.taken < c.frames.samples]
    return AudioTokenCounts(
        processor_class=name,
        extractor_class=kind,
        sampling_rate=ears.sampling_rate or Reading(rate, ears.settings.at()),
        counts=tuple(counts),
        longest=min(cut, default=None),
    )


def count_audio_tokens(
    model: MultimodalModel, audio: AudioModel, ears: AudioProcessor, processor: Processor | None, samples: int
) -> AudioTokenCount:
    """Placeholders and features of one sound of that many samples.

    Raises:
        UnknownFamily: no formula is known for one of the classes.
        UnknownValue: a value is neither stated nor a known default.
        Refused: the feature extractor takes no sound of that length.
    """
    if samples < 1:
        raise Refused("there is no sound")
    name, kind = classes(model, ears, processor)
    values = _settings(ears, kind)
    joint = processors.CLASSES[name] if name is not None else None
    settings = Values(
        processor.settings if processor is not None else None, name or "", joint.defaults if joint else {}
    )
    call = joint.call(settings) if joint is not None else extractors.Call()
    made = extractors.CLASSES[kind].frames(values, samples, call)
    return AudioTokenCount(
        seconds=samples / values.integer("sampling_rate"),
        frames=made,
        placeholders=_placeholders(joint, settings, values, made) if joint is not None else None,
        features=_features(model, audio, made),
    )


def classes(model: MultimodalModel, ears: AudioProcessor, processor: Processor | None) -> tuple[str | None, str]:
    """(Processor class, feature extractor class): as stated, else as the model type usually has them.

    The first is None where the text holds no placeholders.

    Raises:
        UnknownFamily: no formula is known for one of them.
    """
    model_type = model.config.model_type or ""
    if model_type not in models.CLASSES:
        raise UnknownFamily(f"no formula for audio tokens is known for {model_type or 'this model'}")
    if model.remote_code:
        raise UnknownFamily("other code than transformers' own counts this model's audio tokens")
    usual, usual_extractor = USUAL[model_type]
    kind = ears.type.value if ears.type is not None else usual_extractor
    if kind not in extractors.CLASSES:
        raise UnknownFamily(f"no formula for audio tokens is known for {kind}")
    if usual is None:
        return None, kind
    stated = processor.processor_class if processor is not None else None
    stated = stated or ears.settings.read("processor_class", str)
    name = stated.value if stated is not None else usual
    if name not in processors.CLASSES:
        raise UnknownFamily(f"no formula for audio tokens is known for {name}")
    return name, kind


def _settings(ears: AudioProcessor, kind: str) -> Values:
    return Values(ears.settings, kind, extractors.CLASSES[kind].defaults)


def _placeholders(joint: processors.ProcessorClass, settings: Values, ears: Values, made: Frames) -> Side:
    try:
        count, arithmetic = joint.count(settings, made)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=settings.used + ears.used)
    return Side(count=count, arithmetic=arithmetic, used=settings.used + ears.used)


def _features(model: MultimodalModel, audio: AudioModel, made: Frames) -> Side:
    document, owner = model.config.document, f"the configuration class of {model.config.model_type}"
    kind = models.CLASSES[model.config.model_type or ""]
    top = Values(Settings(document=document), owner, kind.top)
    section = Settings(document=document, pointer=audio.section)
    prefix = audio.section.strip("/").replace("/", ".")
    tower = Values(section, owner, kind.tower, prefix=f"{prefix}." if prefix else "")
    try:
        count, arithmetic = kind.count(top, tower, made)
    except Refused as refusal:
        return Side(count=None, arithmetic=str(refusal), used=top.used + tower.used)
    return Side(count=count, arithmetic=arithmetic, used=top.used + tower.used)
