"""Both counts against the real processors and the real models, exactly."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures.image_tokens import Refused
from tests.architectures.image_token_oracle import Truth, counted, sizes

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

from tests.architectures.further import FURTHER
from tests.specimens.recipe import recipes

LLAVAS = (
    "llava",
    "vipllava",
    "video_llava",
    "llava_next",
    "llava_next_video",
    "llava_onevision",
    "pixtral",
    "mistral3",
)
QWENS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "glm4v", "internvl", "aya_vision")
IDEFICS = ("idefics2", "idefics3", "smolvlm")
OTHERS = ("paligemma", "gemma3", "blip-2", "instructblip", "llama4", "mllama")
FIXED = ("janus", "deepseek_vl", "deepseek_vl_hybrid", "florence2", "kosmos-2", "gemma3n")
TILED = ("lfm2_vl", "ovis2", "phi4_multimodal")
FAMILIES = (*LLAVAS, *QWENS, *IDEFICS, *OTHERS, *FIXED, *TILED)
QUICK = ("llava", "llava_next", "qwen2_vl", "idefics3", "mistral3", "paligemma", "gemma3")

RUN_EVERY = 6
"""The model runs on one of so many drawn sizes; on all of them it takes a quarter of an hour, and was run so once."""
ABSENT = object()
PINPOINTS = [[336, 1008], [1008, 1008], [672, 336]]
AREAS = {"shortest_edge": 12544, "longest_edge": 200704}


def nested(**settings: object) -> dict[str, object]:
    return {f"image_processor.{key}": value for key, value in settings.items()}


def square(edge: int) -> dict[str, int]:
    return {"height": edge, "width": edge}


CHANGED: dict[str, list[dict[str, object]]] = {
    "llava": [
        {"patch_size": 16},
        {"patch_size": None},
        {"num_additional_image_tokens": 0},
        {"vision_feature_select_strategy": "full"},
        {"vision_feature_select_strategy": None},
        nested(do_center_crop=False),
        nested(do_center_crop=False, size=square(336)),
        nested(do_center_crop=False, size={"shortest_edge": 336, "longest_edge": 400}),
        nested(crop_size=square(448)),
        nested(crop_size=336, size=336),
        nested(crop_size=ABSENT),
        nested(do_resize=False),
    ],
    "vipllava": [{"vision_feature_select_strategy": "full"}, {"num_additional_image_tokens": 0}],
    "video_llava": [
        {"patch_size": 16},
        {"patch_size": ABSENT, "vision_feature_select_strategy": ABSENT, "num_additional_image_tokens": ABSENT},
        {"num_additional_image_tokens": 0},
        nested(size={"shortest_edge": 256}),
    ],
    "llava_next": [
        {"patch_size": 16},
        {"patch_size": None},
        {"num_additional_image_tokens": 0},
        {"vision_feature_select_strategy": "full"},
        nested(image_grid_pinpoints=PINPOINTS),
        nested(image_grid_pinpoints=[[336, 672], [672, 672]]),
        nested(image_grid_pinpoints=ABSENT),
        nested(crop_size=square(224)),
        nested(size=square(336)),
    ],
    "llava_onevision": [
        {"num_image_tokens": 576},
        {"num_image_tokens": None},
        {"vision_feature_select_strategy": "default"},
        {"vision_aspect_ratio": "anyres_max_4"},
        nested(image_grid_pinpoints=[[384, 768], [768, 384]]),
        nested(size=square(336)),
    ],
    "pixtral": [
        {"spatial_merge_size": 2},
        {"spatial_merge_size": ABSENT},
        {"patch_size": 14},
        nested(size={"longest_edge": 448}),
        nested(patch_size=32),
    ],
    "mistral3": [
        {"spatial_merge_size": 1},
        {"spatial_merge_size": ABSENT},
        {"patch_size": 16},
        nested(size={"longest_edge": 700}),
        nested(patch_size=square(28)),
    ],
    "qwen2_vl": [
        nested(merge_size=1),
        nested(patch_size=16),
        nested(temporal_patch_size=1),
        nested(min_pixels=50176, max_pixels=200704),
        nested(size=AREAS),
        nested(size=ABSENT, merge_size=ABSENT, patch_size=ABSENT),
        nested(do_resize=False),
    ],
    "qwen3_vl": [nested(patch_size=14), nested(merge_size=1), nested(size=AREAS)],
    "glm4v": [nested(merge_size=1), nested(patch_size=16), nested(temporal_patch_size=4), nested(size=AREAS)],
    "internvl": [
        {"image_seq_length": 64},
        {"image_seq_length": ABSENT},
        nested(max_patches=4),
        nested(min_patches=3),
        nested(crop_to_patches=False),
        nested(size=square(224)),
    ],
    "aya_vision": [
        {"downsample_factor": 1},
        {"img_size": 384},
        {"patch_size": 14},
        nested(max_patches=3),
        nested(size=square(336)),
    ],
    "idefics2": [{"image_seq_len": 32}, {"image_seq_len": ABSENT}, nested(do_image_splitting=False)],
    "idefics3": [
        {"image_seq_len": 64},
        nested(do_image_splitting=False),
        nested(max_image_size={"longest_edge": 280}),
        nested(max_image_size=ABSENT),
        nested(size={"longest_edge": 1092}),
        nested(size={"longest_edge": 364}),
    ],
    "smolvlm": [
        {"image_seq_len": 81},
        nested(do_image_splitting=False),
        nested(max_image_size={"longest_edge": 384}),
        nested(size={"longest_edge": 1000}),
    ],
    "paligemma": [nested(image_seq_length=1024), nested(size=square(448))],
    "gemma3": [
        {"image_seq_length": 64},
        {"image_seq_length": ABSENT},
        nested(do_pan_and_scan=True, pan_and_scan_min_crop_size=256, pan_and_scan_max_num_crops=4),
        nested(size=square(448)),
    ],
    "blip-2": [{"num_query_tokens": 16}, {"num_query_tokens": None}],
    "instructblip": [{"num_query_tokens": 16}],
    "llama4": [
        {"patch_size": 16},
        {"pixel_shuffle_ratio": 1.0},
        nested(max_patches=4),
        nested(size=square(448)),
        nested(resize_to_max_canvas=True),
    ],
    "mllama": [nested(max_image_tiles=2)],
    "janus": [
        {"num_image_tokens": 256},
        {"num_image_tokens": ABSENT},
        nested(size=square(256)),
        nested(do_pad=False),
        nested(min_size=400),
        nested(do_resize=False),
    ],
    "deepseek_vl": [{"num_image_tokens": 575}, nested(size=square(448)), nested(do_pad=False)],
    "deepseek_vl_hybrid": [{"num_image_tokens": 64}, nested(size=square(512)), nested(do_pad=False)],
    "florence2": [
        nested(image_seq_length=577),
        nested(image_seq_length=ABSENT),
        nested(size=square(384)),
        nested(size=square(512)),
    ],
    "kosmos-2": [nested(size={"shortest_edge": 256}), nested(crop_size=square(256))],
    "gemma3n": [{"image_seq_length": 64}, {"image_seq_length": ABSENT}, nested(size=square(512))],
    "lfm2_vl": [
        nested(do_image_splitting=False),
        nested(min_tiles=1, max_tiles=3),
        nested(use_thumbnail=False),
        nested(max_image_tokens=128, max_pixels_tolerance=1.5),
        nested(downsample_factor=1),
        nested(downsample_factor=4),
        nested(encoder_patch_size=14),
        nested(tile_size=256),
    ],
    "ovis2": [
        {"image_seq_length": 64},
        {"image_seq_length": ABSENT},
        nested(crop_to_patches=False),
        nested(use_covering_area_grid=False, min_patches=2, max_patches=6),
        nested(max_patches=4),
        nested(size=square(140)),
    ],
    "phi4_multimodal": [nested(dynamic_hd=4), nested(dynamic_hd=16), nested(size=square(336)), nested(patch_size=16)],
}
"""Settings of the processor that differ from what the family's specimen has."""


