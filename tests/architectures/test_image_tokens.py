"""Numbers that people know, the resizing arithmetic against the library's own, and settings without sense."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdoctor.architectures import multimodal_model
from mmdoctor.architectures.image_tokens import count_image_tokens, image_token_counts, resizing
from mmdoctor.architectures.image_tokens.families import IMAGES as IMAGE_PROCESSORS
from mmdoctor.architectures.image_tokens.families import MODELS, PROCESSORS, USUAL
from mmdoctor.architectures.image_tokens.values import Refused
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import JsonDocument
from mmdoctor.facts.image_tokens import TokenCount
from mmdoctor.facts.model import ModelConfig, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor, Settings

CLIP = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14}
SIGLIP = {"model_type": "siglip_vision_model", "image_size": 384, "patch_size": 14}
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
EDGES = st.integers(1, 5000)


def facts(config: dict[str, Any], images: dict[str, Any], processor: dict[str, Any]) -> tuple[Any, ...]:
    document = JsonDocument(file="config.json", value=config)
    model = multimodal_model(ModelConfig(document=document, model_type=config["model_type"]))
    at = Settings(document=JsonDocument(file="preprocessor_config.json", value=images))
    joint = Settings(document=JsonDocument(file="processor_config.json", value=processor))
    return (
        model,
        model.vision or VisionModel(section=""),
        ImageProcessor(settings=at, type=at.read("image_processor_type", str)),
        Processor(settings=joint, processor_class=joint.read("processor_class", str)),
    )


def counted(
    config: dict[str, Any], images: dict[str, Any], processor: dict[str, Any], width: int, height: int
) -> TokenCount:
    return count_image_tokens(*facts(config, images, processor), width, height)


KNOWN = [
    (
        {"model_type": "llava", "vision_config": CLIP},
        {"size": {"shortest_edge": 336}, "crop_size": 336, "image_processor_type": "CLIPImageProcessor"},
        {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
        (1000, 600),
        576,
    ),
    (
        {"model_type": "llava_onevision", "vision_config": SIGLIP},
        {},
        {"num_image_tokens": 729, "vision_feature_select_strategy": "full"},
        (384, 384),
        729 + 27 * 28,
    ),
    (
        {"model_type": "llava_next", "vision_config": CLIP, "image_grid_pinpoints": PINPOINTS},
        {"size": {"shortest_edge": 336}, "crop_size": 336},
        {"patch_size": 14, "vision_feature_select_strategy": "default", "num_additional_image_tokens": 1},
        (672, 672),
        576 + 48 * 49,
    ),
    (
        {"model_type": "qwen2_5_vl", "vision_config": {"patch_size": 14, "spatial_merge_size": 2}},
        {"min_pixels": 3136, "max_pixels": 12845056},
        {},
        (1024, 768),
        999,
    ),
    (
        {"model_type": "qwen3_vl", "vision_config": {"patch_size": 16, "spatial_merge_size": 2}},
        {"patch_size": 16, "size": {"shortest_edge": 65536, "longest_edge": 16777216}},
        {},
        (1024, 768),
        768,
    ),
    (
        {"model_type": "internvl", "vision_config": {"model_type": "internvl_vision", "image_size": [448, 448]}},
        {"size": {"height": 448, "width": 448}},
        {},
        (896, 896),
        256 * 5,
    ),
    (
        {
            "model_type": "idefics3",
            "vision_config": {"model_type": "idefics3_vision", "image_size": 364, "patch_size": 14},
        },
        {},
        {},
        (364, 364),
        169 * 17,
    ),
    (
        {"model_type": "paligemma", "vision_config": {**SIGLIP, "image_size": 448}},
        {"size": {"height": 448, "width": 448}, "image_seq_length": 1024},
        {},
        (10, 10),
        1024,
    ),
    (
        {"model_type": "gemma3", "vision_config": {**SIGLIP, "image_size": 896}},
        {"size": {"height": 896, "width": 896}},
        {},
        (1000, 600),
        256,
    ),
    (
        {
            "model_type": "mistral3",
            "vision_config": {"model_type": "pixtral", "patch_size": 14},
            "spatial_merge_size": 2,
        },
        {"size": {"longest_edge": 1540}},
        {"patch_size": 14, "spatial_merge_size": 2},
        (1540, 1540),
        3025,
    ),
    ({"model_type": "blip-2", "vision_config": {}}, {}, {"num_query_tokens": 32}, (9, 9), 32),
]


@pytest.mark.parametrize(
    ("config", "images", "processor", "size", "tokens"), KNOWN, ids=[str(k[0]["model_type"]) for k in KNOWN]
)
def test_published_numbers(
    config: dict[str, Any], images: dict[str, Any], processor: dict[str, Any], size: tuple[int, int], tokens: int
) -> None:
    count = counted(config, images, processor, *size)

    assert (count.placeholders.count, count.features.count) == (tokens, tokens)


def test_class_defaults_are_named_as_such() -> None:
    count = counted(*KNOWN[3][:3], 100, 100)
    patch = next(u for u in count.placeholders.used if u.what == "patch_size")

    assert patch.default_of == "Qwen2VLImageProcessor"


def test_tables_fit_together() -> None:
    assert set(USUAL) == set(MODELS)
    assert {p for p, _ in USUAL.values()} <= set(PROCESSORS)
    assert {i for _, i in USUAL.values()} <= set(IMAGE_PROCESSORS)


@pytest.mark.parametrize("model_type", sorted(MODELS))
def test_the_library_has_these_classes(model_type: str) -> None:
    transformers = pytest.importorskip("transformers")
    processor, images = USUAL[model_type]
    version = int(transformers.__version__.split(".")[0])

    assert hasattr(transformers, processor)
    assert version < 5 or hasattr(transformers, images)


class Shape:
    """What the library's functions ask of an image."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = (3, height, width)


