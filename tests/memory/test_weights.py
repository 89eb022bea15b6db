"""Bytes of the weights once loaded, against arithmetic by hand."""

import pytest

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.checkpoint import Checkpoint, Tensor, WeightFile
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.machine import Target
from mmdoctor.facts.memory import WeightMemory
from mmdoctor.facts.model import ModelConfig, MultimodalModel, TextModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.quantisation import QuantisationConfig
from mmdoctor.facts.source import FileKind
from mmdoctor.facts.tokenizer import Settings
from mmdoctor.location import Location, Reading
from mmdoctor.memory.weights import load_dtype, weight_memory

BYTES = {"F32": 4, "BF16": 2, "F16": 2, "I32": 4, "U8": 1, "F8_E4M3": 1, "I64": 8}


def tensor(name: str, dtype: str, *shape: int, storage: str | None = None, start: int | None = None) -> Tensor:
    count = 1
    for edge in shape:
        count *= edge
    nbytes = count * BYTES.get(dtype, 1)
    return Tensor(name=name, dtype=dtype, shape=shape, file="m", nbytes=nbytes, storage=storage, start=start)


def checkpoint(*tensors: Tensor, kind: FileKind = FileKind.SAFETENSORS, gaps: tuple[str, ...] = ()) -> Checkpoint:
    file = WeightFile(path="m", kind=kind, size=1, tensors=tensors)
    return Checkpoint(files=(file,), tensors={t.name: t for t in tensors}, gaps=gaps)


def config(**value: object) -> ModelConfig:
    return ModelConfig(document=JsonDocument(file="config.json", value=value))


def model(tie: bool | None, text_tie: bool | None = None, kv_heads: int | None = None) -> MultimodalModel:
    def said(value: object) -> Reading | None:
        return None if value is None else Reading(value, Location(file="config.json"))

    text = TextModel(section="", tie_word_embeddings=said(text_tie), num_key_value_heads=said(kv_heads))
    return MultimodalModel(config=config(), family="x", known=True, text=text, tie_word_embeddings=said(tie))


def memory(weights: Checkpoint, target: Target | None = None, **facts: object) -> WeightMemory:
    return weight_memory(
        weights,
        target or Target(),
        facts.get("config"),
        facts.get("model"),
        None,
        facts.get("embeddings"),
        facts.get("quantisation"),
    )


MATRIX = tensor("model.layers.0.mlp.up_proj.weight", "F32", 100, 10)
NORM = tensor("model.layers.0.norm.weight", "F32", 10)


@pytest.mark.parametrize(
    ("target", "stated", "expected"),
    [
        (Target(), {}, "as stored"),
        (Target(), {"dtype": "bfloat16"}, "bfloat16"),
        (Target(), {"torch_dtype": "torch.float16"}, "float16"),
        (Target(), {"text_config": {"torch_dtype": "bfloat16"}}, "bfloat16"),
        (Target(dtype="float32"), {"dtype": "bfloat16"}, "float32"),
        (Target(engine="vllm"), {"dtype": "float32"}, "float16"),
        (Target(engine="vllm"), {}, "float16"),
        (Target(engine="vllm", dtype="auto"), {"dtype": "bfloat16"}, "bfloat16"),
        (Target(engine="vllm", dtype="float32"), {"dtype": "bfloat16"}, "float32"),
        (Target(engine="transformers", engine_version="4.57.6"), {"dtype": "bfloat16"}, "float32"),
        (Target(engine="transformers", engine_version="4.57.6", dtype="auto"), {"dtype": "bfloat16"}, "bfloat16"),
        (Target(engine="transformers", engine_version="5.2.0"), {"dtype": "bfloat16"}, "bfloat16"),
        (Target(engine="transformers"), {"dtype": "float32"}, "float32"),
        (Target(engine="llama.cpp"), {"dtype": "bfloat16"}, "as stored"),
        (Target(), {"dtype": "potato"}, "as stored"),
    ],
)
def test_load_dtype(target: Target, stated: dict, expected: str) -> None:
    assert load_dtype(target, config(**stated)).name == expected


