"""DRF029."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from mmdoctor.check import check
from mmdoctor.facts.documents import escape
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.rope import RopeSection, RotaryEmbeddings
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem, Severity, any_json

OLD_KEYS: Mapping[str, tuple[str, ...]] = {
    "": ("rope_theta", "rotary_emb_base"),
    "full_attention": ("rope_theta", "global_rope_theta"),
    "sliding_attention": ("rope_local_base_freq", "local_rope_theta"),
}
"""Type of layers to the keys that transformers 4 has for their base."""

ORDINARY = 10000.0
"""The default of most classes in both versions."""
PARTIAL = "partial_rotary_factor"
INSIDE = frozenset({"rope_theta", PARTIAL})
"""Settings that transformers 4 has beside `rope_scaling` rather than in it."""


@check("DRF029", Severity.ERROR)
def rope_theta_lost_v5_to_v4(ropes: RotaryEmbeddings, libraries: Libraries) -> Iterator[Problem]:
    """The base of the rotary position embedding is not what the model was trained with, for one reader or for all.

    ## What it checks

    transformers 5 keeps the base in `rope_parameters`, transformers 4 beside it (`rope_theta`; of local layers
    `rope_local_base_freq` or `local_rope_theta`).

    - Both are stated and differ: one of them is wrong, whoever reads it.
    - `rope_scaling` was added to a file with `rope_parameters`: transformers 5 then takes it instead, and the base is
      its class's default.
    - Only `rope_parameters` is stated, and transformers before 5 is to load it: its class falls back to its own
      default, often 10000, and loses scaling and `mrope_section` as well. Where the default is the true base, nothing
      is lost.
    - Neither is stated, and the defaults of transformers 4 and 5 differ, or are not what the scaling was published
      with.

    ## Why it matters

    Nothing fails. Every position is rotated by another angle than in training: the model answers worse, and the worse
    the longer the prompt. Fine-tunes saved by transformers 5 and served by an engine with transformers 4 are the usual
    case; saved again by 4, they have the default written beside the true base.

    ## How to fix it

    State the same base in both places. vLLM guards against the loss in newer versions; others do not.

    ## Sources

    - https://github.com/vllm-project/vllm/issues/42624
    - https://github.com/vllm-project/vllm/pull/44158
    - https://github.com/vllm-project/vllm/issues/28542
    - https://github.com/sgl-project/sglang/issues/14745
    - https://github.com/InternLM/lmdeploy/issues/4304
    - https://github.com/deepspeedai/DeepSpeed/issues/8345
    - https://github.com/THUDM/slime/pull/1720
    """
    for section in ropes.sections:
        conflicts = list(_conflicts(section))
        yield from conflicts or (*_hidden(section), *_lost(section, libraries), *_absent(section))


def _new(section: RopeSection) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(Type of layers, pointer, settings) of `rope_parameters`."""
    settings = section.get("rope_parameters")
    if not isinstance(settings, dict):
        return
    at = f"{section.pointer}/rope_parameters"
    nested = [(str(label), value) for label, value in settings.items() if isinstance(value, dict)]
    yield from ((label, f"{at}/{escape(label)}", value) for label, value in nested)
    if not nested:
        yield "", at, settings


def _old(section: RopeSection, layers: str) -> tuple[str, float] | None:
    """Key and value of the base beside `rope_parameters`, where it is stated."""
    for key in OLD_KEYS.get(layers, ()):
        value = section.get(key)
        if _is_base(value):
            return key, value
    return None


def _conflicts(section: RopeSection) -> Iterator[Problem]:
    scaling = section.get("rope_scaling")
    inner = [("", f"{section.pointer}/rope_scaling", scaling)] if isinstance(scaling, dict) else []
    for layers, at, settings in (*_new(section), *inner):
        inside, beside = settings.get("rope_theta"), _old(section, layers)
        if beside is None or not _is_base(inside) or inside == beside[1]:
            continue
        key, value = beside
        pointer, place = f"{section.pointer}/{key}", f"{at}/rope_theta"
        wrong = _wrong(section, key, value, inside)
        edit = {"beside": (pointer, inside), "inside": (place, value)}.get(wrong)
        layer = f" of the {layers.replace('_', ' ')} layers" if layers else ""
        yield Problem(
            f"the base of the rotary embedding{layer} is {_text(value)} for transformers 4 ({key}) and {_text(inside)} "
            f"for 5 ({at.rpartition('/')[2]}): for one of them every position is wrong, without an error",
            because=[
                Evidence(key, value, section.document.at(pointer), inside if wrong == "beside" else None),
                Evidence("rope_theta", inside, section.document.at(place), value if wrong == "inside" else None),
            ],
            fix=Fix("set both to the base of the original model's config.json")
            if edit is None
            else Fix(
                f"set both to {_text(edit[1])}", (Edit(file=section.document.file, pointer=edit[0], value=edit[1]),)
            ),
        )


def _wrong(section: RopeSection, key: str, beside: float, inside: float) -> str:
    """Which of two bases is the wrong one, `beside` or `inside`; empty where that cannot be told."""
    if beside == section.old.get(key):  # what a save by transformers 4 leaves beside the true base
        return "beside"
    if section.get("vocab_size") is not None and key == "rope_theta" and ORDINARY in (beside, inside):
        return "beside" if beside == ORDINARY else "inside"  # the default of most classes, which was not chosen
    return ""


