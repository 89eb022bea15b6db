"""REF011."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.reference import ReferenceFiles, ReferenceSetting
from mmdoctor.finding import Evidence, Fix, Problem, Severity

_SHOWN = 8
"""Settings of one file that are listed."""
_CAUSES = ("INT001", "INT012", "INT025", "REF010")
_DRIFT = ("ATT005", "DRF005", "DRF014", "DRF016", "DRF017", "DRF019")


@check("REF011", Severity.ERROR, yields_to=(*_CAUSES, *_DRIFT))
def reference_copy_settings_changed(files: ReferenceFiles) -> Iterator[Problem]:
    """A copy of the reference model turns requests into other numbers than the model was trained with.

    ## What it checks

    A folder that says in its config.json that it is the reference model: how its processor resizes, scales and
    normalises a picture, which id each word has, which tokens begin, end, pad and mask a text, and what the answers are
    called. All of it must be what the bundled model has. Settings that decide no output are free.

    ## Why it matters

    The copy loads, keeps all shapes, and answers wrongly. The reference model serves to try a deployment with: a
    fault in the copy would be taken for one of the machine.

    ## How to fix it

    Set the values back as shown, or export the model again.

    ## Sources

    - https://huggingface.co/docs/transformers/main_classes/image_processor
    - https://huggingface.co/docs/tokenizers/api/models#tokenizers.models.WordPiece
    """
    by_file: dict[str, list[ReferenceSetting]] = {}
    for setting in files.differences:
        by_file.setdefault(setting.at.file or "", []).append(setting)
    for file, settings in by_file.items():
        first, more = settings[0], len(settings) - 1
        others = f", and {more} more settings differ" if more else ""
        yield Problem(
            f"{file} has {first.name} {first.observed}, the reference model was trained with {first.expected}{others}: "
            "it runs and answers wrongly",
            because=[Evidence(s.name, s.observed, s.at, s.expected) for s in settings[:_SHOWN]],
            fix=Fix("set it back, or export the model again: mmdoctor reference export TARGET --force"),
        )
