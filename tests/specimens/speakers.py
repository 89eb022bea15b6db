"""The tokenizers of the families, as transformers objects, with every special token their configs name."""

import json
from typing import Any

import transformers
from tokenizers import Tokenizer, normalizers

from tests.specimens import vocabulary

V5 = int(transformers.__version__.split(".")[0]) >= 5


def speaker(
    tokenizer: Tokenizer, family: str = "PreTrainedTokenizer", named: dict[str, str] | None = None, **more: Any
) -> Any:
    """`tokenizer` as transformers keeps it: one class for all in 5.x, the family's own fast class in 4.x.

    `named` are the special tokens that processors ask for by name, such as `image_token`.
    """
    kind = "PreTrainedTokenizerFast" if V5 else family + "Fast"
    if named:
        more["model_specific_special_tokens" if V5 else "extra_special_tokens"] = named
    if "model_input_names" not in more and family != "BertTokenizer":
        more["model_input_names"] = ["input_ids", "attention_mask"]
    return getattr(transformers, kind)(tokenizer_object=tokenizer, **more)


def rows(tokenizer: Any, multiple: int = 64) -> int:
    """Embedding rows for `tokenizer`, padded as published vocabularies are."""
    return -(-len(tokenizer) // multiple) * multiple


def bert(positions: int = 512, more: tuple[str, ...] = (), **special: Any) -> Any:
    """Specials in front; `more` at the end."""
    roles = {role + "_token": f"[{role.upper()}]" for role in ("cls", "sep", "pad", "unk", "mask")}
    return speaker(vocabulary.wordpiece(more), "BertTokenizer", **roles | special, model_max_length=positions)


def roberta(family: str = "RobertaTokenizer", positions: int = 512, more: tuple[str, ...] = (), **named: str) -> Any:
    """`<s> <pad> </s> <unk>` in front, `<mask>` and `more` at the end (BART has the same order)."""
    tokenizer = vocabulary.framed(vocabulary.byte_level(("<s>", "<pad>", "</s>", "<unk>")))
    tokenizer.add_special_tokens(["<mask>", *more])
    roles = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    special = {role + "_token": token for role, token in roles.items()}
    return speaker(tokenizer, family, named, **special, model_max_length=positions)


def xlm_roberta(positions: int = 512, more: tuple[str, ...] = ()) -> Any:
    """`<s> <pad> </s> <unk>` in front of SentencePiece's pieces, `<mask>` and `more` at the end."""
    front = ("<s>", "<pad>", "</s>", "<unk>")
    tokenizer = vocabulary.framed(vocabulary.unigram(front, ("<mask>",)))
    tokenizer.add_special_tokens(list(more))
    roles = {"bos": "<s>", "eos": "</s>", "cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    special = {role + "_token": token for role, token in roles.items()}
    return speaker(tokenizer, "XLMRobertaTokenizer", **special, model_max_length=positions)


def layout(positions: int = 512) -> Any:
    """RoBERTa's with boxes: only LayoutLMv3's own class knows them."""
    if not V5:
        return roberta("LayoutLMv3Tokenizer", positions)
    parts = json.loads(vocabulary.byte_level(("<s>", "<pad>", "</s>", "<unk>")).to_str())["model"]
    words = parts["vocab"] | {"<mask>": len(parts["vocab"])}
    merges = [tuple(pair) for pair in parts["merges"]]
    return transformers.LayoutLMv3Tokenizer(vocab=words, merges=merges, model_max_length=positions)


def llama(more: tuple[str, ...] = (), eos: str = "</s>", positions: int = 4096, **named: str) -> Any:
    """Llama 2's: `<unk> <s> </s>`, bytes, pieces, then `more`."""
    tokenizer = vocabulary.sentencepiece(("<unk>", "<s>", "</s>"), "<s>")
    tokenizer.add_special_tokens(list(more))
    pad = "<pad>" if "<pad>" in more else eos
    special = {"bos_token": "<s>", "eos_token": eos, "unk_token": "<unk>", "pad_token": pad}
    return speaker(tokenizer, "LlamaTokenizer", named, **special, model_max_length=positions, padding_side="left")


LLAMA3_SPECIALS = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|finetune_right_pad_id|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eom_id|>", "<|eot_id|>", "<|python_tag|>",
)  # fmt: skip


def llama3(more: tuple[str, ...] = (), **named: str) -> Any:
    """Llama 3's: byte level, specials last, `<|begin_of_text|>` in front of every text."""
    tokenizer = vocabulary.byte_level()
    tokenizer.add_special_tokens([*LLAMA3_SPECIALS, *more])
    vocabulary.starting_with(tokenizer, "<|begin_of_text|>")
    special = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>"}
    return speaker(tokenizer, named=named, **special, model_max_length=131072, padding_side="left")


def gemma(front: tuple[str, ...] = (), more: tuple[str, ...] = (), plain: tuple[str, ...] = (), **named: str) -> Any:
    """`<pad> <eos> <bos> <unk>` and `front`, bytes, pieces, then `more`."""
    tokenizer = vocabulary.sentencepiece(("<pad>", "<eos>", "<bos>", "<unk>", *front), "<bos>", prepend=False)
    tokenizer.add_special_tokens(list(more))
    tokenizer.add_tokens(vocabulary.plain(*plain))
    special = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return speaker(tokenizer, "GemmaTokenizer", named, **special, model_max_length=8192, padding_side="left")


QWEN_SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
    "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip


def qwen(
    specials: tuple[str, ...] = QWEN_SPECIALS, more: tuple[str, ...] = (), positions: int = 131072, **named: str
) -> Any:
    """Byte level without bos, specials last, pad and eos apart."""
    tokenizer = vocabulary.byte_level()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_special_tokens([*specials, *more])
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return speaker(tokenizer, "Qwen2Tokenizer", named, **special, model_max_length=positions, padding_side="left")


def gpt2(more: tuple[str, ...] = (), positions: int = 1024) -> Any:
    """One special for everything."""
    tokenizer = vocabulary.byte_level()
    tokenizer.add_special_tokens(["<|endoftext|>", *more])
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    return speaker(tokenizer, "GPT2Tokenizer", **special, model_max_length=positions)


def t5(positions: int = 512) -> Any:
    """`<pad> </s> <unk>`, pieces, a hundred sentinels."""
    sentinels = tuple(f"<extra_id_{number}>" for number in reversed(range(100)))
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return speaker(vocabulary.unigram(last=sentinels), "PreTrainedTokenizer", **special, model_max_length=positions)
