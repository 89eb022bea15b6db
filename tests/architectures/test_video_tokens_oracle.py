"""Both counts of videos against the real processors and the real models, exactly."""

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures.video_tokens import Refused, count_video_tokens, video_settings
from mmdoctor.facts.documents import Documents
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import Processor
from mmdoctor.facts.video_tokens import VideoTokenCount
from tests.architectures.image_token_oracle import facts

pytest.importorskip("transformers")
pytest.importorskip("torchvision")

import torch

from tests.specimens.recipe import recipes

FAMILIES = (
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen2_5_omni_thinker",
    "glm4v",
    "llava_next_video",
    "llava_onevision",
    "video_llava",
    "internvl",
)
ABSENT = object()
CHANGED: dict[str, list[dict[str, object]]] = {
    "qwen2_vl": [
        {"video_processor.merge_size": 1},
        {"video_processor.patch_size": 16},
        {"video_processor.temporal_patch_size": 4},
        {"video_processor.size": {"shortest_edge": 12544, "longest_edge": 100352}},
        {"video_processor.cap_pixels_per_frame": True, "video_processor.max_video_tokens": 256},
    ],
    "qwen3_vl": [
        {"video_processor.merge_size": 1},
        {"video_processor.size": {"shortest_edge": 65536, "longest_edge": 262144}},
        {"video_processor.cap_pixels_per_frame": True, "video_processor.max_video_tokens": 16},
    ],
    "glm4v": [
        {"video_processor.patch_size": 16},
        {"video_processor.size": {"shortest_edge": 784, "longest_edge": 99999}},
    ],
    "llava_next_video": [{"patch_size": 16}, {"patch_size": None}],
    "llava_onevision": [{"num_image_tokens": 576}, {"video_processor.size": {"height": 336, "width": 336}}],
    "video_llava": [{"num_additional_image_tokens": 0}, {"patch_size": ABSENT}],
    "internvl": [{"image_seq_length": 64}, {"image_seq_length": ABSENT}],
}


def clips(count: int, seed: int) -> Iterator[tuple[int, int, int]]:
    """(frames, width, height): the odd ones first, then drawn at random."""
    yield from ((1, 64, 64), (2, 30, 200), (3, 336, 336), (5, 17, 300), (8, 200, 28), (2, 200, 1))
    draw = random.Random(seed)
    for _ in range(count - 6):
        yield draw.randint(1, 9), int(2 ** draw.uniform(4.5, 8.6)), int(2 ** draw.uniform(4.5, 8.6))


class Bench:
    """A specimen on disk, and real ones to compare with."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.made = recipes()[name].make()
        self.made.processors[0].save_pretrained(folder)
        self.made.model.config.architectures = [type(self.made.model).__name__]
        self.made.model.config.save_pretrained(folder)
        self.made.model.eval()
        self.processor = self.made.processors[0]
        self._seen: dict[str, int] = {}

    def change(self, settings: dict[str, Any]) -> None:
        """Put other settings into the processor's file, and load it anew."""
        self.made.processors[0].save_pretrained(self.folder)
        file = self.folder / "processor_config.json"
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
        self.processor = type(self.made.processors[0]).from_pretrained(self.folder)

    def counted(self, frames: int, width: int, height: int) -> VideoTokenCount:
        engine = facts(self.folder)
        return count_video_tokens(
            engine.fact(MultimodalModel),
            engine.fact(VisionModel),
            video_settings(engine.fact(Documents)),
            engine.fact_or_none(Processor),
            frames,
            (width, height),
        )

    def compare(self, frames: int, width: int, height: int, *, run: bool) -> tuple[object, object]:
        """(What mmdoctor says, what really happens); the features only where the model is run."""
        try:
            count = self.counted(frames, width, height)
            said: Any = (count.placeholders.count, count.features.count if run else None)
        except Refused:
            said = "refused"
        video = torch.zeros((frames, 3, height, width), dtype=torch.uint8)
        prompt = f"{self.processor.video_token} what"
        kwargs = {"fps": 2} if self.name in ("qwen3_vl", "glm4v") else {}
        try:
            inputs = self.processor(
                videos=[video], text=[prompt], return_tensors="pt", do_sample_frames=False, return_metadata=True,
                video_metadata=[{"total_num_frames": frames, "frames_indices": list(range(frames)), **kwargs}],
            )  # fmt: skip
        except (ValueError, RuntimeError, TypeError, LookupError, ZeroDivisionError):
            return said, "refused" if said == "refused" else (None, said[1])
        try:
            features = self.features(inputs) if run else None
        except (ValueError, RuntimeError, TypeError, LookupError):
            features = None
        return said, (self.placeholders(inputs), features)

    def placeholders(self, inputs: Mapping[str, Any]) -> int:
        config = self.made.model.config
        named = config.image_token_id if self.name in ("glm4v", "internvl") else config.video_token_id
        return int((inputs["input_ids"] == named).sum())

    def features(self, inputs: Mapping[str, Any]) -> int:
        names = ("pixel_values_videos", "video_grid_thw", "pixel_values")
        given = {n: inputs[n] for n in names if n in inputs}
        key = repr([(n, v.shape, v.tolist() if n == "video_grid_thw" else None) for n, v in given.items()])
        if key not in self._seen:
            with torch.no_grad():
                inner = self.made.model.base_model
                function = inner.get_image_features if self.name == "internvl" else inner.get_video_features
                if self.name.startswith("llava"):
                    config = self.made.model.config
                    given |= {k: getattr(config, k) for k in ("vision_feature_layer", "vision_feature_select_strategy")}
                if self.name == "video_llava":
                    given["vision_feature_layer"] = self.made.model.config.vision_feature_layer
                pooled = function(**given).pooler_output
            tensors = pooled if isinstance(pooled, (list, tuple)) else [pooled]
            self._seen[key] = sum(t.numel() // t.shape[-1] for t in tensors)
        return self._seen[key]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_many_videos(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path)

    for number, clip in enumerate(clips(40, seed=len(name))):
        said, real = bench.compare(*clip, run=number % 5 == 0)
        assert said == real, clip


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_other_settings_of_the_processor(name: str, tmp_path: Path) -> None:
    bench = Bench(name, tmp_path)

    for number, settings in enumerate(CHANGED[name]):
        bench.change(settings)
        for place, clip in enumerate(clips(10, seed=number)):
            said, real = bench.compare(*clip, run=place % 3 == 0)
            assert said == real, (settings, clip)
