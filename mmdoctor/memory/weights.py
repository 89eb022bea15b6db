"""What the weights take once loaded: per tensor at the load dtype, quantised ones as stored, tied ones once."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.machine import Target
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.facts.model import ModelConfig, MultimodalModel
from mmdoctor.facts.parts import Embeddings, Parts, Role
from mmdoctor.facts.quantisation import QuantisationConfig
from mmdoctor.facts.source import FileKind
from mmdoctor.location import Location, Reading
from mmdoctor.versions import older

WIDTHS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of one element by the name that configurations and flags use."""

_PLAIN = frozenset({"F64", "F32", "F16", "BF16"})
"""Stored floats that a loader casts to the load dtype. Eight-bit and smaller ones are quantised: they stay."""

_KEY_VALUE = re.compile(r"(^|\.)(k_proj|v_proj|kv_proj|k|v|key|value)\.(weight|qweight)$")
_OUTSIDE_LINEAR = re.compile(
    r"embed|wte|wpe|lm_head|(^|\.)head\.|visual|vision|vit\.|audio|projector|merger|connector|norm"
)


class LoadDtype(msgspec.Struct, frozen=True, kw_only=True):
    """The dtype that plain floats get when the model is loaded."""

    name: str
    """`as stored` when nothing is cast."""
    why: str
    at: Location = Location()

    @property
    def width(self) -> int | None:
        """Bytes of one element; None when nothing is cast."""
        return WIDTHS.get(self.name)


def weight_memory(
    checkpoint: Checkpoint,
    target: Target,
    config: ModelConfig | None,
    model: MultimodalModel | None,
    parts: Parts | None,
    embeddings: Embeddings | None,
    quantisation: QuantisationConfig | None,
) -> WeightMemory:
    """The weights as the target's engine holds them.

    Raises:
        NotApplicable: there are no weights.
        Unavailable: the engine quantises them while loading.
    """
    if not checkpoint.tensors:
        raise NotApplicable("there are no weights")
    tensors = _once(checkpoint.tensors.values())
    packed = _packed_modules(tensors)
    if quantisation is not None and quantisation.method.value == "bitsandbytes" and not packed:
        raise Unavailable("bitsandbytes quantises these weights while they are loaded: how small is not in the files")
    tied = _tied_head(model, embeddings)
    tensors = [t for t in tensors if t.name != tied]
    gguf = any(f.kind is FileKind.GGUF for f in checkpoint.files)
    load = load_dtype(target, config, gguf=gguf)
    sizes = {t.name: loaded_bytes(t, load.width, packed) for t in tensors}
    replicated = {t.name for t in tensors if len(t.shape) <= 1 or len(t.shape) >= 4}
    key_value = {t.name for t in tensors if t.name not in replicated and _KEY_VALUE.search(t.name)}
    heads = model.text.num_key_value_heads if model is not None and model.text is not None else None
    linear = [t for t in tensors if _is_linear(t, packed) and t.numel]
    biggest = max(tensors, key=lambda t: sizes[t.name])
    return WeightMemory(
        split_bytes=sum(n for name, n in sizes.items() if name not in replicated and name not in key_value),
        key_value_bytes=sum(sizes[name] for name in key_value),
        replicated_bytes=sum(sizes[name] for name in replicated),
        key_value_heads=heads.value if heads is not None and heads.value > 0 else None,
        load_dtype=load.name,
        load_dtype_at=load.at,
        why=load.why,
        stored_bytes=sum(t.nbytes for t in tensors),
        half_bytes=sum(loaded_bytes(t, 2, packed) for t in tensors),
        linear_bytes=sum(sizes[t.name] for t in linear),
        linear_bits=8 * sum(sizes[t.name] for t in linear) // sum(t.numel for t in linear) if linear else 16,
        parts=_by_part(parts, sizes),
        engine=target.engine,
        gguf=gguf,
        biggest=Reading(sizes[biggest.name], biggest.at),
        incomplete=bool(checkpoint.gaps),
    )


