"""ATT002."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import ModelConfig, TextModel

_REJECTING = frozenset(
    {"arcee", "aria_text", "canary_decoder", "cosmos3_edge_text", "cwm", "deepseek_ocr2_text", "deepseek_v2", "esmc"}
    | {"eurobert", "gemma2", "gemma3_text", "gemma3n_text", "higgs_audio_v2", "hyperclovax", "internlm3", "jais2"}
    | {"iquestcoder", "llama", "minicpm3", "muse_glimmer_text", "muse_spark_text", "neucodec", "pocket_tts"}
    | {"t5gemma2_decoder", "t5gemma2_text", "ultrabert", "unlimited_ocr_text", "vaultgemma", "xcodec2"}
)
"""Types whose `validate_architecture` looks at the hidden size and not at `head_dim` (5.23, by trying all)."""


@check("ATT002", Severity.WARNING)
def transformers5_rejects_valid_head_dim(
    text: TextModel, config: ModelConfig, libraries: Libraries
) -> Iterator[Problem]:
    """The configuration is right, and transformers 5 refuses it.

    ## What it checks

    Language models of the types whose configuration class in transformers 5 wants a hidden size that is a multiple of
    the heads, although they state a `head_dim` of their own and need no such multiple. It speaks where the deployment's
    transformers, installed here or in `--env`, is of version 5. It is a fault of the library, not of the model.

    ## Why it matters

    `The hidden size (1792) is not a multiple of the number of attention heads (24)` while config.json is loaded.

    ## How to fix it

    Load it with transformers 4.57, or with a later 5 in which this is mended. The configuration stays as it is.

    ## Sources

    - https://github.com/huggingface/transformers/issues/46211
    """
    hidden, heads, size = text.hidden_size, text.num_attention_heads, text.head_dim
    if hidden is None or heads is None or size is None or heads.value <= 0 or hidden.value % heads.value == 0:
        return
    version = libraries.version("transformers")
    if (
        (text.model_type or config.model_type) not in _REJECTING
        or version is None
        or libraries.older("transformers", "5")
    ):
        return
    yield Problem(
        f"hidden_size {hidden.value} is no multiple of {heads.value} heads, which is fine with head_dim {size.value}, "
        f"but {libraries.named('transformers')} refuses such a configuration",
        because=[
            Evidence("hidden_size", hidden.value, hidden.at),
            Evidence("num_attention_heads", heads.value, heads.at),
            Evidence("head_dim", size.value, size.at),
        ],
        fix=Fix("load it with transformers 4.57; the configuration stays as it is"),
    )
