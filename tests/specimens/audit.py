"""Do the files of a folder agree with each other? By reading them only, so that it holds for any transformers."""

import json
from pathlib import Path
from typing import Any

ORDINARY = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "user_token_id")
"""Fields whose token need not look like a special one."""


def disagreements(folder: Path) -> list[str]:
    """What the config, the tokenizer, the processor and the generation config say differently."""
    config = _json(folder, "config.json")
    tokens = _tokens(folder)
    out = [] if tokens is None else [*_ids(config, tokens), *_rows(config, tokens), *_ends(folder, tokens)]
    return out + _sizes(config, _image_processor(folder))


def _json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _tokens(folder: Path) -> dict[int, str] | None:
    file = _json(folder, "tokenizer.json")
    if not file:
        return None
    words = file["model"]["vocab"]
    listed = words.items() if isinstance(words, dict) else ((entry[0], number) for number, entry in enumerate(words))
    tokens = {number: token for token, number in listed}
    return tokens | {token["id"]: token["content"] for token in file["added_tokens"]}


def _walk(node: Any, path: str = "") -> list[tuple[str, str, Any]]:
    """Every (path of the parent, key, value)."""
    if not isinstance(node, dict):
        return []
    own = [(path, key, value) for key, value in node.items()]
    return own + [found for key, value in node.items() for found in _walk(value, f"{path}/{key}")]


def _ids(config: dict[str, Any], tokens: dict[int, str]) -> list[str]:
    out = []
    for path, key, value in _walk(config):
        modal = any(part in path for part in ("vision", "audio", "image", "qformer", "encoder", "vq"))
        if modal or not key.endswith(("_token_id", "_token_index")):
            continue
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number not in tokens:
                out.append(f"{path}/{key} is {number}, which is no token")
            elif isinstance(number, int) and key not in ORDINARY and not _marked(tokens[number]):
                out.append(f"{path}/{key} is {number}, the ordinary token {tokens[number]!r}")
    return out


def _marked(token: str) -> bool:
    return token[0] in "<[" or token.startswith("TILE")


def _rows(config: dict[str, Any], tokens: dict[int, str]) -> list[str]:
    text = next((config[part] for part in ("text_config", "decoder") if part in config), config)
    size = text.get("vocab_size", config.get("vocab_size"))
    beyond = 1 if config.get("model_type") == "mllama" else 0  # its image token stands behind the text vocabulary
    largest = max(tokens) - beyond
    return [f"the largest token is {largest}, vocab_size {size}"] if size is not None and largest >= size else []


def _ends(folder: Path, tokens: dict[int, str]) -> list[str]:
    """The tokenizer's own eos is where generation stops."""
    generation, tokenizer = _json(folder, "generation_config.json"), _json(folder, "tokenizer_config.json")
    ends = generation.get("eos_token_id")
    named = tokenizer.get("eos_token")
    named = named["content"] if isinstance(named, dict) else named
    if ends is None or named is None:
        return []
    stops = {tokens.get(end) for end in (ends if isinstance(ends, list) else [ends])}
    return [] if named in stops else [f"eos_token is {named!r}, generation stops at {sorted(map(str, stops))}"]


def _image_processor(folder: Path) -> dict[str, Any]:
    return _json(folder, "processor_config.json").get("image_processor") or _json(folder, "preprocessor_config.json")


def _sizes(config: dict[str, Any], images: dict[str, Any]) -> list[str]:
    vision = config.get("vision_config") or config.get("encoder") or {}
    pairs = [
        ("patch_size", vision.get("patch_size"), images.get("patch_size")),
        ("merge size", vision.get("spatial_merge_size"), images.get("merge_size")),
        ("temporal_patch_size", vision.get("temporal_patch_size"), images.get("temporal_patch_size")),
    ]
    return [
        f"{what}: {model} in the model, {given} in the processor"
        for what, model, given in pairs
        if model is not None and given is not None and _side(model) != _side(given)
    ]


def _side(size: Any) -> Any:
    if isinstance(size, dict):
        return size.get("height")
    return size[0] if isinstance(size, list) else size
