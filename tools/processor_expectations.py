"""Write mmdoctor/architectures/expectations.json: which preprocessing parts each model type's library classes load.

Run with the transformers whose mappings are wanted: `python tools/processor_expectations.py > out.json`.
Letters: i image processor, v video processor, a feature extractor for sound, t tokenizer.
"""

import json
import sys

import transformers
from transformers.models.auto import feature_extraction_auto, image_processing_auto, processing_auto

_LETTERS = {
    "image_processor": "i",
    "video_processor": "v",
    "feature_extractor": "a",
    "audio_processor": "a",
    "tokenizer": "t",
    "char_tokenizer": "t",
}


def _parts(class_name: str) -> str | None:
    """Letters of a processor class; None where it cannot be imported here."""
    try:
        cls = processing_auto.processor_class_from_name(class_name)
        attributes = cls.get_attributes() if hasattr(cls, "get_attributes") else cls.attributes
    except (ImportError, AttributeError):
        return None
    return "".join(sorted({_LETTERS[a] for a in attributes if a in _LETTERS})) or None


def main() -> None:
    """Print the table as JSON, model types under the letters they share."""
    needs = dict.fromkeys(image_processing_auto.IMAGE_PROCESSOR_MAPPING_NAMES, "i")
    needs |= dict.fromkeys(feature_extraction_auto.FEATURE_EXTRACTOR_MAPPING_NAMES, "a")
    for model_type, class_name in processing_auto.PROCESSOR_MAPPING_NAMES.items():
        letters = _parts(class_name)
        if letters:
            needs[model_type] = letters
        else:
            needs.pop(model_type, None)
    table: dict[str, list[str]] = {}
    for model_type, letters in sorted(needs.items()):
        table.setdefault(letters, []).append(model_type)
    json.dump({"source": f"transformers {transformers.__version__}", "types": table}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
