"""DRF030."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.library import NamedClass, NamedClasses
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.tokenizer import TokenizerFile
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Scalar, Severity
from mmdoctor.location import Location

_NEEDS = {"sentencepiece": ("sentencepiece", "protobuf"), "tiktoken": ("tiktoken",)}
"""Kind of vocabulary to the distributions that both lines of transformers convert it with (tried, each alone)."""
_MODEL_FILES = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model", "sentencepiece.model")
_GENERIC = "PreTrainedTokenizerFast"
"""What transformers 4 calls TokenizersBackend; 5 takes the name too."""


@check("DRF030", Severity.ERROR, yields_to=("INT001", "INT020", "INT025"))
def tokenizer_file_version(
    file: TokenizerFile, documents: Documents, classes: NamedClasses, libraries: Libraries
) -> Iterator[Problem]:
    """The tokenizer's files are of a version that the installed libraries do not read.

    ## What it checks

    Three things that depend on the libraries of the deployment. BPE merges written as pairs need tokenizers 0.20.
    What transformers 5 writes and 4 does not read: a class such as `TokenizersBackend`, `extra_special_tokens` as a
    list, and named tokens under `model_specific_special_tokens` that the processor of transformers 4 asks its
    tokenizer for. And a vocabulary that is only there as a SentencePiece or tiktoken model, which needs
    sentencepiece and protobuf, or tiktoken, to be converted; beside a tokenizer.json they are not needed. Each is an
    error where the libraries are known and do not read it; files of transformers 5 are a note where they are not.

    ## Why it matters

    `data did not match any variant of untagged enum ModelWrapper`, `Tokenizer class TokenizersBackend does not exist`,
    `'list' object has no attribute 'keys'` (often hidden behind `requires the protobuf library`), or a call for
    tiktoken where protobuf is missing: none of these messages names the cause.

    ## How to fix it

    Upgrade the library, or write the names that both lines read: class `PreTrainedTokenizerFast`,
    `additional_special_tokens` for the list, `extra_special_tokens` for the named tokens.

    ## Sources

    - https://github.com/huggingface/transformers/issues/31789
    - https://github.com/huggingface/transformers/issues/47553
    - https://github.com/allenai/open-instruct/issues/738
    - https://github.com/lllyasviel/FramePack/issues/147
    - https://github.com/vllm-project/vllm/issues/11010
    - https://github.com/mlfoundations/open_clip/issues/246
    """
    if file.broken is not None:
        return
    yield from _merges(file, libraries)
    config = documents.find("tokenizer_config.json")
    named = classes.of("tokenizer")
    if config is not None and any(version.startswith("4") for version in classes.releases):
        yield from _of_five(config, named, classes, libraries, has_json=file.file == "tokenizer.json")
    if named is not None or config is None or config.get("/tokenizer_class") is None:  # else it has code of its own
        yield from _packages(file, libraries)


def _merges(file: TokenizerFile, libraries: Libraries) -> Iterator[Problem]:
    merge = file.first_merge
    if merge is None or isinstance(merge.value, str):
        return
    library, first = ("tokenizers", "0.20") if libraries.version("tokenizers") else ("transformers", "4.45")
    if libraries.older(library, first):
        yield Problem(
            f"the merges of {file.file} are pairs, which tokenizers reads from 0.20 on, and {libraries.named(library)} "
            "is older: loading ends in 'data did not match any variant of untagged enum ModelWrapper'",
            because=[Evidence("first merge", " + ".join(merge.value), merge.at, expected=" ".join(merge.value))],
            fix=Fix("upgrade transformers to 4.45 or later, which brings tokenizers 0.20"),
        )


def _of_five(
    config: JsonDocument, named: NamedClass | None, classes: NamedClasses, libraries: Libraries, *, has_json: bool
) -> Iterator[Problem]:
    """What transformers 4 does not read in a tokenizer_config.json."""
    severity = libraries.severity_before("transformers", "5")
    if severity is None:
        return
    evidence, edits = [], []
    if named is not None and named.name is not None and not named.here and _unknown_to_four(named):
        evidence.append(Evidence("tokenizer_class", named.name.value, named.at, expected=named.usual or _GENERIC))
        if has_json and named.name.value == "TokenizersBackend":
            edits.append(Edit(file=named.at.file, pointer=named.at.pointer or "", value=_GENERIC))
    extra, own = config.get("/extra_special_tokens"), config.get("/model_specific_special_tokens")
    given: dict[str, Scalar] = {}
    if isinstance(own, dict) and not isinstance(extra, dict):
        given = {str(key): token for key, token in own.items() if isinstance(token, str)}
    if isinstance(extra, list) and not libraries.older("transformers", "4.47"):  # which began to read it
        at = config.at("/extra_special_tokens")
        evidence.append(Evidence("extra_special_tokens", f"a list of {len(extra)}", at, expected="an object"))
        texts: list[Scalar] = [token for token in extra if isinstance(token, str)]
        if len(texts) == len(extra):
            edits.append(Edit(file=config.file, pointer="/extra_special_tokens", value=given))
            if config.get("/additional_special_tokens") is None:
                edits.append(Edit(file=config.file, pointer="/additional_special_tokens", value=texts))
    elif given and set(given) & set(classes.tokenizer_attributes):
        at = config.at("/model_specific_special_tokens")
        asked = ", ".join(sorted(set(given) & set(classes.tokenizer_attributes)))
        evidence.append(Evidence("named tokens", asked, at, expected="in extra_special_tokens"))
    if given and evidence and not isinstance(extra, list):
        edits.append(Edit(file=config.file, pointer="/extra_special_tokens", value=given))
    if evidence:
        whose = libraries.named("transformers") if severity is Severity.ERROR else "transformers before 5"
        what = " and ".join(f"{e.what} {e.observed}" for e in evidence)
        yield Problem(
            f"the tokenizer is saved as transformers 5 does ({what}), and {whose} does not read that: "
            "AutoTokenizer or the processor fails",
            because=evidence,
            fix=Fix("write what both lines read, or install transformers 5", tuple(edits)),
            severity=severity,
        )


def _unknown_to_four(named: NamedClass) -> bool:
    return named.here is False or any(version.startswith("4") for version in named.unknown_to)


def _packages(file: TokenizerFile, libraries: Libraries) -> Iterator[Problem]:
    """A vocabulary that has to be converted, without what converts it."""
    if file.file not in _MODEL_FILES or libraries.version("transformers") is None:
        return
    missing = [name for name in _NEEDS.get(file.kind, ()) if libraries.lacks(name)]
    if missing:
        what = " and ".join(missing)
        yield Problem(
            f"the vocabulary is there as {file.file} ({file.kind}) alone, which {libraries.named('transformers')} "
            f"converts with {' and '.join(_NEEDS[file.kind])}, and {what} is not there: no tokenizer loads, and the "
            "message may ask for tiktoken",
            because=[
                Evidence("vocabulary", file.file, Location(file=file.file), expected=f"tokenizer.json, or {what}")
            ],
            fix=Fix(f"pip install {' '.join(missing)}; or ship the tokenizer.json that save_pretrained writes"),
        )
