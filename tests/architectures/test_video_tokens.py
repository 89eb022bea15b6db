"""Videos: figures that people know, and settings without sense."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.image_tokens.values import Refused, UnknownFamily, UnknownValue
from mmdoctor.architectures.video_tokens import count_video_tokens, video_settings, video_token_counts
from mmdoctor.architectures.video_tokens.families import JOINTS, MODELS, USUAL, VIDEOS
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import BrokenDocument, Documents, JsonDocument
from mmdoctor.facts.model import ModelConfig, VisionModel
from mmdoctor.facts.tokenizer import Processor, Settings

CLIP = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14}
SMALL = {**CLIP, "image_size": 224}
SIGLIP = {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14}
QWEN = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
CROP = {"size": {"shortest_edge": 336}, "crop_size": {"height": 336, "width": 336}}


def facts(config: dict[str, Any], joint: dict[str, Any]) -> tuple[Any, ...]:
    model = multimodal_model(
        ModelConfig(document=JsonDocument(file="config.json", value=config), model_type=config["model_type"])
    )
    document = JsonDocument(file="processor_config.json", value=joint)
    processor = Settings(document=document)
    documents = Documents(by_file={"processor_config.json": document})
    joined = Processor(settings=processor, processor_class=processor.read("processor_class", str))
    return model, model.vision or VisionModel(section=""), joined, documents


def features(config: dict[str, Any], joint: dict[str, Any], frames: int, width: int, height: int) -> Any:
    model, vision, processor, documents = facts(config, joint)
    videos = video_settings(documents)
    count = count_video_tokens(model, vision, videos, processor, frames, (width, height))
    assert count.agree
    return count.features.count


KNOWN: list[tuple[dict[str, Any], dict[str, Any], tuple[int, int, int], int]] = [
    # Two frames go into a patch: 400 frames of 336 x 336 pixels are 28,800 tokens (Qwen3-VL#1248).
    ({"model_type": "qwen2_vl", "vision_config": QWEN}, {"video_processor": {}}, (400, 336, 336), 28_800),
    # Video-LLaVA: 8 frames of 256 patches and a class token each; `video_seq_length` 2056 of its configuration.
    (
        {"model_type": "video_llava", "vision_config": SMALL},
        {"patch_size": 14, "num_additional_image_tokens": 1, "video_processor": {}},
        (8, 640, 480),
        2056,
    ),
    # LLaVA-NeXT-Video blog: 24 x 24 pooled by two: 144 tokens a frame; `video_seq_length` 288 for two.
    (
        {"model_type": "llava_next_video", "vision_config": CLIP},
        {"patch_size": 14, "video_processor": CROP},
        (2, 640, 480),
        288,
    ),
    # LLaVA-OneVision (arXiv 2408.03326): 196 tokens a frame, and a line's end.
    (
        {"model_type": "llava_onevision", "vision_config": SIGLIP},
        {"num_image_tokens": 729, "video_processor": {}},
        (32, 640, 480),
        32 * 196 + 1,
    ),
    # InternVL 2.5 (arXiv 2412.05271): 256 tokens a frame.
    (
        {
            "model_type": "internvl",
            "vision_config": {"model_type": "internvl_vision", "image_size": 448, "patch_size": 14},
        },
        {"video_processor": {"size": {"height": 448, "width": 448}}},
        (16, 640, 480),
        16 * 256,
    ),
]


@pytest.mark.parametrize(("config", "joint", "clip", "wanted"), KNOWN)
def test_known_figures(config: Any, joint: Any, clip: tuple[int, int, int], wanted: int) -> None:
    assert features(config, joint, *clip) == wanted


def test_another_depth_of_patches_is_told() -> None:
    config = {"model_type": "qwen2_5_vl", "vision_config": QWEN}
    counts = video_token_counts(*facts(config, {"video_processor": {"temporal_patch_size": 4}}))

    assert {c.features.count for c in counts.counts} == {None}
    assert "a patch has 2352 numbers, and the model wants 1176" in counts.counts[0].features.arithmetic


def test_settings_come_from_the_first_of_three_places() -> None:
    own = JsonDocument(file="video_preprocessor_config.json", value={"merge_size": 3})
    images = JsonDocument(file="preprocessor_config.json", value={"merge_size": 2})
    joint = JsonDocument(file="processor_config.json", value={"video_processor": {"merge_size": 4}})

    found = [
        video_settings(Documents(by_file={d.file: d for d in documents}))
        for documents in ((joint, own, images), (own, images), (images,), ())
    ]

    assert [s.get("merge_size") if s else None for s in found] == [4, 3, 2, None]


def test_a_broken_file_is_no_default() -> None:
    model, vision, processor, _ = facts({"model_type": "qwen2_vl", "vision_config": QWEN}, {})
    broken = Documents(by_file={}, broken=(BrokenDocument(file="video_preprocessor_config.json", reason="not JSON"),))

    with pytest.raises(Unavailable, match="not JSON"):
        video_token_counts(model, vision, processor, broken)


def test_families_without_a_formula_are_left_alone() -> None:
    with pytest.raises(NotApplicable, match="smolvlm"):
        video_token_counts(*facts({"model_type": "smolvlm", "vision_config": {}}, {}))


def test_every_class_is_described() -> None:
    assert set(USUAL) == set(MODELS)
    assert {name for name, _ in USUAL.values()} == set(JOINTS)
    assert {name for _, name in USUAL.values()} == set(VIDEOS)


VALUES = st.recursive(
    st.one_of(st.integers(-2, 10**30), st.floats(), st.none(), st.text(max_size=3), st.booleans()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["shortest_edge", "longest_edge", "height", "width"]), inner)
    ),
    max_leaves=5,
)
VIDEO_KEYS = sorted({key for kind in VIDEOS.values() for key in kind.defaults})
OTHER_KEYS = sorted({key for kind in (*JOINTS.values(), *MODELS.values()) for key in kind.defaults})


@settings(deadline=None, max_examples=300)
@given(
    kind=st.sampled_from(sorted(MODELS)),
    videos=st.dictionaries(st.sampled_from(VIDEO_KEYS), VALUES, max_size=4),
    others=st.dictionaries(st.sampled_from(OTHER_KEYS), VALUES, max_size=3),
    tower=st.dictionaries(st.sampled_from([*QWEN, "image_size", "model_type"]), VALUES, max_size=3),
    frames=st.integers(1, 5000),
    size=st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
)
def test_settings_without_sense(kind: str, videos: Any, others: Any, tower: Any, frames: int, size: Any) -> None:
    config = {"model_type": kind, "vision_config": {**SIGLIP, **QWEN, **tower}, **others}
    model, vision, processor, documents = facts(config, {"video_processor": videos, **others})

    with suppress(Refused, UnknownFamily, UnknownValue):
        count = count_video_tokens(model, vision, video_settings(documents), processor, frames, size)
        assert count.features.count is None or count.features.count >= 0
    with suppress(NotApplicable, Unavailable):
        assert video_token_counts(model, vision, processor, documents).counts is not None
