"""DRF028."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.machine import Libraries, Target
from mmdoctor.facts.rope import RopeSection, RopeSet, RotaryEmbeddings
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor_checks.drift.rope_numbers import numbers, problem
from mmdoctor_checks.drift.rope_sections import sections


@check("DRF028", Severity.ERROR)
def rope_config_version(ropes: RotaryEmbeddings, libraries: Libraries, target: Target) -> Iterator[Problem]:
    """The settings of the rotary position embedding are incomplete, contradict themselves, or are too new.

    ## What it checks

    `rope_scaling` and `rope_parameters` of every section of config.json, flat or by type of layer:

    - the kind is one that transformers has, and has the keys that it needs, with usable numbers;
    - `mrope_section` is there where the family needs it, and twice its sum is the rotated part of a head
      (`head_dim x partial_rotary_factor`: [16, 24, 24] for 128, [11, 11, 10] for a quarter of 256);
    - the lists of `longrope` have half as many numbers as the rotated part of a head;
    - YaRN's `factor x original_max_position_embeddings` reaches `max_position_embeddings`;
    - the installed transformers knows the kind (`llama3` since 4.43).

    `type: mrope` beside `rope_type: default` is normal, and so is the warning `Unrecognized keys ... mrope_section`.

    ## Why it matters

    Without a key the model does not load (`KeyError: Missing required keys`); with wrong lengths the first forward pass
    fails (`split_with_sizes expects split_sizes to sum exactly to 64`). A wrong number or a missing `mrope_section` in
    vLLM fails nowhere: positions are wrong, and answers get worse the longer the prompt and the larger the image.

    ## How to fix it

    Copy the section from the original model's config.json, or upgrade transformers.

    ## Sources

    - https://github.com/QwenLM/Qwen3-VL/issues/209
    - https://github.com/huggingface/transformers/issues/33401
    - https://github.com/vllm-project/vllm/issues/7905
    - https://github.com/vllm-project/vllm/issues/6897
    - https://github.com/vllm-project/vllm/issues/10293
    - https://github.com/Blaizzy/mlx-vlm/issues/1710
    """
    for section in ropes.sections:
        for key in ("rope_scaling", "rope_parameters"):
            value = section.get(key)
            if section.known and value and not isinstance(value, dict):
                at = section.document.at(f"{section.pointer}/{key}")
                yield Problem(
                    f"{key} is a {type(value).__name__}, not an object: the configuration does not load",
                    because=[Evidence(key, str(value)[:40], at)],
                    fix=Fix("copy the section from the original model's config.json"),
                )
        for each in section.sets:
            wrong = list(_kind(section, each, libraries))
            yield from wrong or numbers(section, each)
            yield from sections(section, each, vllm=target.engine == "vllm")


def _kind(section: RopeSection, each: RopeSet, libraries: Libraries) -> Iterator[Problem]:
    """The kind must be one that the class has, with what it needs."""
    key = "rope_type" if "rope_type" in each.values else "type"
    if section.known and each.stated and not each.read_as:
        yield problem(
            section,
            each,
            f"the kind of rotary embedding is {each.kind!r}, which transformers does not have: the model does not load",
            (key, None),
        )
    elif section.known and each.stated and each.missing:
        absent = ", ".join(each.missing)
        said = f"rotary embeddings of the kind {each.kind} need {absent}, and {each.at} lacks "
        said += "it" if len(each.missing) == 1 else "them"
        if each.missing == ("original_max_position_embeddings",):
            said += f": transformers 4 refuses it, and 5 takes {section.positions} and computes other frequencies"
        else:
            said += ": the configuration does not load (`KeyError: Missing required keys`)"
        yield problem(section, each, said, (key, None))
    elif section.known and each.until and (severity := libraries.severity_from("transformers", each.until)):
        yield problem(
            section,
            each,
            f"transformers from {each.until} on refuses the kind {each.kind!r} of rotary embeddings without "
            f"original_max_position_embeddings beside it, and so does not load this configuration",
            (key, each.read_as),
            severity=severity,
            fix=Fix(
                f"name the kind {each.read_as}",
                (Edit(file=section.document.file, pointer=f"{each.at}/{key}", value=each.read_as),),
            ),
        )
    elif each.since and each.at.endswith("/rope_scaling") and libraries.older("transformers", each.since):
        here = libraries.named("transformers")
        yield problem(
            section,
            each,
            f"rotary embeddings of the kind {each.kind} need transformers {each.since}, and {here} is older: the "
            "configuration does not load, or the scaling is ignored",
            (key, None),
            fix=Fix(f"upgrade transformers to {each.since} or newer"),
        )