def test_float32_is_halved_and_half_is_doubled() -> None:
    assert memory(checkpoint(MATRIX, NORM), Target(dtype="bfloat16")).total_bytes == 1010 * 2
    stored_half = checkpoint(tensor("a.weight", "BF16", 100, 10))
    assert memory(stored_half, Target(engine="transformers", engine_version="4.50.0")).total_bytes == 4000


def test_quantised_tensors_and_their_scales_stay_as_stored() -> None:
    layer = "model.layers.0.mlp.up_proj"
    weights = checkpoint(
        tensor(f"{layer}.qweight", "I32", 16, 64),
        tensor(f"{layer}.scales", "F32", 2, 64),
        tensor("model.embed_tokens.weight", "F32", 50, 8),
        tensor("fp8.weight", "F8_E4M3", 8, 8),
        tensor("fp8.weight_scale_inv", "F32", 1, 1),
    )

    assert memory(weights, Target(dtype="float16")).total_bytes == 16 * 64 * 4 + 2 * 64 * 4 + 50 * 8 * 2 + 64 + 4


def test_bitsandbytes_scales_stay() -> None:
    name = "model.layers.0.mlp.up_proj.weight"
    weights = checkpoint(
        tensor(name, "U8", 512, 1), tensor(f"{name}.absmax", "F32", 16), tensor(f"{name}.quant_map", "F32", 16)
    )

    assert memory(weights, Target(dtype="float16")).total_bytes == 512 + 64 + 64


def test_what_is_quantised_while_loading_is_not_guessed() -> None:
    method = QuantisationConfig(settings=Settings(document=config().document), method=Reading("bitsandbytes"))

    with pytest.raises(Unavailable, match="while they are loaded"):
        memory(checkpoint(MATRIX), quantisation=method)


@pytest.mark.parametrize(
    ("tie", "text_tie", "counted"), [(True, None, 1), (None, True, 1), (False, None, 2), (None, None, 2)]
)
def test_a_tied_head_is_counted_once(tie: bool | None, text_tie: bool | None, counted: int) -> None:
    embedding, head = tensor("model.embed_tokens.weight", "BF16", 50, 8), tensor("lm_head.weight", "BF16", 50, 8)
    found = memory(
        checkpoint(embedding, head), model=model(tie, text_tie), embeddings=Embeddings(embedding=embedding, head=head)
    )

    assert found.total_bytes == counted * 800


def test_one_storage_under_two_names_counts_once() -> None:
    a = tensor("a", "F32", 10, 10, storage="0", start=64)
    b = tensor("b", "F32", 10, 10, storage="0", start=64)
    c = tensor("c", "F32", 5, 10, storage="1", start=464)

    assert memory(checkpoint(a, b, c)).total_bytes == 600


def test_ranks_share_matrices_and_hold_norms_whole() -> None:
    key = tensor("model.layers.0.self_attn.k_proj.weight", "BF16", 20, 100)
    found = memory(checkpoint(MATRIX, NORM, key), Target(dtype="bfloat16"), model=model(None, kv_heads=2))

    assert found.per_rank(1) == found.total_bytes == 2000 + 20 + 4000
    assert found.per_rank(4) == 500 + 20 + 2000


def test_gguf_is_taken_as_stored() -> None:
    block = Tensor(name="blk.0.ffn_up.weight", dtype="Q4_K", shape=(256, 2), file="m", nbytes=288)

    assert memory(checkpoint(block, NORM, kind=FileKind.GGUF), Target(dtype="float16")).total_bytes == 288 + 40


def test_no_weights() -> None:
    with pytest.raises(NotApplicable):
        memory(Checkpoint(files=(), tensors={}))


def test_missing_shards_make_it_a_lower_bound() -> None:
    assert memory(checkpoint(MATRIX, gaps=("shard 2 is missing",))).incomplete
