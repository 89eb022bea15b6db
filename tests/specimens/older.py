"""The same healthy model in the layout that most published folders have: transformers 4, before 4.56.

`older(specimens.build("qwen2_5_vl"), tmp_path / "old")` needs no old transformers. What changes on the way to 5.x:
preprocessor_config.json, video_preprocessor_config.json and chat_template.json of their own, `torch_dtype`,
`rope_theta` with `rope_scaling`, Qwen2-VL's text fields at the top level, special_tokens_map.json, and
`added_tokens_decoder`.
"""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.specimens import tensors as tensor_files

Config = dict[str, Any]

VERSION = "4.49.0"
FLAT = ("qwen2_vl", "qwen2_5_vl")
"""Families whose published config.json has no text_config."""

ROLES = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))


def older(source: Path, target: Path) -> Path:
    """A copy of the 5.x folder `source` in the older layout; returns `target`."""
    shutil.copytree(source, target)
    _write(target / "config.json", _config(_read(target / "config.json")))
    generation = target / "generation_config.json"
    if generation.exists():
        _write(generation, _read(generation) | {"transformers_version": VERSION})
    _untie(target)
    sees = _processor(target)
    if (target / "tokenizer.json").exists():
        _tokenizer(target, sees)
    return target


def _untie(folder: Path) -> None:
    """Where the levels disagree, transformers 4 goes by the text's and stores the head by itself."""
    config = _read(folder / "config.json")
    text = config.get("text_config", config)
    if not config.get("tie_word_embeddings") or text.get("tie_word_embeddings") is not False:
        return
    file = folder / "model.safetensors"
    tensors, metadata = tensor_files.read(file)
    embedding = next(name for name in tensors if name.endswith("embed_tokens.weight"))
    tensor_files.write(file, {"lm_head.weight": tensors[embedding], **tensors}, metadata)


def _read(file: Path) -> Config:
    return dict(json.loads(file.read_text(encoding="utf-8")))


def _write(file: Path, content: Config) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _config(config: Config) -> Config:
    config = _renamed(config) | {"transformers_version": VERSION}
    if config["model_type"] not in FLAT:
        return config
    text = config.pop("text_config")
    scaling = {"rope_scaling": {"type": "mrope", "mrope_section": text["rope_scaling"]["mrope_section"]}}
    return text | config | scaling


def _renamed(node: Config) -> Config:
    out: Config = {}
    for key, value in node.items():
        if key == "rope_parameters":
            out |= _rope(value)
        elif isinstance(value, dict):
            out[key] = _renamed(value)
        else:
            out["torch_dtype" if key == "dtype" else key] = value
    return out


def _rope(parameters: Config | None) -> Config:
    """`rope_theta` and what is left for `rope_scaling`."""
    if parameters is None or parameters.get("rope_type") == "axial":
        return {}  # two-dimensional towers had no such field
    if "full_attention" in parameters:  # Gemma 3: one for the windows, one for the rest
        local = parameters["sliding_attention"]["rope_theta"]
        return _rope(parameters["full_attention"]) | {"rope_local_base_freq": local}
    scaling = dict(parameters)
    out: Config = {"rope_theta": scaling.pop("rope_theta")}
    if "partial_rotary_factor" in scaling:
        out["partial_rotary_factor"] = scaling.pop("partial_rotary_factor")
    return out | {"rope_scaling": None if scaling == {"rope_type": "default"} else scaling}


def _processor(folder: Path) -> bool:
    """One file a part; whether there is a processor at all."""
    file = folder / "processor_config.json"
    if not file.exists():
        return False
    content = _read(file)
    named = {"processor_class": content["processor_class"]}
    seen: Config = {}
    for part in ("image_processor", "feature_extractor"):
        seen |= content.pop(part, {})
    if seen:
        _write(folder / "preprocessor_config.json", seen | named)
    video = content.pop("video_processor", None)
    if video is not None:
        _write(folder / "video_preprocessor_config.json", video | named)
    if content.keys() == named.keys():
        file.unlink()
    else:
        _write(file, content)
    return True


def _tokenizer(folder: Path, has_processor: bool) -> None:
    file = folder / "tokenizer_config.json"
    config = _read(file)
    config.pop("backend", None)
    if config["tokenizer_class"] == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    named = config.pop("model_specific_special_tokens", {})
    listed = config.pop("extra_special_tokens", [])
    if listed:
        config["additional_special_tokens"] = listed
    config["extra_special_tokens"] = named
    added = _read(folder / "tokenizer.json")["added_tokens"]
    config["added_tokens_decoder"] = {
        str(token["id"]): {key: value for key, value in token.items() if key != "id"} for token in added
    }
    template = folder / "chat_template.jinja"
    if template.exists() and has_processor:
        _write(folder / "chat_template.json", {"chat_template": template.read_text(encoding="utf-8")})
    elif template.exists():
        config["chat_template"] = template.read_text(encoding="utf-8")
    template.unlink(missing_ok=True)
    _write(file, config)
    _write(folder / "special_tokens_map.json", {role: config[role] for role in ROLES if config.get(role)} | named)
