import re
from collections.abc import Iterator, Sequence

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import CompleteCheckpoint, Tensor
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.parts import Embeddings
from mmdoctor.facts.source import Source
from mmdoctor.facts.tokenizer import ChatTemplates
from mmdoctor.finding import Edit

_GENERATES = ("ForConditionalGeneration", "ForCausalLM", "ForVision2Seq", "LMHeadModel")
_EMBEDDER = re.compile(r"embed|rerank|reward|retriev|colbert|colpali|colqwen|\bgme\b", re.IGNORECASE)
_REPRESENT = re.compile(r"Represent the user|Judge whether the Document|<Instruct>:")
"""What the templates of embedding and ranking models ask for (Qwen3-VL-Embedding, Qwen3-VL-Reranker)."""
_SENTENCE_FILES = ("modules.json", "config_sentence_transformers.json")


@check(
    "INT014", Severity.ERROR, yields_to=("INT001", "INT002", "INT003", "INT005", "INT006", "INT008", "INT010", "INT012")
)
def lm_head_missing_tied(
    complete: CompleteCheckpoint,
    embeddings: Embeddings,
    model: MultimodalModel,
    source: Source | None,
    templates: ChatTemplates | None,
) -> Iterator[Problem]:
    """The output head is not in the checkpoint and the configuration does not tie it to the embedding.

    ## What it checks

    A model that generates has an output head of its own, or `tie_word_embeddings` says that the embedding serves as
    one. The flag stands at two levels, the top of config.json and the text section; transformers 5 asks the first,
    transformers 4 the second, and each has its own default where nothing is stated. An error needs both to come to "not
    tied"; where they come to different answers, it is a warning, or a note where one of them is only a default. Models
    that only embed, rank or reward need no head.

    ## Why it matters

    The head is filled with random numbers and the model writes random tokens, or the engine stops with a KeyError.

    ## How to fix it

    State the same `tie_word_embeddings` at both levels, or put the head into the checkpoint.

    ## Sources

    - https://github.com/huggingface/transformers/issues/43429
    - https://github.com/huggingface/transformers/issues/45000
    - https://github.com/hiyouga/LLaMA-Factory/issues/10560
    - https://github.com/QwenLM/Qwen3-VL-Embedding/issues/89
    """
    names = model.config.architectures
    if embeddings.embedding is None or embeddings.head is not None or not any(n.endswith(_GENERATES) for n in names):
        return
    if model.text is None or _embeds_only(source, templates, model) or _other_head(complete, embeddings.embedding):
        return
    new, old = _ties(model)
    if new is None or old is None or (new and old):
        return
    stated = [
        ("tie_word_embeddings", flag)
        for flag in (model.tie_word_embeddings, model.text.tie_word_embeddings if model.text.section else None)
        if flag is not None
    ]
    because = [
        *(Evidence(what, flag.value, flag.at, expected=True) for what, flag in stated),
        Evidence("output heads in the checkpoint", 0, model.config.document.at()),
        Evidence("token embedding", str(list(embeddings.embedding.shape)), embeddings.embedding.at),
    ]
    if new == old:
        yield Problem(
            f"the checkpoint has no output head and {_why(stated)}: {names[0]} would write random tokens",
            because=because,
            fix=Fix(
                "put the head into the checkpoint, or state tie_word_embeddings true if the model was trained so",
            ),
        )
        return
    right, wrong = ("transformers 5", "transformers 4") if new else ("transformers 4", "transformers 5")
    pointers = dict.fromkeys(("/tie_word_embeddings", f"{model.text.section}/tie_word_embeddings"))
    yield Problem(
        f"the checkpoint has no output head; {right} ties it to the embedding, {wrong} would fill it with random "
        "numbers, as the two levels of tie_word_embeddings disagree",
        because=because,
        fix=Fix(
            "state tie_word_embeddings true at both levels",
            tuple(Edit(file=model.config.document.file, pointer=p, value=True) for p in pointers),
        ),
        severity=Severity.WARNING if len(stated) == 2 and not (new and _saved_by_5(model)) else Severity.NOTE,
    )


def _saved_by_5(model: MultimodalModel) -> bool:
    """Whether transformers 5 wrote the file: it ties as it read, and transformers 4 opens few of its folders anyway."""
    return (model.config.transformers_version or "").partition(".")[0] == "5"


def _other_head(complete: CompleteCheckpoint, table: Tensor) -> bool:
    """Whether some tensor of another name scores the vocabulary."""
    return any(
        "lm_head" in name or (tensor.shape == table.shape and name != table.name and "embed" not in name)
        for name, tensor in complete.checkpoint.tensors.items()
        if len(tensor.shape) == 2
    )


def _ties(model: MultimodalModel) -> tuple[bool | None, bool | None]:
    """Whether transformers 5.23 (top level) and 4.57 (text section) tie the head; None where it is not known."""
    text, table = model.text, class_defaults()
    assert text is not None  # the caller has looked
    top, inner = model.tie_word_embeddings, text.tie_word_embeddings
    outer = table.get(model.config.model_type or "")
    within = table.get(text.model_type or "") if text.section else outer
    new = top.value if top else outer.ties[0] if outer else None
    if top is None and outer is not None and outer.ties[0] is None:  # the flag is the inner model's alone
        new = inner.value if inner else within.ties[0] if within else None
    default = (within.ties[1] if within.ties[1] is not None else within.ties[0]) if within else None
    old = inner.value if inner else default
    if new is None and old is None:
        return None, None
    if top is None and inner is None:
        return (new, old) if new == old else (None, None)
    if outer is not None and outer.ties[1] is None:  # transformers 4 does not have the type
        old = new
    if outer is None:  # code that comes with the model: any level that says so counts
        said = any(flag.value for flag in (top, inner) if flag is not None)
        return said, said
    return new, old


def _why(stated: Sequence[tuple[str, object]]) -> str:
    if not stated:
        return "config.json leaves tie_word_embeddings to its class, which does not tie"
    return "tie_word_embeddings is false" + (" at both levels" if len(stated) > 1 else "")


def _embeds_only(source: Source | None, templates: ChatTemplates | None, model: MultimodalModel) -> bool:
    """Whether the model gives vectors or scores, as files beside it, its template or its names tell."""
    if source is not None and (any(source.entry(f) for f in _SENTENCE_FILES) or _EMBEDDER.search(source.name)):
        return True
    if templates is not None and any(_REPRESENT.search(copy.text) for copy in templates.copies):
        return True
    name = model.config.document.get("/_name_or_path")
    return isinstance(name, str) and bool(_EMBEDDER.search(name))
