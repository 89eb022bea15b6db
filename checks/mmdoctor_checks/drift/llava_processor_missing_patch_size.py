"""DRF002."""

import json
from collections.abc import Iterator

from mmdoctor.check import check
from mmdoctor.facts.image_tokens import ImageTokenCounts, LlavaProcessor
from mmdoctor.finding import Edit, Evidence, Fix, Problem, Severity
from mmdoctor.location import Location

FILE = "processor_config.json"
STRATEGY = "vision_feature_select_strategy"


@check("DRF002", Severity.ERROR)
def llava_processor_missing_patch_size(llava: LlavaProcessor, counts: ImageTokenCounts | None) -> Iterator[Problem]:
    """A LLaVA processor does not say how an image becomes tokens.

    ## What it checks

    `patch_size` (LLaVA-OneVision: `num_image_tokens`) and `vision_feature_select_strategy` in processor_config.json,
    for the processor classes that have no default for them. A strategy that is absent is no problem as long as the
    count comes out right without it. Pixtral's and Video-LLaVA's processors have defaults and are left alone.

    ## Why it matters

    `TypeError: unsupported operand type(s) for //: 'int' and 'NoneType'` at the first image, in transformers and vLLM.
    Older releases only warned that `Expanding inputs for image tokens in LLaVa should be done in processing`, so
    checkpoints saved before 4.44, and fine-tunes of them, lack the settings. A guess such as 16 and `full` makes the
    error go away and the count wrong.

    ## How to fix it

    Write the values that follow from config.json: the patch size and strategy of the vision tower, and one additional
    token where the tower has a class token (CLIP has, SigLIP has not).

    ## Sources

    - https://github.com/vllm-project/vllm/issues/13690
    - https://github.com/vllm-project/vllm/issues/12515
    - https://github.com/huggingface/transformers/issues/30962
    - https://github.com/huggingface/transformers/issues/33424
    - https://github.com/huggingface/transformers/issues/41206
    - https://github.com/modelscope/ms-swift/issues/3928
    """
    wrong = next((c for c in counts.counts if not c.agree), None) if counts is not None else None
    if _stated(llava, llava.needed) is None:
        missing, end = llava.needed, "every request with an image fails with a TypeError"
    elif _stated(llava, STRATEGY) is None and wrong is not None:
        tokens, features = wrong.placeholders.count, wrong.features.count
        missing, end = STRATEGY, f"an image becomes {tokens} tokens where the model makes {features} features"
    else:
        return
    where = f"there is no {FILE}" if llava.settings is None else f"{FILE} has no {missing}"
    at = llava.settings.at() if llava.settings is not None else Location(file=FILE)
    yield Problem(
        f"{where}, and {llava.processor_class} has no default for {missing}: {end}",
        because=[
            Evidence(missing, None, at, expected=llava.right.get(missing)),
            *(Evidence(used.what, used.value, used.at) for used in llava.because),
        ],
        fix=_fix(llava, missing),
    )


def _stated(llava: LlavaProcessor, key: str) -> object:
    return llava.settings.get(key) if llava.settings is not None else None


def _fix(llava: LlavaProcessor, missing: str) -> Fix:
    if missing not in llava.right:
        return Fix(f"state {missing} in {FILE}: config.json does not tell it")
    if llava.settings is None:
        return Fix(f"write {FILE}: {json.dumps({'processor_class': llava.processor_class, **llava.right})}")
    settings = llava.settings
    wrong = {key: value for key, value in llava.right.items() if settings.get(key) != value}
    file, pointer = settings.document.file, settings.pointer
    edits = tuple(Edit(file=file, pointer=f"{pointer}/{key}", value=value) for key, value in wrong.items())
    return Fix(f"in {FILE} set {json.dumps(wrong)}", edits)