@pytest.fixture(scope="module")
def library() -> Any:
    pytest.importorskip("torchvision")
    return pytest.importorskip("transformers").models


@settings(max_examples=300, deadline=None)
@given(height=EDGES, width=EDGES, factor=st.sampled_from([14, 28, 32, 16]), least=st.integers(1, 10**5), span=EDGES)
def test_smart_resize(library: Any, height: int, width: int, factor: int, least: int, span: int) -> None:
    theirs = library.qwen2_vl.image_processing_qwen2_vl.smart_resize
    frames = library.glm4v.image_processing_glm4v.smart_resize
    most = least + span * 1000

    for ours, real in (
        (lambda: resizing.smart_resize((height, width), factor, least, most),
         lambda: theirs(height, width, factor, least, most)),
        (lambda: resizing.smart_resize_frames((height, width), 2, factor, least, most),
         lambda: frames(2, height, width, 2, factor, least, most)),
    ):  # fmt: skip
        try:
            expected = real()
        except ValueError:
            with pytest.raises(Refused):
                ours()
        else:
            assert ours() == expected


@settings(max_examples=300, deadline=None)
@given(
    height=EDGES, width=EDGES, tile=st.sampled_from([224, 364, 448]), least=st.integers(1, 4), most=st.integers(4, 40)
)
def test_tilings(library: Any, height: int, width: int, tile: int, least: int, most: int) -> None:
    got = library.got_ocr2.image_processing_got_ocr2.get_optimal_tiled_canvas
    llama = library.mllama.image_processing_mllama.get_optimal_tiled_canvas

    assert resizing.canvas((height, width), (tile, tile), least, most) == got(
        (height, width), (tile, tile), least, most
    )
    rows, columns = (int(edge) // tile for edge in llama(height, width, most, tile))
    assert resizing.fitting_canvas((height, width), tile, most) == (rows, columns)


@settings(max_examples=200, deadline=None)
@given(height=EDGES, width=EDGES, tile=st.sampled_from([224, 336]), most=st.integers(1, 20), largest=st.booleans())
def test_llama_4s_chunks(library: Any, height: int, width: int, tile: int, most: int, largest: bool) -> None:
    torch = pytest.importorskip("torch")
    from transformers.image_utils import SizeDict

    module = library.llama4.image_processing_llama4
    grids = torch.tensor(module.find_supported_resolutions(most, SizeDict(height=tile, width=tile)))
    best = module.get_best_fit((height, width), grids, resize_to_max_canvas=largest)

    ours = resizing.chunks((height, width), tile, most, largest=largest)
    assert ours == (int(best[0]) // tile, int(best[1]) // tile)


@settings(max_examples=300, deadline=None)
@given(height=EDGES, width=EDGES, edge=st.integers(28, 2000), patch=st.sampled_from([14, 16, 28]))
def test_other_sizes(library: Any, height: int, width: int, edge: int, patch: int) -> None:
    import numpy as np
    from transformers.image_processing_utils import select_best_resolution
    from transformers.image_transforms import get_resize_output_image_size, get_size_with_aspect_ratio

    size = (height, width)
    pixtral = library.pixtral.image_processing_pixtral.get_resize_output_image_size
    image = np.broadcast_to(np.zeros(1, dtype=np.uint8), (height, width, 3))
    plain = get_resize_output_image_size(image, edge, default_to_square=False, input_data_format="channels_last")

    assert resizing.best_resolution(size, [tuple(p) for p in PINPOINTS]) == tuple(
        select_best_resolution(size, PINPOINTS)
    )
    assert resizing.shortest_edge(size, edge) == plain
    assert resizing.shortest_edge(size, edge, 2 * edge) == get_size_with_aspect_ratio(size, edge, 2 * edge)
    ratio = max(height / edge, width / edge)
    if min(size) >= ratio:  # else the library scales an edge to nothing
        assert resizing.within(size, (edge, edge), (patch, patch)) == pixtral(
            image, (edge, edge), (patch, patch), input_data_format="channels_last"
        )


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2000),
    st.sampled_from([0, 2**31, 10**40, -1]),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 900), max_size=3),
    st.lists(st.lists(st.integers(-5, 900), max_size=3), max_size=3),
    st.dictionaries(
        st.sampled_from(["height", "width", "shortest_edge", "longest_edge"]), st.integers(-5, 10**9), max_size=3
    ),
)
IMAGE_KEYS = ("patch_size", "merge_size", "size", "crop_size", "do_resize", "do_center_crop", "image_processor_type")
TILE_KEYS = (
    "max_patches",
    "min_patches",
    "image_grid_pinpoints",
    "max_image_size",
    "do_image_splitting",
    "max_image_tiles",
)
COUNT_KEYS = (
    "num_image_tokens",
    "image_seq_length",
    "image_seq_len",
    "num_query_tokens",
    "num_additional_image_tokens",
)
RATIO_KEYS = ("spatial_merge_size", "downsample_factor", "pixel_shuffle_ratio", "downsample_ratio", "scale_factor")
MODEL_KEYS = (
    "vision_feature_select_strategy",
    "perceiver_config",
    "mm_tokens_per_image",
    "vision_config",
    "image_size",
)
OTHER_KEYS = ("temporal_patch_size", "min_pixels", "max_pixels", "img_size", "processor_class", "resize_to_max_canvas")
KEYS = st.sampled_from((*IMAGE_KEYS, *TILE_KEYS, *COUNT_KEYS, *RATIO_KEYS, *MODEL_KEYS, *OTHER_KEYS))
SECTION = st.dictionaries(KEYS, ODD, max_size=4)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(MODELS)), SECTION, SECTION, SECTION, SECTION)
def test_settings_without_sense_are_answered(
    model_type: str, top: dict[str, Any], tower: dict[str, Any], images: dict[str, Any], processor: dict[str, Any]
) -> None:
    vision = {"model_type": "clip_vision_model", "image_size": 336, "patch_size": 14, **tower}
    with suppress(NotApplicable, Unavailable):
        found = image_token_counts(
            *facts({"vision_config": vision, **top, "model_type": model_type}, images, processor)
        )
        assert all(c.placeholders.count is None or c.placeholders.count >= 0 for c in found.counts)
