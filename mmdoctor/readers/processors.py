"""Image, audio and joint processors and chat templates: which file and which section of it a loader takes.

transformers 5.23: a section of processor_config.json wins over the file of its own (image_processing_base.py,
`get_image_processor_dict`; feature_extraction_utils.py, `get_feature_extractor_dict`). transformers 4.57 takes
preprocessor_config.json first. Both copies are kept where both exist.
"""

import re
from collections.abc import Iterator, Mapping

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents, JsonDocument, escape
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import (
    AudioProcessor,
    ChatTemplate,
    ChatTemplates,
    ImageProcessor,
    Processor,
    ProcessorFiles,
    Settings,
)
from mmdoctor.location import Location, Reading
from mmdoctor.readers import content
from mmdoctor.readers.vocabulary import vocabulary_files

PREPROCESSOR, PROCESSOR, VIDEO = "preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"

FILES = frozenset(
    {PREPROCESSOR, PROCESSOR, VIDEO, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}
    | {"chat_template.json", "chat_template.jinja", "merges.txt"}
)
"""Files beside the vocabulary that processors and tokenizers are loaded from."""

_SOUND = frozenset({"sampling_rate", "num_mel_bins", "n_fft", "hop_length", "mel_filters", "audio_compression_rate"})
"""Settings that only feature extractors for sound have."""
_SIGHT = frozenset({"image_mean", "image_std", "do_resize", "do_rescale", "do_center_crop", "crop_size", "resample"})
"""Settings that only image processors have."""
_SHORTEST_EDGE = re.compile(
    r"(Bit|BridgeTower|Chameleon|ChineseCLIP|CLIP|ConvNext|Idefics2|Levit|Llava|MobileNet|MobileViT|PoolFormer"
    r"|Siglip|TextNet|Tvp|VideoLlava|VideoMAE|Vilt|Vivit)(Next|Onevision|V1|V2)?(Image|Video)?(Processor|FeatureExt)"
)
"""Classes with `default_to_square = False` (transformers 5.23): an int `size` is their shortest edge."""
MAX_TEMPLATE_BYTES = 4 * 2**20
"""Bytes of one chat template; real ones stay below 50 kB."""


def image_processor(documents: Documents) -> ImageProcessor:
    """The image processor's settings, from the copy that transformers 5 takes.

    Raises:
        NotApplicable: no file has settings for images.
        Unavailable: the file is there and cannot be parsed.
    """
    found = tuple(_image_settings(documents))
    if not found:
        raise _absence(documents, "no file has settings for images")
    settings = found[0]
    return ImageProcessor(
        settings=settings,
        type=settings.read("image_processor_type", str) or settings.read("feature_extractor_type", str),
        others=found[1:],
        patch_size=_edge(settings, "patch_size"),
        merge_size=settings.read("merge_size", int) or settings.read("spatial_merge_size", int),
        temporal_patch_size=settings.read("temporal_patch_size", int),
        size=_size(settings, "size"),
        crop_size=_size(settings, "crop_size"),
    )


def audio_processor(documents: Documents) -> AudioProcessor:
    """The feature extractor's settings for sound.

    Raises:
        NotApplicable: no file has settings for sound.
        Unavailable: the file is there and cannot be parsed.
    """
    found = tuple(_audio_settings(documents))
    if not found:
        raise _absence(documents, "no file has settings for sound")
    settings = found[0]
    return AudioProcessor(
        settings=settings,
        others=found[1:],
        type=settings.read("feature_extractor_type", str) or settings.read("audio_processor_type", str),
        feature_size=settings.read("feature_size", int) or settings.read("num_mel_bins", int),
        sampling_rate=settings.read("sampling_rate", int),
    )


def processor(documents: Documents) -> Processor:
    """The settings of the class that joins tokenizer and image or audio processor.

    Raises:
        NotApplicable: there is no processor_config.json.
        Unavailable: it is there and cannot be parsed.
    """
    document = documents.find(PROCESSOR)
    if document is None:
        raise _absence(documents, f"there is no {PROCESSOR}", PROCESSOR)
    settings = Settings(document=document)
    return Processor(settings=settings, processor_class=settings.read("processor_class", str))


def processor_files(source: Source, documents: Documents) -> ProcessorFiles:
    """Which files of processor and tokenizer there are."""
    vocabularies = tuple(entry.path for entry in vocabulary_files(source))
    present = {entry.path for entry in source.top() if entry.path in FILES or entry.name.endswith(".jinja")}
    joint = documents.find(PROCESSOR)
    return ProcessorFiles(
        present=tuple(sorted(present | set(vocabularies))),
        tokenizer=vocabularies,
        usable=tuple(e.path for e in source.top() if e.path in present | set(vocabularies) and content.usable(e)),
        nested_image_processor=_has(joint, "image_processor"),
        nested_feature_extractor=_has(joint, "feature_extractor") or _has(joint, "audio_processor"),
        nested_video_processor=_has(joint, "video_processor"),
    )


def _has(document: JsonDocument | None, key: str) -> bool:
    return document is not None and isinstance(document.get(f"/{key}"), dict)


