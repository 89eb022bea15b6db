"""Models that only read and write."""

from typing import Any

import transformers as t

from tests.specimens import gemma, speakers, templates
from tests.specimens.configs import SMALL, decoder, generation, rope
from tests.specimens.recipe import Made, recipe

WRITES = {"auto": "AutoModelForCausalLM", "feed": "words", "prompt": "The quick brown fox"}
FILLS = {"auto": "AutoModelForMaskedLM", "feed": "words", "dtype": "float32"}
LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}

recipe("gemma2", **WRITES, dtype="bfloat16")(gemma.gemma2_text)


def _written(model: Any, tokenizer: Any, template: str = "", eos: int | list[int] | None = None) -> Made:
    if template:
        tokenizer.chat_template = template
    return Made(model=generation(model, tokenizer, eos=eos), processors=(tokenizer,))


@recipe("llama", **WRITES, dtype="bfloat16")
def llama() -> Made:
    """Llama 3.1: scaled rotations, three ends."""
    tokenizer = speakers.llama3()
    ends = [tokenizer.convert_tokens_to_ids(end) for end in ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")]
    turns = templates.llama("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
    config = t.LlamaConfig(
        **decoder(
            tokenizer, eos_token_id=ends, max_position_embeddings=131072, **rope(5e5, rope_type="llama3", **LLAMA3)
        )
    )
    return _written(t.LlamaForCausalLM(config), tokenizer, turns, ends)


@recipe("qwen2", **WRITES, dtype="bfloat16")
def qwen2() -> Made:
    """Qwen2.5."""
    tokenizer = speakers.qwen()
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    ids = {"bos_token_id": tokenizer.pad_token_id, "tie_word_embeddings": True, "max_position_embeddings": 32768}
    config = t.Qwen2Config(**decoder(tokenizer, "qwen2", **ids, **rope(1e6)))
    return _written(t.Qwen2ForCausalLM(config), tokenizer, templates.chatml(), ends)


@recipe("qwen3", **WRITES, dtype="bfloat16")
def qwen3() -> Made:
    """Heads of a size of their own."""
    tokenizer = speakers.qwen(more=("<think>", "</think>"))
    ends = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    ids = {"bos_token_id": tokenizer.pad_token_id, "head_dim": 32, "max_position_embeddings": 40960}
    config = t.Qwen3Config(**decoder(tokenizer, "qwen3", **ids, **rope(1e6)))
    return _written(t.Qwen3ForCausalLM(config), tokenizer, templates.chatml(), ends)


@recipe("mistral", **WRITES, dtype="bfloat16")
def mistral() -> Made:
    """Mistral 7B v0.3."""
    tokenizer = speakers.llama(positions=32768)
    config = t.MistralConfig(
        **decoder(tokenizer, "mistral", sliding_window=None, max_position_embeddings=32768, **rope(1e6))
    )
    return _written(t.MistralForCausalLM(config), tokenizer, templates.PLAIN)


@recipe("mixtral", **WRITES, dtype="bfloat16")
def mixtral() -> Made:
    """Four experts, two of them used."""
    tokenizer = speakers.llama(positions=32768)
    experts = {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": None}
    config = t.MixtralConfig(**decoder(tokenizer, "mixtral", **experts, max_position_embeddings=32768, **rope(1e6)))
    return _written(t.MixtralForCausalLM(config), tokenizer, templates.PLAIN)


@recipe("phi3", **WRITES, dtype="bfloat16")
def phi3() -> Made:
    """Queries, keys and values in one matrix."""
    turns = ("<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
    tokenizer = speakers.llama(turns, eos="<|endoftext|>")
    ends = [tokenizer.convert_tokens_to_ids(end) for end in ("<|endoftext|>", "<|assistant|>", "<|end|>")]
    config = t.Phi3Config(**decoder(tokenizer, "phi3", sliding_window=2047, **rope(1e4)))
    return _written(t.Phi3ForCausalLM(config), tokenizer, templates.PLAIN, ends)


@recipe("gpt2", **WRITES, dtype="float32")
def gpt2() -> Made:
    """Learned positions, one special token."""
    tokenizer = speakers.gpt2()
    end = tokenizer.eos_token_id
    config = t.GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=1024, bos_token_id=end, eos_token_id=end
    )
    return _written(t.GPT2LMHeadModel(config), tokenizer)


@recipe("t5", auto="AutoModelForSeq2SeqLM", feed="words", dtype="float32", prompt="translate: The dog runs.")
def t5() -> Made:
    """An encoder and a decoder with relative positions and no others."""
    tokenizer = speakers.t5()
    ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
    config = t.T5Config(
        vocab_size=speakers.rows(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, **ids
    )
    model = t.T5ForConditionalGeneration(config)
    model.generation_config = t.GenerationConfig(**ids)
    return Made(model=model, processors=(tokenizer,))


@recipe("bert", **FILLS, prompt="A red [MASK] runs.")
def bert() -> Made:
    """512 positions, two segments."""
    tokenizer = speakers.bert()
    config = t.BertConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=512)
    return Made(model=t.BertForMaskedLM(config), processors=(tokenizer,))


@recipe("distilbert", **FILLS, prompt="A red [MASK] runs.")
def distilbert() -> Made:
    """BERT without segments."""
    tokenizer = speakers.bert(model_input_names=["input_ids", "attention_mask"])
    config = t.DistilBertConfig(
        vocab_size=len(tokenizer), dim=64, hidden_dim=128, n_layers=2, n_heads=4, max_position_embeddings=512
    )
    return Made(model=t.DistilBertForMaskedLM(config), processors=(tokenizer,))


@recipe("roberta", **FILLS, prompt="A red<mask> runs.")
def roberta() -> Made:
    """514 rows of positions for 512 tokens: numbering starts behind the pad id."""
    tokenizer = speakers.roberta()
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
    config = t.RobertaConfig(**SMALL, vocab_size=len(tokenizer), max_position_embeddings=514, **ids)
    return Made(model=t.RobertaForMaskedLM(config), processors=(tokenizer,))
