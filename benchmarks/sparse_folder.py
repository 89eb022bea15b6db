"""A checkpoint of 140 GB that takes no disk: header depth must cost what the tensors cost, not what the bytes cost."""

import json
import struct
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from _measure import compare, mmdoctor, show, verdict

HELP = "mmdoctor --help"
VOCABULARY = 150_000
HIDDEN, HEADS, KV_HEADS, HEAD_DIM = 8192, 64, 8, 128


def tensors(layers: int, intermediate: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a Llama of that many layers."""
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    for layer in range(layers):
        prefix = f"model.layers.{layer}."
        shapes |= {
            f"{prefix}self_attn.q_proj.weight": (HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}self_attn.k_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}self_attn.v_proj.weight": (KV_HEADS * HEAD_DIM, HIDDEN),
            f"{prefix}self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_DIM),
            f"{prefix}mlp.gate_proj.weight": (intermediate, HIDDEN),
            f"{prefix}mlp.up_proj.weight": (intermediate, HIDDEN),
            f"{prefix}mlp.down_proj.weight": (HIDDEN, intermediate),
            f"{prefix}input_layernorm.weight": (HIDDEN,),
            f"{prefix}post_attention_layernorm.weight": (HIDDEN,),
        }
    return shapes | {"model.norm.weight": (HIDDEN,), "lm_head.weight": (VOCABULARY, HIDDEN)}


def build(folder: Path, layers: int, intermediate: int, shards: int) -> int:
    """Write the folder; the data of its shards is a hole. Returns the bytes of all tensors."""
    folder.mkdir()
    shapes = list(tensors(layers, intermediate).items())
    weight_map, total = {}, 0
    for number in range(shards):
        name = f"model-{number + 1:05}-of-{shards:05}.safetensors"
        header, end = {}, 0
        for tensor, shape in shapes[number::shards]:
            size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
            weight_map[tensor] = name
            end += size
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / name).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + end)
        total += end
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    (folder / "config.json").write_text(json.dumps(config(layers, intermediate), indent=2))
    (folder / "tokenizer.json").write_text(tokenizer(), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    return total


def config(layers: int, intermediate: int) -> dict[str, object]:
    """config.json of that Llama."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": False,
        "dtype": "bfloat16",
    }


def tokenizer() -> str:
    """tokenizer.json of real size: byte-level BPE with its merges, indented as transformers writes it."""
    letters = [chr(0x100 + n) for n in range(256)]
    vocabulary, merges = {letter: n for n, letter in enumerate(letters)}, []
    pairs = ((a, b) for a in list(vocabulary) + [x + y for x in letters for y in letters] for b in letters)
    for a, b in pairs:
        if len(vocabulary) == VOCABULARY:
            break
        if a in vocabulary and a + b not in vocabulary:
            vocabulary[a + b] = len(vocabulary)
            merges.append([a, b])
    model = {"type": "BPE", "vocab": vocabulary, "merges": merges}
    whole = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "ByteLevel"}, "model": model}
    return json.dumps(whole, ensure_ascii=False, indent=2)


def build_elsewhere(folder: Path, **numbers: int) -> int:
    """Build in a process of its own: a child's peak memory counts what its parent had when it was started."""
    with ProcessPoolExecutor(1) as pool:
        return pool.submit(build, folder, **numbers).result()


def main() -> None:
    """Measure, print, and fail where a promise is broken."""
    with tempfile.TemporaryDirectory() as root:
        folder, small, many = (Path(root) / name for name in ("large", "fewer-bytes", "more-tensors"))
        size = build_elsewhere(folder, layers=110, intermediate=18944, shards=30)
        fewer = build_elsewhere(small, layers=110, intermediate=64, shards=30)
        build_elsewhere(many, layers=440, intermediate=64, shards=30)
        names = f"check, {size / 1e9:.0f} GB, 993 tensors", f"check, {fewer / 1e9:.0f} GB, 993 tensors"
        check = "check", "--depth", "headers", "--gpu", "8xH100-80GB"
        costs = compare(
            {
                HELP: mmdoctor("--help"),
                names[0]: mmdoctor(*check, str(folder)),
                names[1]: mmdoctor(*check, str(small)),
                "check, 3963 tensors": mmdoctor(*check, str(many)),
            },
            rounds=5,
        )
    show(costs, HELP)
    large = costs[names[0]]
    verdict(
        {
            "140 GB within 4x of --help": large.seconds <= 4 * costs[HELP].seconds,
            "peak memory under 200 MiB": large.peak < 200 * 2**20,
            "time does not grow with bytes": large.seconds <= 1.25 * costs[names[1]].seconds,
        }
    )


if __name__ == "__main__":
    main()
