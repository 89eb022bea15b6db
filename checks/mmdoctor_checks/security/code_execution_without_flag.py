"""SEC005."""

from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.remote_code import RemoteCode
from mmdoctor.facts.source import Source
from mmdoctor.location import Location

_SHOWN = 6


@check("SEC005", Severity.ERROR)
def code_execution_without_flag(documents: Documents, source: Source, code: RemoteCode | None) -> Iterator[Problem]:
    """A configuration file makes some loaders run code although nobody allowed it.

    ## What it checks
    - error: an `auto_map` in a section (`vision_config`, ...) that names another repository. vLLM before the fix of
      CVE-2025-66448 fetches and runs it although `trust_remote_code` is off.
    - error: `model_file` in config.json: mlx-lm imports that Python file.
    - warning: `trust_remote_code: true` in a file, which some loaders hand on as if the user had said so.
    - note: `custom_generate/generate.py`, which transformers' `generate` runs when the model is trusted.

    An `auto_map` in a section that names files of this model (InternVL has one) is normal.

    ## Why it matters
    Leaving `--trust-remote-code` off is what users rely on. These keys go around it.

    ## How to fix it
    Delete the key. Upgrade vLLM to 0.11.1 or later. Do not serve the model before you know who put it there.

    ## Sources
    - https://github.com/NVIDIA/Model-Optimizer/issues/1357
    - https://github.com/vllm-project/vllm/security/advisories/GHSA-8fr4-5q9j-m8gm
    - https://github.com/ml-explore/mlx-lm/issues/1385
    - https://github.com/tomaarsen/SpanMarkerNER/issues/87
    """
    nested = [r for r in code.references if r.nested and r.repository is not None] if code is not None else []
    if nested:
        yield Problem(
            f"a section of {nested[0].at.file} names code of {nested[0].repository}: vLLM before 0.11.1 fetches and "
            "runs it although trust_remote_code is off (CVE-2025-66448)",
            because=[Evidence("code of another repository", r.value, r.at) for r in nested[:_SHOWN]],
            fix=Fix("delete this auto_map"),
        )
    yield from _model_file(documents.find("config.json"))
    for document in documents.by_file.values():
        said = [p for p, value in document.walk() if p.rpartition("/")[2] == "trust_remote_code" and value is True]
        if said:
            yield Problem(
                f"{document.file} says trust_remote_code: loaders that pass it on run the model's code unasked",
                because=[Evidence("trust_remote_code", True, document.at(p), expected=False) for p in said[:_SHOWN]],
                fix=Fix("delete the key; whoever serves the model decides"),
                severity=Severity.WARNING,
            )
    if source.entry("custom_generate/generate.py") is not None:
        yield Problem(
            "custom_generate/generate.py replaces transformers' generation where the model is trusted",
            because=[Evidence("code for generation", "generate.py", Location(file="custom_generate/generate.py"))],
            severity=Severity.NOTE,
        )


def _model_file(document: JsonDocument | None) -> Iterator[Problem]:
    named = document.read("/model_file", str) if document is not None else None
    if named is not None and named.value.strip():
        yield Problem(
            f"config.json names {named.value} as model_file: mlx-lm imports that Python file without being asked",
            because=[Evidence("model_file", named.value, named.at)],
            fix=Fix("delete the key before the model is loaded with mlx-lm"),
        )
