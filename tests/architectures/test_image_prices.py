"""What an image costs beside its placeholders, against the real processors."""

from pathlib import Path
from typing import Any

import pytest

from mmdoctor.architectures.image_tokens.prices import image_prices, largest_image
from mmdoctor.engine import NotApplicable
from mmdoctor.facts.image_tokens import ImagePrice, ImageRequest
from mmdoctor.facts.model import MultimodalModel, VisionModel
from mmdoctor.facts.tokenizer import ImageProcessor, Processor
from tests.checks.drift.image_folder import CLIP, SIGLIP, TEXT, facts, square, write

QWEN_IMAGES = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "size": {"shortest_edge": 3136, "longest_edge": 12845056},
}
QWEN = {
    "model_type": "qwen2_vl",
    "vision_config": {"model_type": "qwen2_vl", "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2},
}


def given(folder: Path) -> tuple[Any, ...]:
    engine = facts(folder)
    return tuple(engine.fact_or_none(kind) for kind in (MultimodalModel, VisionModel, ImageProcessor, Processor))


def price(folder: Path, width: int, height: int) -> ImagePrice:
    (one,) = image_prices(ImageRequest(sizes=((width, height),)), *given(folder)).prices
    return one


def test_start_and_end_of_qwen(tmp_path: Path) -> None:
    one = price(write(tmp_path, QWEN, QWEN_IMAGES, None), 1024, 768)

    assert one.count is not None
    assert (one.count.placeholders.count, one.markers) == (999, 2)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        # SmolVLM (512 px, 64 tokens a tile, canvas of 4 tiles): 13 tiles for 4:3, 17 for a square.
        ((1024, 768), (13 * 64, 2 * 13 + 1 + 3)),
        ((800, 800), (17 * 64, 2 * 17 + 1 + 4)),
    ],
)
def test_rows_and_tiles_of_smolvlm(tmp_path: Path, size: tuple[int, int], tokens: tuple[int, int]) -> None:
    tower = {"model_type": "smolvlm_vision", "image_size": 512, "patch_size": 16, "hidden_size": 64}
    config = {"model_type": "smolvlm", "vision_config": tower, "text_config": TEXT, "scale_factor": 4}
    sizes = {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}}
    images = {"image_processor_type": "SmolVLMImageProcessor", **sizes}
    folder = write(tmp_path, config, images, {"processor_class": "SmolVLMProcessor", "image_seq_len": 64})

    one = price(folder, *size)

    assert one.count is not None
    assert (one.count.placeholders.count, one.markers) == tokens


def test_an_image_that_is_refused_says_why(tmp_path: Path) -> None:
    one = price(write(tmp_path, QWEN, QWEN_IMAGES, None), 3, 30000)

    assert one.count is None
    assert "aspect ratio" in one.reason


def test_a_family_that_is_not_known_says_so(tmp_path: Path) -> None:
    folder = write(tmp_path, {"model_type": "clip", "vision_config": CLIP}, {"size": square(224)}, None)

    assert "no formula for image tokens is known for clip" in price(folder, 100, 100).reason
    with pytest.raises(NotApplicable):
        largest_image(*given(folder))


def test_without_a_configuration_nothing_is_told() -> None:
    (one,) = image_prices(ImageRequest(sizes=((1, 1),)), None, None, None, None).prices

    assert "config.json" in one.reason


def test_the_dearest_the_usual_and_the_cheapest(tmp_path: Path) -> None:
    largest = largest_image(*given(write(tmp_path, QWEN, QWEN_IMAGES, None)))

    counts = [c.placeholders.count for c in (largest.cheapest, largest.usual, largest.dearest)]
    assert counts == [4, 999, 16384]


def test_all_images_of_paligemma_cost_the_same(tmp_path: Path) -> None:
    config = {"model_type": "paligemma", "vision_config": SIGLIP, "text_config": TEXT}
    images = {"image_processor_type": "SiglipImageProcessor", "size": square(384), "image_seq_length": 729}
    largest = largest_image(*given(write(tmp_path, config, images, {"processor_class": "PaliGemmaProcessor"})))

    assert largest.cheapest.placeholders.count == largest.dearest.placeholders.count == 729


EXACT = (
    "llava",
    "llava_next",
    "llava_onevision",
    "mistral3",
    "pixtral",
    "internvl",
    "aya_vision",
    "idefics2",
    "llama4",
)
EXTRA = {"gemma3": 2, "idefics3": 1, "smolvlm": 1}
"""What the tiny tokenizers need more: they split two line breaks, which the published ones have as one token."""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", [*EXACT, *EXTRA])
def test_the_real_prompt_grows_by_exactly_that(name: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from PIL import Image

    from tests.specimens.recipe import recipes

    made = recipes()[name].make()
    processor = made.processors[0]
    processor.save_pretrained(tmp_path)
    made.model.config.save_pretrained(tmp_path)
    marker = processor.boi_token if name == "gemma3" else processor.image_token
    alone = len(processor.tokenizer(" what")["input_ids"])

    for width, height in ((1024, 768), (300, 200), (100, 900)):
        inputs = processor(images=[Image.new("RGB", (width, height))], text=[f"{marker} what"], return_tensors="pt")
        one = price(tmp_path, width, height)
        assert one.count is not None
        assert one.markers is not None
        said = (one.count.placeholders.count or 0) + one.markers + EXTRA.get(name, 0)
        assert inputs["input_ids"].shape[1] - alone == said, (width, height)
