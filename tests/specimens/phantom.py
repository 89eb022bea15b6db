"""Full-size checkpoints that take no disk: the config, the names, shapes and dtypes of the tensors are real, the data
is a hole in the file. Those that see have their image processor; none has a tokenizer.

`ls -l` shows 55 GB, `du` some kilobytes. Reading the data gives zeros: for headers, memory plans and speed, never for a
scan of the weights. The configs are those of the released models; `SIZES` holds what their own index says.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.specimens import constants
from tests.specimens.maker import cache, default_root, draft
from tests.specimens.tensors import encode

SHARD_BYTES = 5 * 10**9
"""transformers' limit for years, so published folders have shards of about this size."""

SIZES: dict[str, int] = {
    "qwen2.5-vl-3b": 7_509_245_952,
    "qwen2.5-vl-7b": 16_584_333_312,
    "qwen3-vl-2b": 4_255_064_064,
    "qwen3-vl-8b": 17_534_247_392,
    "gemma3-4b": 8_600_158_944,
    "gemma3-27b": 54_864_813_280,
    "llava-1.5-7b": 14_126_854_144,
    "llama-3.2-11b-vision": 21_340_441_670,
    "llama-3.1-8b": 16_060_522_496,
    "qwen3-8b": 16_381_470_720,
}
"""`metadata.total_size` of model.safetensors.index.json as published, in bytes."""

NAMES: tuple[str, ...] = tuple(SIZES)


def build(name: str, root: Path | None = None) -> Path:
    """The folder of the phantom `name`, made under `root` where it is not there yet.

    Raises:
        KeyError: There is no such phantom.
    """
    if name not in SIZES:
        raise KeyError(f"no phantom is called {name!r}; there are {', '.join(NAMES)}")
    target = cache(root or default_root(), "phantoms", [Path(__file__)]) / name
    if not target.exists():
        with draft(target) as folder:
            _make(CONFIGS[name](), folder, "float16" if name.startswith("llava") else "bfloat16")
            if name.startswith(tuple(EYES)):
                EYES[next(family for family in EYES if name.startswith(family))]().save_pretrained(folder)
    return target


def _qwen2_5_vl(layers: int, hidden: int, heads: int, kv: int, inner: int, vocab: int, tied: bool) -> Any:
    import transformers as t

    text = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv}
    text |= {"intermediate_size": inner, "vocab_size": vocab, "max_position_embeddings": 128000, "rms_norm_eps": 1e-6}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": hidden}
    vision |= {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "tokens_per_second": 2}
    return t.Qwen2_5_VLConfig(
        text_config=text | {"tie_word_embeddings": tied, "rope_parameters": rope, "bos_token_id": 151643},
        vision_config=vision,
        tie_word_embeddings=tied,
    )


