"""ATT009 fires where head and labels differ in number, and is silent where they agree or nobody classifies."""

from typing import Any

import pytest

from mmdoctor_checks.attention_shape.wrong_model_directory_or_head import wrong_model_directory_or_head
from tests.architectures.made import Shapes, examine

LABELS = {str(i): f"LABEL_{i}" for i in range(7)}


def config(architecture: str, **more: Any) -> dict[str, Any]:
    return {"model_type": "vit", "architectures": [architecture], "transformers_version": "5.2.0", **more}


def head(rows: int, *names: str) -> Shapes:
    return {"vit.encoder.layer.0.x.weight": (8, 8), **dict.fromkeys(names, (rows, 8))}


NAMES = [
    ("ViTForImageClassification", ("classifier.weight",)),
    ("DeiTForImageClassificationWithTeacher", ("cls_classifier.weight", "distillation_classifier.weight")),
    ("LlamaForSequenceClassification", ("score.weight",)),
    ("RobertaForSequenceClassification", ("classifier.out_proj.weight",)),
    ("BartForSequenceClassification", ("classification_head.out_proj.weight",)),
    ("ResNetForImageClassification", ("classifier.1.weight",)),
    ("ASTForAudioClassification", ("classifier.dense.weight",)),
    ("LayoutLMv3ForTokenClassification", ("classifier.weight",)),
]


@pytest.mark.parametrize(("architecture", "names"), NAMES)
def test_fires_on_another_number_of_classes(architecture: str, names: tuple[str, ...]):
    found = examine(wrong_model_directory_or_head, head(1000, *names), config(architecture, id2label=LABELS))

    assert len(found) == len(names)
    assert "1,000 classes, config.json has 7 labels" in found[0].message


@pytest.mark.parametrize(("architecture", "names"), NAMES)
def test_silent_on_heads_that_fit(architecture: str, names: tuple[str, ...]):
    assert examine(wrong_model_directory_or_head, head(7, *names), config(architecture, id2label=LABELS)) == ()


def test_only_the_last_layer_of_a_head_counts():
    vilt = {"classifier.0.weight": (16, 8), "classifier.1.weight": (16,), "classifier.3.weight": (7, 16)}
    roberta = {"classifier.dense.weight": (8, 8), "classifier.out_proj.weight": (7, 8)}

    for shapes, name in ((vilt, "ViltForQuestionAnswering"), (roberta, "RobertaForTokenClassification")):
        assert examine(wrong_model_directory_or_head, shapes, config(name, id2label=LABELS)) == ()
    short = {**vilt, "classifier.3.weight": (5, 16)}
    assert examine(wrong_model_directory_or_head, short, config("ViltForQuestionAnswering", id2label=LABELS))


@pytest.mark.parametrize(("rows", "fires"), [(2, False), (1000, True)])
def test_without_labels_the_library_assumes_two(rows: int, fires: bool):
    assert bool(examine(wrong_model_directory_or_head, head(rows, "classifier.weight"), config(NAMES[0][0]))) is fires


def test_silent_without_labels_on_types_of_others():
    value = config("XForImageClassification", model_type="somebodys")

    assert examine(wrong_model_directory_or_head, head(1000, "classifier.weight"), value) == ()


@pytest.mark.parametrize("architecture", ["ViTModel", "BertForMaskedLM", "CLIPModel", "ViTForMaskedImageModeling"])
def test_silent_on_classes_that_do_not_classify(architecture: str):
    assert examine(wrong_model_directory_or_head, head(1000, "classifier.weight"), config(architecture)) == ()


def test_silent_on_a_head_left_out_and_on_labels_as_a_number():
    assert examine(wrong_model_directory_or_head, head(7), config(NAMES[0][0], id2label=LABELS)) == ()
    assert examine(wrong_model_directory_or_head, head(7, "classifier.weight"), config(NAMES[0][0], num_labels=7)) == ()