def _image_settings(documents: Documents) -> Iterator[Settings]:
    joint, own = documents.find(PROCESSOR), documents.find(PREPROCESSOR)
    if joint is not None and _has(joint, "image_processor"):
        yield Settings(document=joint, pointer="/image_processor")
    if own is not None:
        # Some remote-code processors (Ming, Phi-4) keep image and sound in one file of sections.
        pointer = "/image_processor" if _has(own, "image_processor") else ""
        settings = Settings(document=own, pointer=pointer)
        if pointer or _is_for_images(settings):
            yield settings


def _audio_settings(documents: Documents) -> Iterator[Settings]:
    joint, own = documents.find(PROCESSOR), documents.find(PREPROCESSOR)
    for document in (joint, own):
        for key in ("feature_extractor", "audio_processor"):
            if document is not None and _has(document, key):
                yield Settings(document=document, pointer=f"/{key}")
    if own is not None and _is_for_sound(Settings(document=own)):
        yield Settings(document=own)


def _is_for_sound(settings: Settings) -> bool:
    kind = settings.get("feature_extractor_type") or settings.get("audio_processor_type")
    if isinstance(kind, str) and "Audio" in kind:
        return True
    return any(settings.get(key) is not None for key in _SOUND)


def _is_for_images(settings: Settings) -> bool:
    """An own type, or settings for images; CLIPFeatureExtractor and its kin are the old names of image processors."""
    if "image_processor_type" in settings or any(key in settings for key in _SIGHT):
        return True
    return not _is_for_sound(settings)


def _absence(documents: Documents, reason: str, *files: str) -> NotApplicable | Unavailable:
    for broken in documents.broken:
        if broken.file in (files or (PREPROCESSOR, PROCESSOR)):
            return Unavailable(f"{broken.file} cannot be parsed: {broken.reason}")
    return NotApplicable(reason)


def _edge(settings: Settings, key: str) -> Reading[int] | None:
    """Pixels along one edge, from an int, [14, 14] or {"height": 14, "width": 14}; None where the edges differ."""
    value = settings.get(key)
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")]
    edges = value if isinstance(value, list) else [value]
    first = edges[0] if edges else None
    if not isinstance(first, int) or isinstance(first, bool) or any(edge != first for edge in edges):
        return None
    return Reading(first, settings.at(key))


def _size(settings: Settings, key: str) -> Mapping[str, int]:
    """A size with its keys; an int and a list of two are spelled out as the class would.

    transformers 5.23, image_processing_utils.py `get_size_dict`: an int is a square, or the shortest edge where the
    class has `default_to_square = False`; a list is height and width; `crop_size` is always a square.
    """
    value = settings.get(key)
    if isinstance(value, dict):
        return {str(k): v for k, v in value.items() if isinstance(v, int) and not isinstance(v, bool)}
    if isinstance(value, int) and not isinstance(value, bool):
        kind = settings.get("image_processor_type") or settings.get("feature_extractor_type")
        shortest = key == "size" and isinstance(kind, str) and _SHORTEST_EDGE.match(kind)
        return {"shortest_edge": value} if shortest else {"height": value, "width": value}
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return {"height": value[0], "width": value[1]}
    return {}


def chat_templates(source: Source, documents: Documents) -> ChatTemplates:
    """Every copy of the chat template, the one that transformers 5.23 takes first.

    processing_utils.py `get_processor_dict`: processor_config.json's own, else chat_template.json, else the files
    chat_template.jinja and additional_chat_templates/*.jinja; tokenization_utils_base.py `_from_pretrained`: the files,
    else tokenizer_config.json. (In 4.57 the two JSON files of the processor change places with each other's.)
    """
    copies = [
        *_in_document(documents.find(PROCESSOR)),
        *_in_document(documents.find("chat_template.json")),
        *_in_files(source),
        *_in_document(documents.find("tokenizer_config.json")),
    ]
    return ChatTemplates(copies=tuple(copies))


def _in_document(document: JsonDocument | None) -> Iterator[ChatTemplate]:
    value = document.get("/chat_template") if document is not None else None
    if document is None or value is None:
        return
    if isinstance(value, str):
        yield ChatTemplate(at=document.at("/chat_template"), text=value)
    for name, text, pointer in _named_templates(value):
        yield ChatTemplate(at=document.at(f"/chat_template{pointer}"), text=text, name=name)


def _named_templates(value: object) -> Iterator[tuple[str, str, str]]:
    """Sets of templates: `[{"name": ..., "template": ...}]`, or an object of them."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict) and isinstance(item.get("template"), str):
                yield str(item.get("name", "default")), item["template"], f"/{index}/template"
    elif isinstance(value, dict):
        yield from ((str(k), v, f"/{escape(str(k))}") for k, v in value.items() if isinstance(v, str))


def _in_files(source: Source) -> Iterator[ChatTemplate]:
    for entry in source.files:
        default = entry.path == "chat_template.jinja"
        if not (default or (entry.folder == "additional_chat_templates" and entry.name.endswith(".jinja"))):
            continue
        if content.usable(entry):
            text = content.read(source, entry, MAX_TEMPLATE_BYTES).decode("utf-8", "replace")
            name = "default" if default else entry.name.removesuffix(".jinja")
            yield ChatTemplate(at=Location(file=entry.path), text=text, name=name)
