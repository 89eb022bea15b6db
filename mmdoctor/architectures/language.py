"""Language models and text encoders on their own."""

from mmdoctor.architectures.family import Family, text

_SEQ2SEQ = {
    "num_hidden_layers": ("decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers"),
    "encoder_layers": ("encoder_layers", "num_layers"),
}

FAMILIES = (
    Family(
        name="decoder",
        model_types=(
            ("llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next", "gemma", "gemma2")
            + ("gemma3_text", "gemma3n_text", "phi", "phi3", "phimoe", "gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "bloom")
            + ("mpt", "falcon", "gpt_bigcode", "starcoder2", "stablelm", "cohere", "cohere2", "olmo", "olmo2", "olmo3")
            + ("olmoe", "granite", "granitemoe", "smollm3", "internlm2", "internlm3", "baichuan", "chatglm", "deepseek_v2")
            + ("deepseek_v3", "glm", "glm4", "glm4_moe", "gpt_oss", "nemotron", "persimmon", "minicpm", "minicpm3")
            + ("exaone", "exaone4", "ernie4_5", "hunyuan_v1_dense", "llama4_text", "bailing_moe", "lfm2", "seed_oss")
            + ("helium", "codegen", "biogpt", "xglm", "dbrx", "arcee", "apertus", "ministral", "ministral3", "qwen2_vl_text")
        ),
        text=text("/text_config", ""),
    ),
    Family(
        name="encoder-decoder",
        model_types=("t5", "mt5", "umt5", "longt5", "bart", "mbart", "m2m_100", "marian", "pegasus", "blenderbot"),
        text=text("", **_SEQ2SEQ),
    ),
    Family(
        name="encoder",
        model_types=(
            ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "mpnet", "deberta", "deberta-v2", "camembert")
            + ("modernbert", "nomic_bert", "megatron-bert", "ernie", "convbert", "layoutlm", "xlm-roberta-xl")
        ),
        classes=("BertModel",),
        text=text("", decoder=False),
    ),
)