def load_dtype(target: Target, config: ModelConfig | None, *, gguf: bool = False) -> LoadDtype:
    """The dtype in which the target's engine loads plain floats."""
    if gguf or target.engine == "llama.cpp":
        return LoadDtype(name="as stored", why="GGUF is used as stored")
    if target.dtype is not None and target.dtype != "auto":
        return LoadDtype(name=target.dtype, why="--dtype")
    stated = stated_dtype(config)
    if target.engine in ("vllm", "sglang"):
        # vllm/config/model.py, _resolve_auto_dtype, and sglang/srt/configs/model_config.py, _get_and_verify_dtype:
        # float32 (also where nothing is stated) becomes the platform's half precision, half types stay.
        if stated is not None and WIDTHS.get(stated.value) == 2:
            return LoadDtype(name=stated.value, why="config.json", at=stated.at)
        return LoadDtype(name="float16", why=f"{target.engine} halves float32", at=stated.at if stated else Location())
    if target.engine == "transformers" and target.dtype is None and _is_before_5(target.engine_version):
        return LoadDtype(name="float32", why="transformers before 5 loads float32 unless told otherwise")
    if stated is not None:
        return LoadDtype(name=stated.value, why="config.json", at=stated.at)
    return LoadDtype(name="as stored", why="nothing states a dtype")


def stated_dtype(config: ModelConfig | None) -> Reading[str] | None:
    """The dtype in config.json, under both of its names and on both levels; None where none is stated."""
    if config is None:
        return None
    for section in ("", "/text_config", "/llm_config", "/language_config", "/thinker_config"):
        for key in ("dtype", "torch_dtype"):
            reading = config.document.read(f"{section}/{key}", str)
            if reading is not None:
                name = reading.value.removeprefix("torch.")
                if name in WIDTHS:
                    return Reading(name, reading.at)
    return None


def loaded_bytes(tensor: Tensor, width: int | None, packed: frozenset[str] = frozenset()) -> int:
    """Bytes of a tensor in memory.

    Args:
        tensor: the stored tensor.
        width: bytes of an element of the load dtype; None when nothing is cast.
        packed: modules with packed weights; their scales keep the dtype in which they are stored.
    """
    module, _, leaf = tensor.name.rpartition(".")
    scale = leaf not in ("weight", "bias") and module.removesuffix(".weight") in packed
    if width is None or tensor.dtype not in _PLAIN or scale:
        return tensor.nbytes
    return tensor.numel * width


def _once(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Tensors of one storage and place only once: pickles keep tied weights as two names of one storage."""
    seen: dict[object, Tensor] = {}
    for tensor in tensors:
        key = (tensor.file, tensor.storage, tensor.start, tensor.shape) if tensor.storage is not None else tensor.name
        seen.setdefault(key, tensor)
    return list(seen.values())


def _packed_modules(tensors: Iterable[Tensor]) -> frozenset[str]:
    """Modules with at least one matrix that is neither a plain float nor a table of indices."""
    return frozenset(
        t.name.rpartition(".")[0].removesuffix(".weight")
        for t in tensors
        if t.dtype not in _PLAIN and t.dtype not in ("I64", "BOOL") and t.numel > 1
    )


def _tied_head(model: MultimodalModel | None, embeddings: Embeddings | None) -> str | None:
    """Name of an output head that is stored and yet shares its memory with the embedding; None when there is none."""
    if model is None or embeddings is None or embeddings.embedding is None or embeddings.head is None:
        return None
    text = model.text.tie_word_embeddings if model.text is not None else None
    stated = model.tie_word_embeddings or text
    tied = stated.value if stated is not None else model.ties_by_default
    return embeddings.head.name if tied and embeddings.head.shape == embeddings.embedding.shape else None


def _is_linear(tensor: Tensor, packed: frozenset[str]) -> bool:
    name = tensor.name
    return (
        len(tensor.shape) in (2, 3)
        and name.endswith("weight")
        and tensor.dtype in _PLAIN
        and name.rpartition(".")[0] not in packed
        and not _OUTSIDE_LINEAR.search(name)
    )


def _by_part(parts: Parts | None, sizes: Mapping[str, int]) -> dict[str, int]:
    totals: dict[Role, int] = {}
    for part in parts.parts if parts is not None else ():
        totals[part.role] = totals.get(part.role, 0) + sum(sizes.get(t.name, 0) for t in part.tensors)
    return {role.value: total for role, total in sorted(totals.items(), key=lambda item: -item[1]) if total}


def _is_before_5(version: str | None) -> bool:
    return older(version, "5.0.dev0")
