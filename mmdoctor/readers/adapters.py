"""adapter_config.json, and what the configuration says about quantisation, wherever it says it."""

from collections.abc import Iterator

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.quantisation import Adapter, QuantisationConfig
from mmdoctor.facts.source import WEIGHT_KINDS, Source
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.location import Reading

_SECTIONS = (
    *("/quantization_config", "/compression_config", "/text_config/quantization_config"),
    *("/text_config/compression_config", "/llm_config/quantization_config", "/language_config/quantization_config"),
    *("/thinker_config/quantization_config", "/thinker_config/text_config/quantization_config", "/quantization"),
)
"""Where config.json may have it. `quantization` is MLX's; transformers 5.23 (quantizers/auto.py) reads the first and
the text model's, vLLM `compression_config` too."""

_FILES = ("quantize_config.json", "quantization_config.json", "quant_config.json", "hf_quant_config.json")
"""Files of their own: old GPTQ, others, AutoAWQ, and NVIDIA ModelOpt."""


def adapter(source: Source, documents: Documents) -> Adapter:
    """The adapter, and whether its base model lies beside it.

    Raises:
        NotApplicable: there is no adapter_config.json.
        Unavailable: it is there and cannot be parsed.
    """
    document = documents.find("adapter_config.json")
    if document is None:
        for broken in documents.broken:
            if broken.file == "adapter_config.json":
                raise Unavailable(f"adapter_config.json cannot be parsed: {broken.reason}")
        raise NotApplicable("there is no adapter_config.json")
    peft_type = document.get("/peft_type")
    return Adapter(
        settings=Settings(document=document),
        base_model=document.read("/base_model_name_or_path", str),
        peft_type=peft_type if isinstance(peft_type, str) else None,
        alone=not any(_is_full_weights(entry.name) for entry in source.top() if entry.kind in WEIGHT_KINDS),
    )


def _is_full_weights(name: str) -> bool:
    """PEFT's own files are adapter_model.*; trainers leave optimizer, scheduler and arguments beside them."""
    side_files = ("adapter_", "optimizer", "scheduler", "scaler", "rng_state", "training_args")
    return not name.startswith(side_files)


def quantisation_config(documents: Documents) -> QuantisationConfig:
    """The first place that says how the weights are quantised.

    Raises:
        NotApplicable: nothing says that they are.
        Unavailable: a section is there, and does not say by which method.
    """
    nameless = None
    for settings in _places(documents):
        method = _method(settings)
        if method is not None:
            return QuantisationConfig(settings=settings, method=method)
        nameless = nameless or settings
    if nameless is not None:
        place = nameless.at()
        raise Unavailable(f"{place.file}{place.pointer or ''} names no method of quantisation that is known")
    raise NotApplicable("no configuration says that the weights are quantised")


def _places(documents: Documents) -> Iterator[Settings]:
    config = documents.find("config.json")
    if config is not None:
        for pointer in _SECTIONS:
            if _filled(config, pointer):
                yield Settings(document=config, pointer=pointer)
    for file in _FILES:
        document = documents.find(file)
        if document is not None and document.value:
            pointer = "/quantization" if _filled(document, "/quantization") else ""
            yield Settings(document=document, pointer=pointer)


def _filled(document: JsonDocument, pointer: str) -> bool:
    section = document.get(pointer)
    return isinstance(section, dict) and bool(section)


def _method(settings: Settings) -> Reading[str] | None:
    """`quant_method`, or what the other keys give away where old writers left it out."""
    stated = settings.read("quant_method", str)
    if stated is not None and stated.value:
        return Reading(stated.value.lower(), stated.at)
    for key, method in _TELLING:
        if settings.get(key) not in (None, False):
            return Reading(method, settings.at(key))
    return None


# In this order: AutoAWQ wrote w_bit and q_group_size, AutoGPTQ bits with desc_act; MLX has bits and group_size alone.
_TELLING = (
    *(("load_in_4bit", "bitsandbytes"), ("load_in_8bit", "bitsandbytes"), ("quant_algo", "modelopt")),
    *(("kv_cache_quant_algo", "modelopt"), ("config_groups", "compressed-tensors"), ("w_bit", "awq")),
    *(("q_group_size", "awq"), ("desc_act", "gptq"), ("damp_percent", "gptq"), ("quant_type", "torchao")),
    *(("weight_block_size", "fp8"), ("bits", "mlx")),
)
