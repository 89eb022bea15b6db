"""DRF021."""

import json
from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.library import NamedClasses
from mmdoctor.facts.machine import Libraries
from mmdoctor.facts.tokenizer import ProcessorFiles
from mmdoctor.finding import Change, Evidence, Fix, Problem, Removal, Rewriting, Severity

_READS_SECTIONS = "4.56"
"""First release that reads them: image_processing_base.py and feature_extraction_utils.py of 4.56.2 look into
processor_config.json too, those of 4.55.4 do not."""
_OWN = {
    "image_processor": "preprocessor_config.json",
    "feature_extractor": "preprocessor_config.json",
    "video_processor": "video_preprocessor_config.json",
}
"""Section of processor_config.json to the file that the older releases read."""


@check("DRF021", Severity.ERROR)
def processor_saved_by_transformers5(
    files: ProcessorFiles, documents: Documents, classes: NamedClasses, libraries: Libraries
) -> Iterator[Problem]:
    """Image processor and feature extractor are where only transformers from 4.56 on looks for them.

    ## What it checks

    transformers 5 saves the settings of all parts as sections of processor_config.json, and no
    preprocessor_config.json. Releases before 4.56 read the latter alone. It is an error where such a release is the
    one of the deployment, a note where that is not known, and fine from 4.56 on. Model types that transformers 4 does
    not have are left out: they need 5 anyway.

    ## Why it matters

    `OSError: ... does not appear to have a file named preprocessor_config.json`, in the engine that bundles the older
    library, after the model has been trained and uploaded with the newer one.

    ## How to fix it

    Move the sections into files of their own: both lines read the folder then. A copy is not enough, the older
    releases take the section for the part itself (`Received a dict for argument image_processor`). Or install
    transformers 4.56 or later.

    ## Sources

    - https://github.com/huggingface/transformers/issues/44623
    - https://github.com/hiyouga/LLaMA-Factory/issues/8210
    - https://github.com/modelscope/ms-swift/issues/8352
    - https://github.com/OpenSQZ/MiniCPM-V-CookBook/issues/107
    """
    severity = libraries.severity_before("transformers", _READS_SECTIONS)
    joint = documents.find("processor_config.json")
    if severity is None or joint is None or not any(version.startswith("4") for version in classes.releases):
        return
    sections = [key for key in _OWN if isinstance(joint.get(f"/{key}"), dict)]
    if not sections or sections == ["video_processor"]:
        return
    alone = "preprocessor_config.json" not in files.present
    whose = f"{libraries.named('transformers')} reads"
    if severity is Severity.NOTE:
        whose = f"transformers before {_READS_SECTIONS}, and engines that bundle it, read"
    names = " and ".join(key.replace("_", " ") for key in sections)
    effect = "which is not there" if alone else "and takes the section for the part itself"
    moves = "; ".join(f"{key} to {_OWN[key]}" for key in sections)
    yield Problem(
        f"the settings of the {names} are sections of processor_config.json, as transformers 5 saves them; {whose} "
        f"preprocessor_config.json alone, {effect}: the processor does not load",
        because=[Evidence(key, "a section", joint.at(f"/{key}"), expected=_OWN[key]) for key in sections],
        fix=Fix(
            f"move the sections out of processor_config.json ({moves}), which every release reads; "
            f"or install transformers {_READS_SECTIONS} or later",
            tuple(_moved(joint, sections, files)),
        ),
        severity=severity,
    )


def _moved(joint: JsonDocument, sections: list[str], files: ProcessorFiles) -> Iterator[Change]:
    """Sections as files of their own; nothing where two belong into one file, or where there is one already."""
    homes = [_OWN[key] for key in sections]
    if len({*homes}) < len(homes) or any(home in files.present for home in homes):
        return
    for key in sections:
        yield Rewriting(file=_OWN[key], content=json.dumps(joint.get(f"/{key}"), indent=2) + "\n")
        yield Removal(file=joint.file, pointer=f"/{key}")
