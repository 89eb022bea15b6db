"""What file names say: which files belong to a model, which weights load, which names are spoilt."""

import re
from collections.abc import Iterable

WEIGHT_SUFFIXES = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".tflite", ".h5", ".hdf5", ".keras"),
    *(".npz", ".npy", ".jit", ".pt2", ".msgpack"),
)
"""Suffixes of weight files."""

TOKENIZER_NAMES = frozenset(
    {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tekken.json"}
    | {"sentencepiece.bpe.model", "spm.model", "source.spm", "target.spm", "qwen.tiktoken", "tiktoken.model"}
)
"""Files that hold a vocabulary."""

CONFIG_NAMES = frozenset(
    {"config.json", "adapter_config.json", "generation_config.json", "preprocessor_config.json", "params.json"}
    | {"processor_config.json", "video_preprocessor_config.json", "tokenizer_config.json", "special_tokens_map.json"}
    | {"added_tokens.json", "open_clip_config.json", "chat_template.json", "chat_template.jinja", "modules.json"}
    | {"genai_config.json", "model_index.json"}
)
"""Files that describe a model."""

BACKUPS = ".mmdoctor-backup"
"""Folder in which `mmdoctor fix` keeps the files as they were."""

SIDE_FILES = re.compile(
    r"(optimizer|scheduler|scaler|random_states_\d+|rng_state(_\d+)?|training_args|trainer_state"
    r"|zero_pp_rank_.*|.*_optim_states|bf16_zero_pp_rank_.*|pytorch_model_fsdp_optim.*)\.(pt|pth|bin|pkl|npz|json)"
)
"""Files that trainers leave beside the weights (transformers, accelerate, DeepSpeed); no loader takes them."""

SHARD = re.compile(r"(?P<stem>.+?)[-.](?P<number>\d{3,6})-of-(?P<count>\d{3,6})(?P<rest>\.[\w.]+)?")
"""`model-00002-of-00005.safetensors`, the numbering of transformers and of llama-gguf-split."""

MAX_SHARDS = 10_000
"""Files of one numbered set; a larger number in a name is no count of files."""

_SPOILT = re.compile(
    # Browsers put the number of a copy before the suffix, wget behind it; wget and curl keep the query;
    # the rest are downloads that were not finished. Trainers number `.pt.100` themselves, so those are not spoilt.
    r"(?P<stem>.+?)(?P<copy> ?\(\d+\)| - Copy)?"
    r"\.(?:(?P<suffix>safetensors|bin|gguf|json|model|pth?|ckpt|txt|jinja)"
    r"(?P<tail>(?:\?|%3[Ff]).*| ?\(\d+\)|\.part|\.partial|\.incomplete|\.aria2|\.crdownload|\.download|\.tmp|\.!qB)?"
    r"|(?P<numbered>safetensors|bin|gguf|json|model)\.\d{1,3})"
)


_TWIN = re.compile(
    r"pytorch_model.*\.bin(\.index\.json)?|tf_model.*|flax_model.*|rust_model\.ot|model\.ckpt.*|consolidated.*|.*\.onnx"
    r"|.*\.gguf|openvino_model.*|.*\.tflite|adapter_model\.bin|.*\.msgpack|.*\.h5"
)


def is_twin_name(name: str) -> bool:
    """Whether weights of that name are a copy in another format where safetensors are there and load first."""
    return _TWIN.fullmatch(name) is not None or SIDE_FILES.fullmatch(name) is not None


def is_weight_name(name: str) -> bool:
    """Whether a file of that name is taken for weights."""
    return name.lower().endswith(WEIGHT_SUFFIXES)


def is_index_name(name: str) -> bool:
    """Whether a file of that name says which tensor is in which shard."""
    return name.endswith(".index.json")


def is_model_name(name: str) -> bool:
    """Whether a file of that name belongs to a model: weights, their index, configuration, tokenizer."""
    return is_weight_name(name) or is_index_name(name) or name in CONFIG_NAMES or name in TOKENIZER_NAMES


def clean_name(name: str) -> str | None:
    """The name that a download was meant to have; None where the name is not spoilt.

    `model-00004-of-00005.safetensors?download=true` and `model (1).safetensors` are spoilt.
    """
    match = _SPOILT.fullmatch(name)
    if match is None or not (match["copy"] or match["tail"] or match["numbered"]):
        return None
    return f"{match['stem']}.{match['suffix'] or match['numbered']}"


def unfinished(name: str) -> bool:
    """Whether a spoilt name says that the download was not finished, not only that it was named badly."""
    return name.endswith((".part", ".partial", ".incomplete", ".aria2", ".crdownload", ".download", ".tmp", ".!qB"))


_SAFE_PATH = re.compile(
    # No drive or scheme, no home, then names without control bytes, backslashes and lone surrogates, none of them dots.
    r"(?![A-Za-z]:|[a-z][a-z0-9+.-]*:/|~)"
    r"(?:(?!\.\.?(?:/|$))[^/\\\x00-\x1f\ud800-\udfff]+/)*(?!\.\.?$)[^/\\\x00-\x1f\ud800-\udfff]+"
)


def is_unsafe_path(path: str) -> bool:
    """Whether a file name that stands in an index leads out of the artefact, or nowhere."""
    return len(path) > 512 or _SAFE_PATH.fullmatch(path) is None


def shards_missing(names: Iterable[str]) -> tuple[str, ...]:
    """Names that a numbered set of shards lacks: of `-00001-of-00003` and `-00003-of-00003` the second."""
    present = set(names)
    sets: dict[tuple[str, str, str], set[int]] = {}
    for name in sorted(present):
        if match := SHARD.fullmatch(name):
            key = match["stem"], match["count"], match["rest"] or ""
            sets.setdefault(key, set()).add(int(match["number"]))
    missing: list[str] = []
    for (stem, count, rest), numbers in sets.items():
        total = int(count)
        if 0 < total <= MAX_SHARDS and len(missing) < MAX_SHARDS:
            gone = [i for i in range(1, total + 1) if i not in numbers]
            missing += [f"{stem}-{i:0{len(count)}d}-of-{count}{rest}" for i in gone]
    return tuple(missing)