def _hidden(section: RopeSection) -> Iterator[Problem]:
    """`rope_scaling` goes before `rope_parameters` as a whole (convert_rope_params_to_dict), its base with it."""
    scaling = section.get("rope_scaling")
    if not section.known or section.nests or not isinstance(scaling, dict) or not scaling or "rope_theta" in scaling:
        return
    for layers, at, settings in _new(section):
        base, default = settings.get("rope_theta"), section.new.get("rope_theta")
        if layers or not _is_base(base) or base == default or _old(section, "") is not None:
            continue
        if not _is_base(default):
            continue
        hiding = f"{section.pointer}/rope_scaling"
        yield Problem(
            f"rope_scaling hides rope_parameters and has no base of its own: the base is {_text(default)}, the default "
            f"of {section.model_type}, and not {_text(base)}; every position is wrong, without an error",
            because=[
                Evidence("keys of rope_scaling", ", ".join(map(str, scaling))[:60], section.document.at(hiding)),
                Evidence("rope_theta of rope_parameters", base, section.document.at(f"{at}/rope_theta")),
            ],
            fix=Fix(f"state rope_theta {_text(base)} beside rope_scaling", (_edit(section, "rope_theta", base),)),
        )


def _lost(section: RopeSection, libraries: Libraries) -> Iterator[Problem]:
    """What transformers 4 does not find: it knows nothing of `rope_parameters`."""
    severity = libraries.severity_before("transformers", "5")
    if not section.in_old or section.get("rope_scaling") or severity is None:
        return
    lost: list[str] = []
    missing: dict[str, Any] = {}
    evidence: list[Evidence] = []
    for layers, at, settings in _new(section):
        for inside, key in (("rope_theta", _key(section, layers)), (PARTIAL, PARTIAL)):
            value, default = settings.get(inside), section.old.get(key or "", 1.0 if inside == PARTIAL else None)
            if key is not None and _is_base(value) and _is_base(default) and section.get(key) is None:
                missing[key] = value  # beside rope_scaling, transformers 5 takes it from here, too
                if value != default:
                    lost.append(f"{key} becomes {_text(default)} instead of {_text(value)}")
                    evidence.append(Evidence(inside, value, section.document.at(f"{at}/{inside}"), default))
        scaling = {k: v for k, v in settings.items() if k not in INSIDE and v is not None}
        if layers in ("", "full_attention") and _scales(scaling, section):
            kind = "mrope_section" if "mrope_section" in scaling else f"{scaling.get('rope_type', 'default')} scaling"
            lost.append("rope_scaling is absent" if kind == "default scaling" else f"the {kind} is lost")
            missing["rope_scaling"] = _three(scaling) if section.three_fields else scaling
            evidence.append(Evidence(kind, "in rope_parameters", section.document.at(at)))
    if not lost:
        return
    fails = section.needs_scaling and "rope_scaling" in missing
    yield Problem(
        f"{libraries.named('transformers')} does not read rope_parameters: {' and '.join(lost)}, "
        + ("and the model fails" if fails else "so that every position is wrong, without an error"),
        because=evidence,
        fix=Fix(
            f"add {', '.join(missing)} for transformers 4, which 5 reads as well",
            tuple(_edit(section, key, value) for key, value in missing.items()),
        ),
        severity=severity,
    )


def _key(section: RopeSection, layers: str) -> str | None:
    """The key of transformers 4 for the base of some layers, if its class has one."""
    return next((key for key in OLD_KEYS.get(layers, ()) if key in section.old), None)


def _scales(scaling: Mapping[str, Any], section: RopeSection) -> bool:
    """Whether transformers 4 needs the settings: they scale, or its class cannot do without them."""
    if "rope_scaling" in section.old:  # its class has settings of its own
        ours = {key: value for key, value in scaling.items() if key != "type"}
        return ours != {key: value for key, value in section.old["rope_scaling"].items() if key != "type"}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    return section.needs_scaling or "mrope_section" in scaling or kind not in ("default", "axial")


def _three(scaling: Mapping[str, Any]) -> dict[str, Any]:
    kind = scaling.get("rope_type", scaling.get("type"))
    return {"type": kind, **{key: scaling[key] for key in ("short_factor", "long_factor") if key in scaling}}


def _absent(section: RopeSection) -> Iterator[Problem]:
    """Nothing states the base, and what it becomes depends on the reader, or cannot be right."""
    if not section.known or section.nests or any(s.theta is None or s.theta.default_of is None for s in section.sets):
        return
    new, old = section.new.get("rope_theta"), section.old.get("rope_theta")
    at = section.document.at(section.pointer)
    if new is not None and old is not None and new != old:
        yield Problem(
            f"nothing states the base of the rotary embedding, and its default is {_text(old)} in transformers 4 and "
            f"{_text(new)} in 5: for one of them every position is wrong, without an error",
            because=[
                Evidence("rope_theta (default of transformers 4)", old, at),
                Evidence("of transformers 5", new, at),
            ],
            fix=Fix("state rope_theta as in the original model's config.json"),
            severity=Severity.WARNING,
        )
    elif new == ORDINARY and any(each.read_as == "llama3" and each.stated for each in section.sets):
        yield Problem(
            f"nothing states the base of the rotary embedding, so it is {_text(new)}, and no model with scaling of the "
            "kind llama3 was published with that base: every position may be wrong, without an error",
            because=[Evidence("rope_theta", None, at), Evidence("default of the class", new, at)],
            fix=Fix("state rope_theta as in the original model's config.json (Llama 3 has 500000)"),
            severity=Severity.WARNING,
            confidence=Confidence.LIKELY,
        )


def _is_base(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e18


def _edit(section: RopeSection, key: str, value: Any) -> Edit:
    return Edit(file=section.document.file, pointer=f"{section.pointer}/{key}", value=any_json(value))


def _text(base: float) -> str:
    return f"{base:.0f}" if base == int(base) else f"{base:g}"
