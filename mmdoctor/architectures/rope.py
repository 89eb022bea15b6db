"""Rotary position embeddings: which sections of config.json set them, and how transformers 5 and 4 read the settings.

transformers 5.23, modeling_rope_utils.py, RotaryEmbeddingConfigMixin, and `convert_rope_params_to_dict` of
models/*/configuration_*.py; 4.57, models/*/configuration_*.py. What the classes take for absent settings stands in
rope_defaults.json, written by tools/rope_defaults.py.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from mmdoctor.architectures.spelling import TEXT_KEYS, ClassDefaults, SectionReader, class_defaults
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.documents import JsonDocument, escape
from mmdoctor.facts.image_tokens import Used
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.rope import RopeSection, RopeSet, RotaryEmbeddings

THETAS: Mapping[str, tuple[str, ...]] = {
    "": ("rope_theta", "rotary_emb_base"),
    "full_attention": ("rope_theta", "global_rope_theta"),
    "sliding_attention": ("rope_local_base_freq", "local_rope_theta"),
}
"""Type of layers to the keys of transformers 4 for their base."""

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "axial": (),
    "proportional": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "yarn": ("factor",),
    "longrope": ("short_factor", "long_factor"),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
}
"""Kinds (ROPE_INIT_FUNCTIONS) and what they need (`_validate_..._rope_parameters`). transformers 5 takes
`max_position_embeddings` for an absent original length: of llama3 that is never right, of yarn it may be."""
_SINCE = {"llama3": "4.43", "longrope": "4.43", "yarn": "4.43", "proportional": "5", "axial": "5"}
_RENAMED: Mapping[str, Mapping[str, str]] = {
    **{name: {"su": "longrope", "yarn": "longrope"} for name in ("phi3", "phi4_multimodal")},
    **{name: {"mrope": "default"} for name in ("qwen2_vl_text", "qwen2_5_vl_text")},
}
"""Types whose configuration reads a kind as another."""
_MROPE: Mapping[str, tuple[int, int, int]] = {
    **dict.fromkeys(("qwen2_vl_text", "qwen2_5_vl_text", "qwen2_5_omni_text", "paddleocr_vl_text"), (16, 24, 24)),
    **dict.fromkeys(("qwen3_vl_text", "qwen3_vl_moe_text", "qwen3_omni_moe_text", "cosmos3_edge_text"), (24, 20, 20)),
    **dict.fromkeys(("glm4v_text", "glm4v_moe_text", "glm_ocr_text", "glm_image_text"), (8, 12, 12)),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5_moe_text"), (11, 11, 10)),
    "ernie4_5_vl_moe_text": (22, 22, 20),
}
"""`config.rope_parameters.get("mrope_section", ...)` of models/*/modeling_*.py."""
_INTERLEAVES = frozenset(name for name, parts in _MROPE.items() if parts in ((24, 20, 20), (11, 11, 10)))
_NEEDS_MROPE = frozenset({"qwen2_vl_text", "qwen2_5_vl_text", "glm4v_text", "glm4v_moe_text"})
"""`self.rope_scaling["mrope_section"]` in transformers 4.57."""
_NEEDS_SCALING = _NEEDS_MROPE | {"mllama_text_model", "qwen3_vl_text", "qwen3_vl_moe_text", "qwen3_omni_moe_text"}
"""`config.rope_scaling["rope_type"]` or `.get` without a look at None in transformers 4.57."""
_THREE_FIELDS = frozenset({"phi3", "phi4_multimodal"})
"""`_rope_scaling_validation` of transformers 4.57."""
_KNOW_ORIGINAL = frozenset({"phi3", "phi4_multimodal", "phimoe"})
"""Configurations with `original_max_position_embeddings` of their own."""

_KEYS = (
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "rope_local_base_freq",
    "global_rope_theta",
    "rotary_emb_base",
)
_DEPTH, _SECTIONS = 4, 64
"""Levels and number of sections that are looked at; published configurations have three levels and eight."""
_PARTIAL = ("partial_rotary_factor", "rotary_pct")


@cache
def rope_defaults() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """By model type, under `new` and `old`, what transformers 5.23 and 4.57.6 take for absent settings."""
    decoded: dict[str, dict[str, dict[str, Any]]] = msgspec.json.decode(
        (Path(__file__).parent / "rope_defaults.json").read_bytes()
    )
    return decoded


@cache
def _labels() -> frozenset[str]:
    """Types of layers that classes have settings for."""
    news = (entry.get("new", {}) for entry in rope_defaults().values())
    nested = (key for new in news for key, value in new.items() if isinstance(value, dict))
    return frozenset(nested) | {"full_attention", "sliding_attention", "chunked_attention", "linear_attention"}


def rotary_embeddings(model: MultimodalModel) -> RotaryEmbeddings:
    """Every section with rotary position embeddings.

    Raises:
        NotApplicable: there is none.
    """
    document = model.config.document
    found = [_section(document, pointer, kind) for pointer, kind in _places(document, model.config.model_type or "")]
    sections = tuple(section for section in found if section is not None)
    if not sections:
        raise NotApplicable("config.json sets no rotary position embeddings")
    return RotaryEmbeddings(sections=sections)


def _places(document: JsonDocument, model_type: str) -> Iterator[tuple[str, str]]:
    """(Pointer, model type) of every section, outermost first."""
    level = [("", _top(document, model_type))]
    seen = 0
    for _ in range(_DEPTH):
        below: list[tuple[str, str]] = []
        for pointer, kind in level:
            if seen >= _SECTIONS:
                return
            seen += 1
            yield pointer, kind
            section = document.get(pointer) if pointer else document.value
            parent = kind if pointer else model_type
            for key, value in section.items() if isinstance(section, dict) else ():
                if isinstance(value, dict) and key not in ("rope_parameters", "rope_scaling"):
                    below.append((f"{pointer}/{escape(str(key))}", _kind(str(key), value, parent, model_type)))
        level = below


def _top(document: JsonDocument, model_type: str) -> str:
    """The class that reads the top level: that of the text section where a composite model's is flat."""
    sections = class_defaults().get(model_type, ClassDefaults()).sections
    flat = document.get("/text_config") is None and document.get("/hidden_size") is not None
    return sections.get("text_config", model_type) if flat else model_type


def _kind(key: str, section: Mapping[str, Any], parent: str, top: str) -> str:
    """The class of a section: the one that it names, else the usual one of its parent."""
    usual = class_defaults().get(parent, ClassDefaults()).sections.get(key, "")
    stated = section.get("model_type")
    if not isinstance(stated, str) or stated in (parent, top):
        return usual
    return class_defaults().get(stated, ClassDefaults()).sections.get(key, stated)


def _section(document: JsonDocument, pointer: str, kind: str) -> RopeSection | None:
    section = document.get(pointer) if pointer else document.value
    if not isinstance(section, dict):
        return None
    defaults = rope_defaults().get(kind)
    stated = any(section.get(key) is not None for key in _KEYS)
    foreign = kind in class_defaults() and defaults is None  # a class that has no use for the keys
    heads = any(key in section for key in ("num_attention_heads", "hidden_size", "num_heads"))
    if foreign or not (stated or (defaults is not None and heads)):
        return None
    reader = SectionReader(document, pointer, TEXT_KEYS, kind)
    positions = reader.integer("max_position_embeddings")
    made = RopeSection(
        document=document,
        pointer=pointer,
        model_type=kind,
        known=bool(defaults and "new" in defaults),
        in_old=bool(defaults and "old" in defaults),
        old=(defaults or {}).get("old", {}),
        new=(defaults or {}).get("new", {}),
        usual_mrope=_MROPE.get(kind, ()),
        of_defaults=_of_defaults(section, kind),
        interleaves=kind in _INTERLEAVES,
        needs_mrope=kind in _NEEDS_MROPE,
        needs_scaling=kind in _NEEDS_SCALING,
        three_fields=kind in _THREE_FIELDS,
        original=kind in _KNOW_ORIGINAL,
        positions=positions.value if positions is not None else None,
    )
    return msgspec.structs.replace(made, sets=tuple(_sets(made, section, reader)))


def _of_defaults(section: Mapping[str, Any], kind: str) -> bool:
    defaults = class_defaults().get(kind, ClassDefaults()).defaults
    keys = [key for key in ("hidden_size", "num_attention_heads", "head_dim") if key in defaults]
    return len(keys) > 1 and all(section.get(key, defaults[key]) in (defaults[key], None) for key in keys)


def _sets(made: RopeSection, section: Mapping[str, Any], reader: SectionReader) -> Iterator[RopeSet]:
    scaling, settings = section.get("rope_scaling"), section.get("rope_parameters")
    here = made.pointer
    if made.nests:
        # gemma3, modernbert, olmo3 ...: rope_scaling goes into the settings of the full layers
        layers = settings if isinstance(settings, dict) and settings else {key: {} for key in made.new}
        for label, inner in layers.items():
            if label == "full_attention" and isinstance(scaling, dict):
                base = inner if isinstance(inner, dict) else {}
                yield _set(made, f"{here}/rope_scaling", True, label, base | scaling, reader)
            elif isinstance(inner, dict):
                at = f"{here}/rope_parameters/{escape(str(label))}" if settings else here
                yield _set(made, at, bool(settings), str(label), inner, reader)
        return
    use, at = (scaling, "rope_scaling") if scaling else (settings, "rope_parameters")
    if use and not isinstance(use, dict):
        return
    values = use or {}
    nested = {str(k): v for k, v in values.items() if isinstance(v, dict) and k in _labels()}
    for label, inner in nested.items():
        yield _set(made, f"{here}/{at}/{escape(label)}", True, label, inner, reader)
    if not nested:
        yield _set(made, f"{here}/{at}" if use else here, bool(use), "", values, reader)


def _set(
    made: RopeSection, at: str, stated: bool, layers: str, values: Mapping[str, Any], reader: SectionReader
) -> RopeSet:
    rotary, counted = _rotary(made, layers, values, reader)
    kind = values.get("rope_type", values.get("type", "default"))
    read_as = _RENAMED.get(made.model_type, {}).get(kind, kind) if isinstance(kind, str) else ""
    return RopeSet(
        at=at,
        stated=stated,
        layers=layers,
        values=values,
        kind=kind,
        read_as=read_as if read_as in _NEEDS else "",
        missing=tuple(key for key in _NEEDS.get(read_as, ()) if values.get(key) is None and not _beside(made, key)),
        since=_SINCE.get(read_as),
        # transformers 5 puts the original length into the settings before it renames the kind, and misses it after
        until="5" if kind == "su" and values.get("original_max_position_embeddings") is None else None,
        theta=_theta(made, at, layers, values),
        rotary=rotary,
        counted=counted,
    )


def _beside(made: RopeSection, key: str) -> bool:
    """The original length may stand beside the settings, where it goes before theirs (`standardize_rope_params`)."""
    return key == "original_max_position_embeddings" and made.get(key) is not None


def _theta(made: RopeSection, at: str, layers: str, values: Mapping[str, Any]) -> Used | None:
    """The base that transformers 5 takes: of the settings, else of the section, else its class's own."""
    if values.get("rope_theta") is not None:
        inside = f"{at}/rope_theta"
        return Used("rope_theta", values["rope_theta"], made.document.at(inside))
    for key in THETAS.get(layers, ("rope_theta",)):
        if made.get(key) is not None:
            return Used(key, made.get(key), made.document.at(f"{made.pointer}/{key}"))
    default = own(made.new, layers).get("rope_theta")
    if default is None:
        return None
    return Used("rope_theta", default, made.document.at(made.pointer), default_of=made.model_type)


def own(defaults: Mapping[str, Any], layers: str) -> Mapping[str, Any]:
    """The class's own settings for a type of layers."""
    inner = defaults.get(layers)
    return inner if isinstance(inner, dict) else {} if layers in defaults else defaults


def _rotary(made: RopeSection, layers: str, values: Mapping[str, Any], reader: SectionReader) -> tuple[int | None, str]:
    """Numbers of a head that are rotated, and how they were counted."""
    latent = made.get("qk_rope_head_dim")  # multi-head latent attention rotates a part of its own
    if isinstance(latent, int) and not isinstance(latent, bool):
        return latent, f"qk_rope_head_dim {latent}"
    head = reader.integer("head_dim")
    width, heads = reader.integer("hidden_size"), reader.integer("num_attention_heads")
    if made.get("global_head_dim") is not None:  # heads of two sizes
        return None, ""
    if head is None and (width is None or heads is None):
        return None, ""
    size = head.value if head is not None else width.value // heads.value if width and heads else 0
    stated = [values.get("partial_rotary_factor"), *(made.get(key) for key in _PARTIAL)]
    default = own(made.new, layers).get("partial_rotary_factor", 1.0)
    factor = next((value for value in stated if value is not None), default)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor <= 16:
        return None, ""
    return int(size * factor), f"{size} x {factor}" if factor != 1 else f"{size}"
