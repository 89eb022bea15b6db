"""The JSON files of the Hugging Face layout that are small enough to be read whole, and config.json among them."""

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import BrokenDocument, Documents, JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.source import FileEntry, Source
from mmdoctor.readers import content, json_text

NAMES = frozenset(
    {"config.json", "generation_config.json", "params.json", "model_index.json", "modules.json"}
    | {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json"}
    | {"preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json"}
    | {"audio_tokenizer_config.json", "feature_extractor_config.json", "image_processor_config.json"}
    | {"adapter_config.json", "quantize_config.json", "quantization_config.json", "quant_config.json"}
    | {"hf_quant_config.json", "open_clip_config.json", "config_sentence_transformers.json"}
)
"""File names that loaders know. tokenizer.json, vocab.json and the indexes are large and have readers of their own."""

MAX_VALUES_TOGETHER = 1_000_000
"""Containers (which weigh five values) and values of all documents of an artefact."""


def documents(source: Source) -> Documents:
    """The configuration files of the top level; those that cannot be parsed are listed with the reason."""
    parsed: dict[str, JsonDocument] = {}
    broken: list[BrokenDocument] = []
    budget = MAX_VALUES_TOGETHER
    for entry in source.top():
        if entry.path not in NAMES:
            continue
        if not content.usable(entry):
            reason = str(entry.problem or f"it is a stand-in ({entry.kind})")
            broken.append(BrokenDocument(file=entry.path, reason=reason, unopened=True))
            continue
        try:
            data = content.read(source, entry, json_text.MAX_BYTES)
            budget -= _weight(data)
            parsed[entry.path] = _document(data, entry, budget)
        except Unavailable as answer:
            broken.append(BrokenDocument(file=entry.path, reason=str(answer).removeprefix(f"{entry.path} ")))
        except json_text.BrokenTextError as error:
            broken.append(error.broken)
    return Documents(by_file=parsed, broken=tuple(broken))


def _document(data: bytes, entry: FileEntry, budget: int) -> JsonDocument:
    if budget < 0:
        reason = f"the configuration files together hold more than {MAX_VALUES_TOGETHER:,} values"
        raise json_text.BrokenTextError(BrokenDocument(file=entry.path, reason=reason))
    document = json_text.document(data, entry.path)
    if not isinstance(document.value, dict) and entry.path != "modules.json":
        reason = f"it holds {_in_words(document.value)}, and loaders expect an object"
        raise json_text.BrokenTextError(BrokenDocument(file=entry.path, reason=reason, line=1, column=1))
    return document


def model_config(documents: Documents) -> ModelConfig:
    """config.json with its two names of the model: family and classes.

    Raises:
        NotApplicable: there is no config.json.
        Unavailable: it is there and cannot be parsed.
    """
    document = documents.find("config.json")
    if document is None:
        for broken in documents.broken:
            if broken.file == "config.json":
                raise Unavailable(f"config.json cannot be parsed: {broken.reason}")
        raise NotApplicable("there is no config.json")
    model_type = document.get("/model_type")
    named = document.get("/architectures")
    version = document.get("/transformers_version")
    return ModelConfig(
        document=document,
        model_type=model_type if isinstance(model_type, str) and model_type else None,
        architectures=tuple(a for a in named if isinstance(a, str)) if isinstance(named, list) else (),
        transformers_version=version if isinstance(version, str) else None,
    )


def _weight(data: bytes) -> int:
    containers, values = json_text.structures(data)
    return 5 * containers + values


def _in_words(value: object) -> str:
    if value is None:
        return "null"
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), type(value).__name__)