def _qwen3_vl(text: dict[str, int], vision: dict[str, Any], tied: bool) -> Any:
    import transformers as t

    rope = {"rope_type": "default", "rope_theta": 5e6, "mrope_section": [24, 20, 20], "mrope_interleaved": True}
    shared = {"head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 262144, "num_key_value_heads": 8}
    return t.Qwen3VLConfig(
        text_config=shared | text | {"tie_word_embeddings": tied, "rope_parameters": rope},
        vision_config=vision | {"num_heads": 16, "patch_size": 16, "out_hidden_size": text["hidden_size"]},
        tie_word_embeddings=tied,
    )


def _gemma3(layers: int, hidden: int, heads: int, kv: int, head: int, inner: int, scalar: int) -> Any:
    import transformers as t

    text = {"num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv}
    text |= {"head_dim": head, "intermediate_size": inner, "query_pre_attn_scalar": scalar, "vocab_size": 262208}
    text |= {"max_position_embeddings": 131072, "sliding_window": 1024}
    vision = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    return t.Gemma3Config(
        text_config=text,
        vision_config=vision | {"image_size": 896, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=256,
    )


def _llava() -> Any:
    import transformers as t

    return t.LlavaConfig(
        text_config={"model_type": "llama", "vocab_size": 32064, "rms_norm_eps": 1e-5, "max_position_embeddings": 4096},
        image_token_index=32000,
        pad_token_id=32001,
    )


def _mllama() -> Any:
    import transformers as t

    scaling = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    rope = scaling | {"original_max_position_embeddings": 8192}
    return t.MllamaConfig(
        text_config={"tie_word_embeddings": False, "rope_parameters": rope},
        vision_config={"image_size": 560, "vision_output_dim": 7680},
    )


def _text(kind: str, **numbers: Any) -> Any:
    import transformers as t

    return getattr(t, f"{kind}Config")(**numbers)


def _qwen_eyes(area: dict[str, int], colours: dict[str, Any], patch: int) -> Any:
    import transformers as t

    cut = {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2, "resample": constants.BICUBIC}
    return t.Qwen2VLImageProcessor(size=area, **cut, **colours)


def _eyes(kind: str, **settings: Any) -> Any:
    import transformers as t

    return getattr(t, f"{kind}ImageProcessor")(**settings)


EYES: dict[str, Callable[[], Any]] = {
    "qwen2.5-vl": lambda: _qwen_eyes({"shortest_edge": 3136, "longest_edge": 12845056}, constants.OPENAI, 14),
    "qwen3-vl": lambda: _qwen_eyes({"shortest_edge": 65536, "longest_edge": 16777216}, constants.HALVES, 16),
    "gemma3": lambda: _eyes("Gemma3", size=constants.square(896), resample=constants.BILINEAR, **constants.HALVES),
    "llava": lambda: _eyes("CLIP", **constants.shortest(336), **constants.OPENAI),
    "llama-3.2": lambda: _eyes("Mllama", size=constants.square(560), max_image_tiles=4, **constants.OPENAI),
}
"""Image processors, by the beginning of the name."""

LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}

CONFIGS: dict[str, Callable[[], Any]] = {
    "qwen2.5-vl-3b": lambda: _qwen2_5_vl(36, 2048, 16, 2, 11008, 151936, True),
    "qwen2.5-vl-7b": lambda: _qwen2_5_vl(28, 3584, 28, 4, 18944, 152064, False),
    "qwen3-vl-2b": lambda: _qwen3_vl(
        {"num_hidden_layers": 28, "hidden_size": 2048, "num_attention_heads": 16, "intermediate_size": 6144},
        {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]},
        True,
    ),
    "qwen3-vl-8b": lambda: _qwen3_vl(
        {"num_hidden_layers": 36, "hidden_size": 4096, "num_attention_heads": 32, "intermediate_size": 12288},
        {"depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "deepstack_visual_indexes": [8, 16, 24]},
        False,
    ),
    "gemma3-4b": lambda: _gemma3(34, 2560, 8, 4, 256, 10240, 256),
    "gemma3-27b": lambda: _gemma3(62, 5376, 32, 16, 128, 21504, 168),
    "llava-1.5-7b": _llava,
    "llama-3.2-11b-vision": _mllama,
    "llama-3.1-8b": lambda: _text(
        "Llama",
        num_hidden_layers=32,
        hidden_size=4096,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
        vocab_size=128256,
        max_position_embeddings=131072,
        rope_parameters=LLAMA3 | {"original_max_position_embeddings": 8192},
        bos_token_id=128000,
        eos_token_id=[128001, 128008, 128009],
    ),
    "qwen3-8b": lambda: _text(
        "Qwen3",
        num_hidden_layers=36,
        hidden_size=4096,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=12288,
        vocab_size=151936,
        max_position_embeddings=40960,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        bos_token_id=151643,
        eos_token_id=151645,
    ),
}

Entry = tuple[str, list[int], int]
"""dtype, shape, bytes."""


def _make(config: Any, folder: Path, dtype: str) -> None:
    entries = _entries(config, dtype)
    config.save_pretrained(folder)
    shards: list[dict[str, Entry]] = [{}]
    for name, entry in entries.items():
        if shards[-1] and sum(size for _, _, size in shards[-1].values()) + entry[2] > SHARD_BYTES:
            shards.append({})
        shards[-1][name] = entry
    weight_map = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        _hole(folder / file, shard)
        weight_map |= dict.fromkeys(shard, file)
    if len(shards) > 1:
        metadata = {"total_size": sum(size for _, _, size in entries.values())}
        index = {"metadata": metadata, "weight_map": dict(sorted(weight_map.items()))}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _entries(config: Any, dtype: str) -> dict[str, Entry]:
    """What `save_pretrained` would store, under the names it would store it under; tied weights once."""
    import torch
    import transformers as t
    from transformers.core_model_loading import revert_weight_conversion

    sees = type(config) in t.AutoModelForImageTextToText._model_mapping
    auto = t.AutoModelForImageTextToText if sees else t.AutoModelForCausalLM
    config.dtype = dtype
    with torch.device("meta"):
        model = auto.from_config(config, dtype=getattr(torch, dtype))
    config.architectures = [type(model).__name__]
    tied = set(model.all_tied_weights_keys)
    state = {name: value for name, value in model.state_dict().items() if name not in tied}
    labels = {torch.bfloat16: "BF16", torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}
    return {
        name: (labels[value.dtype], list(value.shape), value.numel() * value.element_size())
        for name, value in revert_weight_conversion(model, state).items()
    }


def _hole(path: Path, entries: dict[str, Entry]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape, size) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    blob = encode(header)
    with path.open("wb") as file:
        file.write(blob)
        file.truncate(len(blob) + offset)
