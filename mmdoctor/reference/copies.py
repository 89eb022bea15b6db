"""Copies of the reference model that somebody deploys: what they must hold, and where they differ from the bundled one.

Needs neither torch nor numpy.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mmdoctor.engine import NotApplicable
from mmdoctor.facts.checkpoint import Checkpoint
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.model import ModelConfig
from mmdoctor.facts.reference import ReferenceFiles, ReferenceLayout, ReferenceSetting
from mmdoctor.facts.tokenizer import ImageProcessor, TokenizerFile
from mmdoctor.location import Location
from mmdoctor.reference import KINDS, weights_of
from mmdoctor.reference.config import FusionKind, ReferenceConfig
from mmdoctor.reference.layout import shapes_of

MODEL_TYPE = "mmdoctor_reference"

_SAME = 0.9
"""Share of a bundled model's tensors, in name and shape, from which a file without a configuration is a copy of it."""

_PIXELS = ("do_resize", "size", "resample", "do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std")
"""Settings that decide which numbers a picture becomes."""


def reference_layout(config: ModelConfig | None, checkpoint: Checkpoint) -> ReferenceLayout:
    """What a copy of the reference model must hold: by its configuration, or without one like the bundled ones.

    Raises:
        NotApplicable: this is no copy of the reference model, or its weights are packed.
    """
    if config is not None:
        _own(config)
        if config.document.get("/quantization_config") is not None:
            raise NotApplicable("packed weights have other names and shapes than the configuration makes")
        try:
            stated = ReferenceConfig.from_dict(config.document.value)
        except ValueError as error:
            sentence, _, path = str(error).partition(" - at `$")
            at = config.document.at(path.rstrip("`").replace(".", "/"))
            return ReferenceLayout(shapes={}, at=at, contradiction=sentence)
        return ReferenceLayout(shapes=dict(shapes_of(stated)), at=config.document.at())
    observed = {name: tensor.shape for name, tensor in checkpoint.tensors.items()}
    if any(name.startswith("unified.") for name in observed):  # asked first, since most models have none
        for kind in KINDS:
            shapes = _bundled_shapes(kind)
            if sum(observed.get(name) == shape for name, shape in shapes.items()) >= _SAME * len(shapes):
                return ReferenceLayout(shapes=shapes, at=Location(file=checkpoint.files[0].path))
    raise NotApplicable("only for copies of the reference model")


def reference_files(
    config: ModelConfig, documents: Documents, image: ImageProcessor | None, tokenizer: TokenizerFile | None
) -> ReferenceFiles:
    """Settings and words of a copy that are not those the model was trained with.

    Raises:
        NotApplicable: this is no copy of the reference model.
    """
    _own(config)
    found = [*_config_settings(config.document)]
    if image is not None:
        trained = _bundled("preprocessor_config.json")
        for key in _PIXELS:
            observed = image.settings.get(key)
            if observed is not None and not _equal(observed, trained[key]):
                found.append(_setting(key, observed, trained[key], image.settings.at(key)))
    document = documents.find("generation_config.json")
    if document is not None:
        found += _token_ids(document, _bundled("generation_config.json"))
    document = documents.find("tokenizer_config.json")
    if document is not None:
        found += _named_tokens(document)
    if tokenizer is not None and tokenizer.broken is None and tokenizer.complete:
        found += _words(tokenizer)
    return ReferenceFiles(differences=tuple(found))


def _own(config: ModelConfig) -> None:
    if config.model_type != MODEL_TYPE:
        raise NotApplicable("only for copies of the reference model")


@cache
def _bundled(file: str, kind: FusionKind = "hybrid") -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads((weights_of(kind) / file).read_text(encoding="utf-8"))
    return content


@cache
def _bundled_shapes(kind: FusionKind) -> Mapping[str, tuple[int, ...]]:
    return dict(shapes_of(ReferenceConfig.from_dict(dict(_bundled("config.json", kind)))))


def _config_settings(document: JsonDocument) -> Iterator[ReferenceSetting]:
    trained = _bundled("config.json")
    yield from _token_ids(document, trained)
    answers = document.get("/id2label")
    if isinstance(answers, dict) and answers != trained["id2label"]:
        for index, answer in trained["id2label"].items():
            if answers.get(index) != answer:
                yield _setting(f"id2label {index}", answers.get(index), answer, document.at(f"/id2label/{index}"))


def _token_ids(document: JsonDocument, trained: Mapping[str, Any]) -> Iterator[ReferenceSetting]:
    for key, expected in trained.items():
        observed = document.get(f"/{key}")
        if key.endswith("_token_id") and observed not in (None, expected, [expected]):
            yield _setting(key, observed, expected, document.at(f"/{key}"))


def _named_tokens(document: JsonDocument) -> Iterator[ReferenceSetting]:
    for key, expected in _bundled("tokenizer_config.json").items():
        observed = document.get(f"/{key}")
        if isinstance(observed, dict):
            observed = observed.get("content")
        if key.endswith("_token") and isinstance(observed, str) and observed != expected:
            yield _setting(key, observed, expected, document.at(f"/{key}"))


def _words(tokenizer: TokenizerFile) -> Iterator[ReferenceSetting]:
    trained: Mapping[str, int] = _bundled("tokenizer.json")["model"]["vocab"]
    at = Location(file=tokenizer.file)
    for word in sorted(trained.keys() | tokenizer.vocabulary.keys()):
        if tokenizer.vocabulary.get(word) != trained.get(word):
            yield _setting(f"id of {word!r}", tokenizer.vocabulary.get(word), trained.get(word), at)


def _setting(name: str, observed: object, expected: object, at: Location) -> ReferenceSetting:
    return ReferenceSetting(name=name, observed=_plain(observed), expected=_plain(expected), at=at)


def _plain(value: object) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _equal(observed: object, expected: object) -> bool:
    if isinstance(expected, list):
        same_length = isinstance(observed, list) and len(observed) == len(expected)
        return same_length and all(map(_equal, observed, expected))  # type: ignore[call-overload]  # a list by then
    if isinstance(expected, dict):
        return isinstance(observed, dict) and all(_equal(observed.get(key), value) for key, value in expected.items())
    if isinstance(expected, float) and isinstance(observed, int | float):
        return math.isclose(observed, expected, rel_tol=1e-6)
    return observed == expected
