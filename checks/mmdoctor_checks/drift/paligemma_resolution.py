"""DRF007."""

from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor_checks.drift.tile_settings import tile_problem

FAMILIES = ("paligemma", "colpali")
KEY = "num_image_tokens"


@check("DRF007", Severity.ERROR, yields_to=("ATT005",))
def paligemma_resolution(
    model: MultimodalModel, vision: VisionModel, counts: ImageTokenCounts | None
) -> Iterator[Problem]:
    """The processor is one for images of another resolution than the model takes.

    ## What it checks

    PaliGemma comes for 224, 448 and 896 pixels, with 256, 1024 and 4096 image tokens: `(image_size / patch_size)²` of
    config.json has to be the image processor's `image_seq_length`, and its `size` has to be `image_size`. A
    `num_image_tokens` in config.json that says otherwise is a note: transformers computes the number itself.

    ## Why it matters

    A model for 448 pixels with the processor of the one for 224 gets 256 tokens where it makes 1024 features: `Number
    of images does not match number of special image tokens in the input text. Got 256 image tokens in the text but
    1024 tokens from image embeddings`, or the position table refuses the image. ColPali is a PaliGemma inside.

    ## How to fix it

    Ship the processor of the same resolution, or set `size` and `image_seq_length` to what follows from config.json.

    ## Sources

    - https://github.com/huggingface/transformers/issues/36008
    - https://github.com/illuin-tech/colpali/issues/74
    """
    if model.config.model_type not in FAMILIES:
        return
    problem = tile_problem(counts, vision) if counts is not None else None
    if problem is not None:
        yield problem
        return
    yield from _stale(model, vision)


def _stale(model: MultimodalModel, vision: VisionModel) -> Iterator[Problem]:
    """Numbers that nobody reads (configuration_paligemma.py sets the text model's itself)."""
    if vision.image_size is None or vision.patch_size is None or vision.patch_size.value <= 0:
        return
    right = (vision.image_size.value // vision.patch_size.value) ** 2
    sections = {vision.section, model.text.section if model.text is not None else vision.section}
    stated = [model.config.document.read(f"{section}/{KEY}", int) for section in sorted(sections)]
    wrong = [reading for reading in stated if reading is not None and reading.value != right]
    if not wrong:
        return
    yield Problem(
        f"config.json states {wrong[0].value} image tokens for {vision.image_size.value} px, and there are {right}: "
        "transformers computes the number itself, another engine may believe it",
        because=[
            *(Evidence(KEY, reading.value, reading.at, expected=right) for reading in wrong),
            Evidence("image size (pixels)", vision.image_size.value, vision.image_size.at),
            Evidence("patch size (pixels)", vision.patch_size.value, vision.patch_size.at),
        ],
        fix=Fix(
            f"set {KEY} to {right}", tuple(Edit(file=r.at.file, pointer=r.at.pointer or "", value=right) for r in wrong)
        ),
        severity=Severity.NOTE,
    )
