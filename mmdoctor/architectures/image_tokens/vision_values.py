"""The vision tower's values, from the facts where those have them and else from its section."""

from collections.abc import Mapping
from typing import Any

from mmdoctor.architectures.image_tokens.values import Values
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.model import VisionModel
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.location import Reading

_DEFAULTS = {"max_num_tiles": 4, "pixel_shuffle_ratio": 0.5}
"""configuration_mllama.py, MllamaVisionConfig, and configuration_llama4.py, Llama4VisionConfig."""


class VisionValues(Values):
    """Reads the vision section under the normalised names of `VisionModel`."""

    def __init__(self, vision: VisionModel, document: JsonDocument, defaults: Mapping[str, Any] | None = None) -> None:
        owner = f"the configuration class of {vision.model_type or 'the vision tower'}"
        section = vision.section.strip("/").replace("/", ".")
        self._key = f"{section}." if section else ""
        super().__init__(
            Settings(document=document, pointer=vision.section),
            owner,
            {**_DEFAULTS, **(defaults or {})},
            prefix=self._key,
        )
        self._vision = vision

    def get(self, key: str) -> Any:
        """The normalised value, or the one that stands in the section under this key."""
        reading = getattr(self._vision, key, None)
        if not isinstance(reading, Reading):
            return super().get(key)
        default = self.owner if key in self._vision.by_default else None
        self.note(Used(f"{self._key}{key}", reading.value, reading.at, default))
        return reading.value
