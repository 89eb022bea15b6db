"""Write mmdoctor/architectures/library_classes_4.json (or _5): names of processor and tokenizer classes of a release.

Run it with the last release of each line: `python tools/library_classes.py > out.json`. A model type has its classes of
all backends, slow ones first; `classes` are names that no mapping has and that the library knows nevertheless.
"""

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import transformers
from transformers.models.auto import (
    configuration_auto,
    feature_extraction_auto,
    image_processing_auto,
    processing_auto,
    tokenization_auto,
    video_processing_auto,
)

_MAPPINGS = {
    "image_processor": image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES,
    "video_processor": video_processing_auto.VIDEO_PROCESSOR_MAPPING_NAMES,
    "feature_extractor": feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING_NAMES,
    "processor": processing_auto.PROCESSOR_MAPPING_NAMES,
    "tokenizer": tokenization_auto.TOKENIZER_MAPPING_NAMES,
}
_KIND = re.compile(r"\w*(Processor|ProcessorFast|ProcessorPil|FeatureExtractor|Tokenizer|TokenizerFast|Backend)")
_TAKEN = re.compile(r"(?:self\.)?tokenizer\.(\w+_token(?:_id)?)")
_OTHER = re.compile(r"^Auto|^TF|^Flax|LogitsProcessor")


def _names(value: Any) -> list[str]:
    """Class names of a mapping's value: a name, a pair of slow and fast, or a mapping of backends."""
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    return [name for name in values if isinstance(name, str)]


def _known() -> Iterator[str]:
    """Names that `getattr(transformers, name)` finds, as the AutoClasses' last resort does."""
    for name in dir(transformers):
        if _KIND.fullmatch(name) and not _OTHER.search(name):
            yield name


def _tokenizer_attributes() -> Iterator[tuple[str, list[str]]]:
    """Model types with the token attributes that their processor takes from its tokenizer without asking for them."""
    for model_type, name in _MAPPINGS["processor"].items():
        try:
            source = inspect.getsource(processing_auto.processor_class_from_name(name).__init__)
        except (ImportError, AttributeError, TypeError, OSError):
            continue
        (function,) = ast.parse(textwrap.dedent(source)).body
        plain = [step.value for step in function.body if isinstance(step, ast.Assign)]
        taken = {m[1] for value in plain if (m := _TAKEN.fullmatch(ast.unparse(value)))}
        if taken:
            yield model_type, sorted({attribute.removesuffix("_id") for attribute in taken})


def main() -> None:
    """Print the table of the transformers at hand."""
    mapped = {kind: {t: names for t, v in m.items() if (names := _names(v))} for kind, m in _MAPPINGS.items()}
    seen = {name for mapping in mapped.values() for names in mapping.values() for name in names}
    table = {
        "version": transformers.__version__,
        "model_types": sorted(configuration_auto.CONFIG_MAPPING_NAMES),
        **{kind: dict(sorted(mapping.items())) for kind, mapping in mapped.items()},
        "tokenizer_attributes": dict(_tokenizer_attributes()),
        "classes": sorted(set(_known()) - seen),
    }
    json.dump(table, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
