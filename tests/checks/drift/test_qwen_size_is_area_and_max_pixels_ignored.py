"""DRF010 fires where an image's pixels are limited twice, in edges, or in vain."""

from typing import Any

import pytest

from mmdoctor.facts.machine import Libraries
from mmdoctor.finding import Edit, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.qwen_size_is_area_and_max_pixels_ignored import qwen_size_is_area_and_max_pixels_ignored
from tests.checks.drift.packed import IMAGES, config, geometry

RULE = qwen_size_is_area_and_max_pixels_ignored
GLM = {"image_processor_type": "Glm4vImageProcessor"}


def _facts(
    images: dict[str, Any], model_type: str = "qwen2_vl", libraries: Libraries | None = None, nested: bool = False
) -> tuple[Any, ...]:
    section = {**IMAGES, **images}
    files = {"processor_config.json": {"image_processor": section}} if nested else {"preprocessor_config.json": section}
    return geometry(config(model_type), files), libraries or Libraries()


def _size(least: object, most: object) -> dict[str, Any]:
    return {"shortest_edge": least, "longest_edge": most}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("size", [448, [448, 448], {"height": 448, "width": 448}, {"longest_edge": 200704}, {}])
def test_fires_without_both_keys(size: object, nested: bool) -> None:
    (problem,) = fires(RULE, *_facts({"size": size}, nested=nested))

    assert problem.severity is Severity.ERROR
    assert (problem.because[0].at.pointer or "").endswith("/size")


def test_the_old_names_inside_size_are_put_right() -> None:
    (problem,) = fires(RULE, *_facts({"size": {"min_pixels": 3136, "max_pixels": 200704}}))

    assert problem.fix is not None
    assert problem.fix.edits == (Edit(file="preprocessor_config.json", pointer="/size", value=_size(3136, 200704)),)


def test_fires_on_two_different_values() -> None:
    (problem,) = fires(RULE, *_facts({"max_pixels": 200704, "size": _size(3136, 12845056)}))

    assert problem.severity is None
    assert "256 tokens" in problem.message
    assert "16384 tokens" in problem.message
    assert {e.at.pointer for e in problem.because} == {"/max_pixels", "/size/longest_edge"}


@pytest.mark.parametrize("images", [{"max_pixels": 200704, "size": _size(12544, 9633792)}, {"max_pixels": 200704}])
def test_fires_where_the_class_ignores_max_pixels(images: dict[str, Any]) -> None:
    (problem,) = fires(RULE, *_facts({**GLM, **images}, "glm4v"))

    assert "ignores max_pixels" in problem.message
    assert "128 tokens" in problem.message


def test_silent_where_the_ignored_value_is_nearly_the_one_that_counts() -> None:
    images = {"image_processor_type": "Ernie4_5_VLMoeImageProcessor", "min_pixels": 3136, "max_pixels": 4816896}

    silent(RULE, *_facts(images, "ernie4_5_vl_moe"))


@pytest.mark.parametrize(("edge", "severity"), [(336, "error"), (1024, "error"), (3919, "error"), (3920, "warning")])
def test_fires_on_an_edge_for_an_area(edge: int, severity: str) -> None:
    (problem,) = fires(RULE, *_facts({"size": _size(56, edge)}))

    assert problem.severity == severity
    assert str(edge**2) in (problem.fix.text if problem.fix else "")


def test_sixteen_tokens_are_meant() -> None:
    fires(RULE, *_facts({"size": _size(56, 16 * 784 - 1)}))
    silent(RULE, *_facts({"size": _size(56, 16 * 784)}))


def test_fires_on_exchanged_limits() -> None:
    (problem,) = fires(RULE, *_facts({"min_pixels": 12845056, "max_pixels": 50176}))

    assert "blown up to 12845056" in problem.message


def test_fires_on_a_text() -> None:
    (problem,) = fires(RULE, *_facts({"max_pixels": "200704"}))

    assert problem.because[0].at.pointer == "/max_pixels"


@pytest.mark.parametrize(
    "images",
    [
        {"min_pixels": 3136, "max_pixels": 12845056},
        {"size": _size(65536, 16777216)},
        {"min_pixels": 4096, "max_pixels": 1310720, "size": _size(4096, 1310720)},
        {"min_pixels": 3136, "max_pixels": 12845056, "size": {"min_pixels": 3136, "max_pixels": 12845056}},
        {"min_pixels": None, "max_pixels": None, "size": None},
        {},
    ],
    ids=["Qwen2-VL", "Qwen3-VL", "saved by 4.57", "saved by 4.49", "nulls", "class defaults"],
)
def test_silent_on_what_is_published(images: dict[str, Any]) -> None:
    silent(RULE, *_facts(images))


def test_silent_where_nothing_is_resized() -> None:
    silent(RULE, *_facts({"do_resize": False, "size": _size(56, 1024)}))


def test_a_slow_class_of_transformers_4_ignores_size() -> None:
    images = {"size": _size(3136, 12845056)}
    bare = Libraries(versions={"transformers": "4.57.6"}, complete=True)
    whole = Libraries(versions={"transformers": "4.57.6", "torchvision": "0.24"}, complete=True)

    (problem,) = fires(RULE, *_facts(images, libraries=bare))
    assert "1003520" in problem.message
    silent(RULE, *_facts(images, libraries=whole))
    silent(RULE, *_facts({**images, "max_pixels": 12845056}, libraries=bare))


def test_videos_are_looked_at_too() -> None:
    videos = {**IMAGES, "video_processor_type": "Qwen3VLVideoProcessor", "patch_size": 14}
    files = {"preprocessor_config.json": IMAGES, "video_preprocessor_config.json": videos}

    silent(RULE, geometry(config("qwen3_vl"), {**files}), Libraries())
    files["video_preprocessor_config.json"] = {**videos, "size": _size(448, 1024)}
    (problem,) = fires(RULE, geometry(config("qwen3_vl"), files), Libraries())
    assert "of every video" in problem.message


@pytest.mark.parametrize("wild", [-1, 0, True, 10**40, [], {"shortest_edge": {}, "longest_edge": []}, "x", 1.5])
def test_wild_sizes_are_missing_ones(wild: object) -> None:
    (problem,) = fires(RULE, *_facts({"size": wild}))

    assert problem.severity is Severity.ERROR


@pytest.mark.parametrize("key", ["patch_size", "merge_size"])
@pytest.mark.parametrize("wild", ["14", -1, [14, 28], {}, 10**40, float("nan")])
def test_without_a_patch_to_measure_by_it_is_silent(key: str, wild: object) -> None:
    silent(RULE, *_facts({key: wild, "size": _size(3136, 1024)}))
