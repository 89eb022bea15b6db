"""INT012."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.machine import Target
from mmdoctor.facts.quantisation import Adapter, AdapterBase
from mmdoctor.facts.source import WEIGHT_KINDS, Source
from mmdoctor.finding import Evidence, Fix, Problem, Severity
from mmdoctor.location import Location


@check("INT012", Severity.WARNING)
def adapter_only_directory(
    adapter: Adapter, base: AdapterBase | None, source: Source, target: Target | None
) -> Iterator[Problem]:
    """The folder holds an adapter, not a model.

    ## What it checks
    `adapter_config.json` without full weights beside it, and where its base model is to come from. It is an error
    where the base cannot be had: none is named, or it is a folder of another machine. With full weights in the same
    folder it is a warning, since loaders differ in which of the two they take.

    ## Why it matters
    vLLM, SGLang, llama.cpp and Ollama refuse such a folder as a model (`does not appear to have a file named
    config.json`). transformers with peft follows `base_model_name_or_path` and ignores full weights in the folder.

    ## How to fix it
    Serve the base model and name the folder as an adapter (`vllm serve BASE --enable-lora --lora-modules
    NAME=FOLDER`), or merge it: `PeftModel.from_pretrained(base, folder).merge_and_unload().save_pretrained(out)`.

    ## Sources
    - https://github.com/unslothai/unsloth/issues/1448
    - https://github.com/unslothai/unsloth/issues/186
    - https://github.com/microsoft/dp-transformers/issues/53
    - https://github.com/ollama/ollama/issues/9505
    """
    if not adapter.alone:
        yield _both(adapter, base)
        return
    kind = f"a {adapter.peft_type} adapter" if adapter.peft_type else "an adapter"
    config = adapter.settings.at()
    if base is None:
        yield Problem(
            f"this folder is {kind} and names no base model: nothing can load it",
            because=[Evidence("base_model_name_or_path", adapter.settings.get("base_model_name_or_path"), config)],
            fix=Fix("set base_model_name_or_path to the model that it was trained on"),
            severity=Severity.ERROR,
        )
        return
    evidence = [Evidence("base_model_name_or_path", base.name.value, base.name.at)]
    if base.is_path and not base.is_here:
        yield Problem(
            f"this folder is {kind} whose base model is {base.name.value!r}, a folder of another machine: it "
            "cannot be loaded",
            because=evidence,
            fix=Fix(
                "set base_model_name_or_path to the base model's name on the hub, or merge the adapter into its base"
            ),
            severity=Severity.ERROR,
        )
        return
    weights = [f for f in source.top() if f.kind in WEIGHT_KINDS and f.name.startswith("adapter_model")]
    evidence += [Evidence("weights (bytes)", f.size, Location(file=f.path)) for f in weights]
    yield Problem(
        f"this folder is {kind} of {base.name.value}, not a model: an engine that is given it as one will not start",
        because=evidence,
        fix=Fix(f"serve {base.name.value} with this folder as its adapter, or merge the two"),
        severity=_severity(bool(weights), target),
    )


def _severity(weights: bool, target: Target | None) -> Severity:
    """Without even the adapter's weights there is nothing to serve yet; an engine that was named will refuse it."""
    if not weights:
        return Severity.NOTE
    refuses = target is not None and (target.engine or "").lower() in ("vllm", "sglang", "llama.cpp", "ollama", "tgi")
    return Severity.ERROR if refuses else Severity.WARNING


def _both(adapter: Adapter, base: AdapterBase | None) -> Problem:
    name = base.name.value if base else "a base model that it does not name"
    return Problem(
        f"the folder holds full weights and an adapter of {name}: transformers loads the latter, vLLM the former",
        because=[Evidence("adapter configuration", adapter.peft_type, adapter.settings.at())],
        fix=Fix("move the adapter's files or the full weights into a folder of their own"),
    )
