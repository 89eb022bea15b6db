"""ATT009."""

import re
from collections.abc import Iterator, Mapping

from mmdoctor import Evidence, Fix, Problem, Severity, check
from mmdoctor.architectures.spelling import class_defaults
from mmdoctor.facts.checkpoint import Checkpoint, Tensor
from mmdoctor.facts.model import ModelConfig
from mmdoctor.location import Reading

_CLASSIFIES = re.compile(
    r"For(?:Image|Sequence|Token|Audio|Video)Classification(?:WithTeacher)?$|^ViltForQuestionAnswering$"
)
_LAST = re.compile(
    r"(?P<head>(?:cls_|distillation_)?classifier(?:_distill)?|score|classification_head|head|dist_head"
    r"|(?:timm_model\.)?fc|logits_proj)"
    r"(?:\.(?P<inner>\d+|linear|linear_out|out_proj|dense))?\.weight"
)
"""The last layer of every classification class of transformers 5.23, by building each with seven labels."""
_INNER = ("dense", "linear", "linear_out", "out_proj")
"""Layers of a head in the order in which they come; a number counts as its place."""
_DEFAULT_LABELS = 2
"""transformers/configuration_utils.py, PreTrainedConfig: `num_labels` where the file names no labels."""
_OTHER_DEFAULTS = {"bart": 3, "openai_privacy_filter": 33}
"""Types whose configuration class assumes another number (transformers 5.23)."""


@check("ATT009", Severity.ERROR)
def wrong_model_directory_or_head(checkpoint: Checkpoint, config: ModelConfig) -> Iterator[Problem]:
    """The classification head has another number of classes than the configuration.

    ## What it checks
    Where `architectures` names a class that classifies pictures, texts, tokens, sounds or videos: the rows of the last
    layer of its head against the labels of `id2label`, or `num_labels`, or the two that transformers assumes where
    neither is there. A head that other classes leave out, a pooler that is not there, and classes that do not classify
    are no matter of this rule.

    ## Why it matters
    `size mismatch for classifier.weight: copying a param with shape torch.Size([1000, 768]) from checkpoint, the shape
    in current model is torch.Size([2, 768])`, or, with `ignore_mismatched_sizes=True`, a random head and classes that
    mean nothing.

    ## How to fix it
    Take config.json and weights from the same folder. `ignore_mismatched_sizes=True` is for the start of a fine-tuning
    only.

    ## Sources
    - https://github.com/Gourieff/sd-webui-reactor/issues/20
    - https://github.com/google-research/vision_transformer/issues/150
    - https://github.com/huggingface/transformers/issues/13127
    - https://github.com/huggingface/transformers/issues/15876
    """
    if not config.architectures or not _CLASSIFIES.search(config.architectures[0]):
        return
    labels = _labels(config)
    if labels is None:
        return
    for head, last in _heads(checkpoint.tensors).items():
        if last.shape[0] != labels.value:
            yield Problem(
                f"{last.name} {list(last.shape)} has {last.shape[0]:,} classes, "
                f"config.json has {labels.value:,} labels: "
                f"{config.architectures[0]} does not load it, or its {head} stays random",
                because=[
                    Evidence("rows of the head", last.shape[0], last.at, labels.value),
                    Evidence("labels", labels.value, labels.at),
                ],
                fix=Fix("take config.json and weights from the same model"),
            )


def _heads(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last layer of each head, by the head's name."""
    found: dict[str, tuple[int, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _LAST.fullmatch(name)
        if match is None or len(tensor.shape) < 2:
            continue
        inner = match["inner"] or ""
        place = int(inner) if inner.isdecimal() else _INNER.index(inner) if inner else 0
        if match["head"] not in found or place > found[match["head"]][0]:
            found[match["head"]] = place, tensor
    return {head: tensor for head, (_, tensor) in found.items()}


def _labels(config: ModelConfig) -> Reading[int] | None:
    """Number of labels; None where a class outside of transformers decides."""
    document = config.document
    if isinstance(document.get("/id2label"), dict):
        return Reading(len(document.get("/id2label")), document.at("/id2label"))
    stated = document.read("/num_labels", int)
    if stated is not None:
        return stated
    if config.model_type in class_defaults() and config.transformers_version is not None:
        return Reading(_OTHER_DEFAULTS.get(str(config.model_type), _DEFAULT_LABELS), document.at("/architectures"))
    return None
