"""The many spellings of one setting, and how its value is read whether it is a number, a list or a dictionary."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

import msgspec

from mmdoctor.facts.documents import JsonDocument, escape
from mmdoctor.location import Reading

LARGEST = 2**40
"""Larger values of a setting are taken as nonsense."""

_DEPTH = 3
"""Levels of nesting that settings by layer have (`per_layer_config`, `block_configs`)."""
_LISTED = 4096
"""Longest list that is looked through for settings by layer."""

TEXT_KEYS: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "d_model", "n_embd", "dim", "n_embed", "embed_dim"),
    "intermediate_size": ("intermediate_size", "decoder_ffn_dim", "ffn_dim", "d_ff", "n_inner", "hidden_dim"),
    "num_hidden_layers": (
        ("num_hidden_layers", "decoder_layers", "num_decoder_layers", "n_layer", "n_layers", "num_layers")
    ),
    "num_attention_heads": ("num_attention_heads", "decoder_attention_heads", "n_head", "n_heads", "num_heads"),
    "num_key_value_heads": ("num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "head_dim": ("head_dim", "d_kv", "attention_head_dim", "kv_channels"),
    "vocab_size": ("vocab_size", "padded_vocab_size", "n_vocab"),
    "max_position_embeddings": (
        (
            "max_position_embeddings",
            "max_target_positions",
            "n_positions",
            "max_sequence_length",
            "max_seq_len",
            "seq_length",
            "n_ctx",
        )
    ),
    "encoder_layers": ("encoder_layers",),
    "num_nextn_predict_layers": ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers"),
    "num_kv_shared_layers": ("num_kv_shared_layers",),
}

VISION_KEYS: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("hidden_size", "embed_dim", "width", "d_model", "dim"),
    "intermediate_size": ("intermediate_size", "mlp_dim"),
    "num_hidden_layers": ("num_hidden_layers", "depth", "layers", "num_layers", "n_layers"),
    "num_attention_heads": ("num_attention_heads", "num_heads", "attention_heads", "heads", "n_heads"),
    "num_channels": ("num_channels", "in_channels", "in_chans"),
    "patch_size": ("patch_size", "spatial_patch_size"),
    "temporal_patch_size": ("temporal_patch_size",),
    "image_size": ("image_size", "img_size", "input_size"),
    "spatial_merge_size": ("spatial_merge_size",),
    "output_size": ("out_hidden_size", "vision_output_dim"),
    "head_dim": ("head_dim",),
    "num_positions": ("num_position_embeddings", "num_patches"),
    "num_register_tokens": ("num_register_tokens",),
}

AUDIO_KEYS: Mapping[str, tuple[str, ...]] = {
    "hidden_size": ("d_model", "hidden_size", "encoder_dim", "hidden_dim"),
    "num_hidden_layers": ("encoder_layers", "num_hidden_layers", "num_layers", "num_blocks"),
    "num_attention_heads": ("encoder_attention_heads", "num_attention_heads", "num_heads", "attention_heads"),
    "num_mel_bins": ("num_mel_bins", "n_mels", "input_feat_size"),
    "max_source_positions": ("max_source_positions", "n_ctx"),
}


class ClassDefaults(msgspec.Struct, frozen=True):
    """What the library's configuration class takes for absent keys."""

    defaults: Mapping[str, Any] = {}
    sections: Mapping[str, str] = {}
    """Key of a nested configuration to the model type it has unless it names another."""
    ties: tuple[bool | None, bool | None] = (None, None)
    """`tie_word_embeddings` when no file states it, in transformers 5.23 and 4.57; None where the class has none."""


@cache
def class_defaults() -> Mapping[str, ClassDefaults]:
    """Class defaults by model type, where transformers 4.57.6 and 5.23.0 have the same ones.

    Taken from the configuration classes' own fields; values that a class derives from others are left out.
    `tests/architectures/test_class_defaults.py` compares them with the installed library.
    """
    return msgspec.json.decode(
        (Path(__file__).parent / "class_defaults.json").read_bytes(), type=dict[str, ClassDefaults]
    )


class SectionReader:
    """Reads the settings of one section of config.json by their normalised names.

    Args:
        document: the configuration.
        pointer: JSON pointer of the section, empty for the top level.
        keys: normalised field to its spellings, best first.
        model_type: the class whose defaults hold for keys that are absent.
        guessed: nobody knows the family, so that two spellings with two values mean nothing.
    """

    def __init__(
        self,
        document: JsonDocument,
        pointer: str,
        keys: Mapping[str, tuple[str, ...]],
        model_type: str | None,
        *,
        guessed: bool = False,
    ) -> None:
        self.document = document
        self.pointer = pointer
        section = document.get(pointer) if pointer else document.value
        self.section: Mapping[Any, Any] = section if isinstance(section, dict) else {}
        self._keys = keys
        self.model_type = model_type
        self._guessed = guessed
        self._defaults = class_defaults().get(model_type or "", ClassDefaults()).defaults
        self.by_default: list[str] = []

    def integer(self, field: str) -> Reading[int] | None:
        """The setting as a positive whole number; of a square given as list or dictionary, its edge."""
        keys = self._keys.get(field, ())
        if self._guessed and len({edges_of(self.section[key]) for key in keys if key in self.section}) > 1:
            return None
        for key in keys:
            if key in self.section:
                edges = edges_of(self.section[key])
                if edges is None or edges[0] != edges[1]:
                    return None
                return Reading(edges[0], self.at(key))
        for key in keys:
            edges = edges_of(self._defaults.get(key))
            if edges is not None and edges[0] == edges[1]:
                self.by_default.append(field)
                return Reading(edges[0], self.document.at(self.pointer))
        return None

    def edges(self, field: str) -> tuple[int, int] | None:
        """(height, width) of a size in pixels, also where the two differ."""
        for source in (self.section, self._defaults):
            for key in self._keys.get(field, ()):
                if key in source:
                    return edges_of(source[key])
        return None

    def boolean(self, key: str) -> Reading[bool] | None:
        """A flag, if the section states it."""
        return self.document.read(f"{self.pointer}/{escape(key)}", bool)

    def matching(self, *fragments: str) -> tuple[int, ...]:
        """All whole numbers, single, in lists or layer by layer, of keys that contain one of the fragments."""
        found: dict[int, None] = {}
        places: list[tuple[str, object, int]] = [("", self.section, 0)]
        while places:
            key, value, depth = places.pop()
            if isinstance(value, dict) and depth < _DEPTH:
                places += [(str(k), v, depth + 1) for k, v in value.items()]
            elif isinstance(value, list) and len(value) <= _LISTED:
                places += [(key, v, depth) for v in value if not isinstance(v, list)]
            elif _is_size(value) and any(fragment in key for fragment in fragments):
                found[value] = None
        return tuple(sorted(found))

    def at(self, key: str) -> Any:
        """The place of a setting."""
        return self.document.at(f"{self.pointer}/{escape(key)}")


def edges_of(value: object) -> tuple[int, int] | None:
    """(height, width) of a size written as number, pair or dictionary; None when it is none of them."""
    if isinstance(value, dict):
        value = [value.get("height"), value.get("width")] if "height" in value else list(value.values())
    if isinstance(value, list):
        if len(value) not in (1, 2) or not all(_is_size(v) for v in value):
            return None
        return value[0], value[-1]
    return (value, value) if _is_size(value) else None


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST
