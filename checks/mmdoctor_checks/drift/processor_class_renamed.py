"""DRF020."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.library import NamedClass, NamedClasses
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.model import MultimodalModel
from mmdoctor.facts.tokenizer import Expectations
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor.versions import older

_PARTS = {
    "image_processor": ("image processor", "image_processor_type", "AutoImageProcessor fails on it"),
    "video_processor": ("video processor", "video_processor_type", "AutoVideoProcessor and the processor fail on it"),
    "feature_extractor": ("feature extractor", "feature_extractor_type", "AutoFeatureExtractor fails on it"),
    "processor": ("processor", "processor_class", "AutoProcessor takes the bare tokenizer in its place"),
}
"""Role to its words, its key, and what happens where the class is not there."""


@check("DRF020", Severity.ERROR, yields_to=("DRF019",))
def processor_class_renamed(
    classes: NamedClasses, libraries: Libraries, model: MultimodalModel, expected: Expectations
) -> Iterator[Problem]:
    """A processor file names a class that the library does not have.

    ## What it checks

    `image_processor_type` (or the legacy `feature_extractor_type`), `video_processor_type`, `feature_extractor_type`
    of sound and `processor_class` against the classes of the installed transformers, as its files name them; where
    none is installed, against the last release of transformers 4 and one of transformers 5. Names with and without
    `Fast` find each other. A file without the key is good where the model type has a class of its own. Models with
    code of their own (`auto_map`) are left out, and so are model types that the release does not know at all.

    ## Why it matters

    Loading ends in `Unrecognized image processor in ... Should have an image_processor_type key`; with an unknown
    `processor_class`, `AutoProcessor` returns the bare tokenizer without a word. Names change when a model is merged
    (`Qwen2_5_VLImageProcessor` was never in a release) and between the lines of the library.

    ## How to fix it

    Write the name that the release has, or install the release that the files were saved with.

    ## Sources

    - https://github.com/huggingface/transformers/issues/36193
    - https://github.com/QwenLM/Qwen2.5-VL/issues/777
    - https://github.com/QwenLM/Qwen2.5-VL/issues/912
    - https://github.com/Blaizzy/mlx-vlm/issues/209
    - https://github.com/om-ai-lab/VLM-R1/issues/40
    """
    for named in classes.classes:
        if named.role not in _PARTS or (named.role == "processor" and not (expected.image or expected.audio)):
            continue
        judged = _judged(named, classes, libraries)
        if judged is not None:
            severity, whose = judged
            yield _problem(named, model.config.model_type or "", severity, whose)


def _judged(named: NamedClass, classes: NamedClasses, libraries: Libraries) -> tuple[Severity, str] | None:
    """How bad it is that some release lacks the class, and which; None where none is known to."""
    version = libraries.version("transformers")
    if named.here is not None:
        return None if named.here else (Severity.ERROR, libraries.named("transformers"))
    if not named.unknown_to:
        return None
    if version is not None:
        mine = [v for v in named.unknown_to if v.partition(".")[0] == version.partition(".")[0]]
        if not mine or older(mine[0], version):  # it may have come after the release that was looked at
            return None
        return Severity.ERROR, libraries.named("transformers")
    whose = " and ".join(f"transformers {v}" for v in named.unknown_to)
    if named.known_by:
        return Severity.NOTE, whose
    return (Severity.NOTE if older(classes.newest, classes.saved_by or "") else Severity.ERROR), whose


def _problem(named: NamedClass, model_type: str, severity: Severity, whose: str) -> Problem:
    part, key, effect = _PARTS[named.role]
    if named.name is None:
        return Problem(
            f"the settings of the {part} have no {key}, and {whose} has none for {model_type}: {effect}",
            because=[Evidence(key, None, named.at, expected=named.usual or f"the class of the {part}")],
            fix=Fix(f"add {key}, as in the files of the model that this one was made from"),
            severity=severity,
        )
    fix = Fix(f"write the name of the class that the library has for the {part}, as the model's current files do")
    if named.known_by:
        fix = Fix(f"install transformers {' or '.join(named.known_by)}, or save the processor with the one that serves")
    elif named.meant is not None:
        edit = Edit(file=named.at.file, pointer=named.at.pointer or "", value=named.meant)
        fix = Fix(f"set {key} to {named.meant}", (edit,))
    return Problem(
        f"{key} is {named.name.value}, a class that {whose} does not have: {effect}",
        because=[Evidence(key, named.name.value, named.at, expected=named.meant or named.usual)],
        fix=fix,
        severity=severity,
    )