class Bench:
    """A specimen on disk, and real ones to compare with."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.made = (FURTHER[name] if name in FURTHER else recipes()[name].make)()
        for processor in self.made.processors:
            processor.save_pretrained(folder)
        self.made.model.config.architectures = [type(self.made.model).__name__]
        self.made.model.config.save_pretrained(folder)
        self.truth = Truth(self.made.model, self.made.processors[0])

    def changed(self, settings: dict[str, Any], folder: Path) -> "Bench":
        """The same with other settings of the processor, loaded anew from the changed file."""
        from transformers import AutoProcessor

        shutil.copytree(self.folder, folder)
        file = folder / "processor_config.json"
        document = json.loads(file.read_text())
        for key, value in settings.items():
            *sections, leaf = key.split(".")
            place = document
            for section in sections:
                place = place[section]
            if value is ABSENT:
                place.pop(leaf, None)
            else:
                place[leaf] = value
        file.write_text(json.dumps(document))
        other = object.__new__(Bench)
        other.name, other.folder, other.made = self.name, folder, self.made
        other.truth = Truth(self.made.model, AutoProcessor.from_pretrained(folder))
        return other

    def compare(self, width: int, height: int, *, run: bool = True) -> tuple[object, object]:
        """(What mmdoctor says, what really happens): placeholders and features, None where a side raises.

        Without `run` the features are compared only where the model has seen tensors of these shapes before.
        """
        try:
            count = counted(self.folder, width, height)
            said: object = (count.placeholders.count, count.features.count)
        except Refused:
            said = "refused"
        try:
            inputs = self.truth.inputs(width, height)
        except (ValueError, RuntimeError, TypeError, LookupError, ZeroDivisionError):
            # The processor raises as a whole, so the model's side cannot be seen.
            return said if said == "refused" else (None, None), "refused" if said == "refused" else (said[0], None)  # type: ignore[index]
        try:
            features = self.truth.features(inputs, run=run)
        except (ValueError, RuntimeError, TypeError, LookupError):
            features = None
        if features is None and not run and said != "refused":
            said = (said[0], None)  # type: ignore[index]  # a pair of counts, where it is no text
        return said, (self.truth.placeholders(inputs), features)


def images(name: str, count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Sizes that the family's processor does not stumble over for reasons of its own."""
    for width, height in sizes(count, seed):
        if name == "video_llava" and height == 1:
            continue  # its processor takes the height of 1 for a number of channels
        if name in ("llava", "vipllava") and min(width, height) == 1 and max(width, height) > 500:
            continue  # 336 x 336,000 pixels before the crop
        yield width, height


@pytest.mark.parametrize("name", QUICK)
def test_a_few_images(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path)

    for size in ((336, 336), (700, 420), (64, 48), (130, 900)):
        said, real = bench.compare(*size)
        assert said == real, size


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FAMILIES)
def test_a_hundred_images(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path)

    for number, size in enumerate(images(name, 104, seed=FAMILIES.index(name))):
        said, real = bench.compare(*size, run=number < 10 or number % RUN_EVERY == 0)
        assert said == real, size


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CHANGED)
def test_other_settings_of_the_processor(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path / "healthy")

    for number, settings in enumerate(CHANGED[name]):
        other = bench.changed(settings, tmp_path / str(number))
        for place, size in enumerate(images(name, 14, seed=number)):
            said, real = other.compare(*size, run=place % 3 == 0)
            assert said == real, (settings, size)
