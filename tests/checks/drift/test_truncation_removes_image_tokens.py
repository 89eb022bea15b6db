"""DRF012: lengths that the images of a prompt do not fit into."""

import json
from pathlib import Path
from typing import Any

import pytest

from mmdoctor.config import Wishes
from mmdoctor.facts.image_tokens import ImageRequest
from mmdoctor.finding import Finding, Severity
from mmdoctor.testing import fires, silent
from mmdoctor_checks.drift.truncation_removes_image_tokens import truncation_removes_image_tokens
from tests.checks.drift.image_folder import CLIP, TEXT, arguments, found, settle, square, write

TOKENIZER = {
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []},
    "added_tokens": [{"id": 2, "content": "<image>", "special": True}],
    "truncation": None,
    "padding": None,
}
TRUNCATED = {"direction": "Right", "max_length": 300, "strategy": "LongestFirst", "stride": 0}
PADDED = {"strategy": {"Fixed": 300}, "direction": "Right", "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}
NEVER = 1000000000000000019884624838656


def llava(
    folder: Path, settings: dict[str, Any], *, positions: int = 4096, scaling: Any = None, **tokenizer: Any
) -> Path:
    """576 tokens an image, whatever its size."""
    text = {**TEXT, "max_position_embeddings": positions, **({"rope_scaling": scaling} if scaling else {})}
    config = {"model_type": "llava", "vision_config": CLIP, "text_config": text}
    images = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 336}, "crop_size": square(336)}
    processor = {"processor_class": "LlavaProcessor", "patch_size": 14, "num_additional_image_tokens": 1}
    processor["vision_feature_select_strategy"] = "default"
    files = {"tokenizer_config": settings, "tokenizer": {**TOKENIZER, **tokenizer}}
    return write(folder, config, images, processor, **files)


def qwen(folder: Path, *, positions: int, settings: dict[str, Any] | None = None) -> Path:
    """4 to 16,384 tokens an image, 999 for one of 1024 x 768."""
    tower = {"model_type": "qwen2_vl", "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    config = {"model_type": "qwen2_vl", "vision_config": tower, "max_position_embeddings": positions, "hidden_size": 64}
    images = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "size": {"shortest_edge": 3136, "longest_edge": 12845056},
    }
    return write(folder, config, images, None, tokenizer_config=settings or {}, tokenizer=TOKENIZER)


def one(folder: Path, *, request: ImageRequest | None = None, target: Wishes | None = None) -> Finding:
    (finding,) = found(folder, "DRF012", request=request, target=target)
    return finding


@pytest.mark.parametrize(
    ("settings", "tokenizer", "at"),
    [
        ({"max_length": 300}, {}, "/max_length"),
        ({"max_length": 300, "truncation": True}, {}, "/max_length"),
        ({"truncation": True, "model_max_length": 300}, {}, "/model_max_length"),
        ({"truncation": "longest_first", "max_length": 300, "padding": "max_length"}, {}, "/max_length"),
        ({}, {"truncation": TRUNCATED}, "/truncation/max_length"),
        ({}, {"padding": PADDED}, "/padding/strategy/Fixed"),
    ],
)
def test_settings_that_cut_every_prompt(
    tmp_path: Path, settings: dict[str, Any], tokenizer: dict[str, Any], at: str
) -> None:
    finding = one(llava(tmp_path, settings, **tokenizer))

    assert finding.severity is Severity.ERROR
    assert "cut every prompt to 300 tokens" in finding.message
    assert "costs 576: every request with an image fails" in finding.message
    assert finding.location.pointer == at
    settle(tmp_path, finding)
    assert all(f.severity is Severity.NOTE for f in found(tmp_path, "DRF012"))


def test_a_length_that_only_the_text_exceeds(tmp_path: Path) -> None:
    assert one(llava(tmp_path, {"max_length": 800})).severity is Severity.WARNING


def test_the_edge(tmp_path: Path) -> None:
    assert not found(llava(tmp_path, {"max_length": 576 + 256}), "DRF012")
    assert one(llava(tmp_path, {"max_length": 576 + 255})).severity is Severity.WARNING


@pytest.mark.parametrize(
    "settings",
    [
        {"max_length": 300, "truncation": False},
        {"max_length": 300, "padding": True},
        {"max_length": 300, "padding": "longest"},
        {"truncation_side": "left", "stride": 0},
        {"max_length": NEVER},
        {"max_length": None, "truncation": True, "model_max_length": NEVER},
        {"max_length": "300"},
        {"max_length": -1},
    ],
)
def test_silent_where_nothing_is_cut(tmp_path: Path, settings: dict[str, Any]) -> None:
    assert not found(llava(tmp_path, settings), "DRF012")


@pytest.mark.parametrize("length", [NEVER, 1e30, 4096, 2048])
def test_silent_for_model_max_length_that_is_unset_or_large_enough(tmp_path: Path, length: float) -> None:
    assert not found(llava(tmp_path, {"model_max_length": length}), "DRF012")


def test_model_max_length_alone_is_a_note_since_nothing_cuts_to_it(tmp_path: Path) -> None:
    finding = one(llava(tmp_path, {"model_max_length": 512}))

    assert finding.severity is Severity.NOTE
    assert "nothing is cut" in finding.message


def test_engines_refuse_what_exceeds_the_positions(tmp_path: Path) -> None:
    finding = one(llava(tmp_path, {}, positions=512))

    assert finding.severity is Severity.ERROR
    assert "576 tokens, with 256 for the text 832 of the 512 that max_position_embeddings allows" in finding.message
    assert finding.location.pointer == "/text_config/max_position_embeddings"


def test_very_large_images_alone_are_a_note(tmp_path: Path) -> None:
    finding = one(qwen(tmp_path, positions=4096))

    assert finding.severity is Severity.NOTE
    assert "4096x4096 costs 16,384 tokens" in finding.message


def test_usual_images_are_a_warning(tmp_path: Path) -> None:
    assert one(qwen(tmp_path, positions=1024)).severity is Severity.WARNING


def test_silent_for_the_published_lengths(tmp_path: Path) -> None:
    assert not found(qwen(tmp_path / "qwen", positions=32768), "DRF012")
    assert not found(llava(tmp_path / "llava", {}), "DRF012")


@pytest.mark.parametrize("scaling", [{"type": "yarn", "factor": 4.0}, {"rope_type": "linear", "factor": 2}])
def test_silent_where_rope_scaling_makes_it_longer(tmp_path: Path, scaling: dict[str, Any]) -> None:
    assert not found(llava(tmp_path, {}, positions=512, scaling=scaling), "DRF012")


def test_the_flag_decides_over_config_json(tmp_path: Path) -> None:
    folder = qwen(tmp_path, positions=32768)

    assert one(folder, target=Wishes(max_model_len=8192)).severity is Severity.WARNING
    assert "--max-model-len" in one(folder, target=Wishes(max_model_len=8192)).message
    assert not found(qwen(tmp_path, positions=512), "DRF012", target=Wishes(max_model_len=20000))


def test_the_images_that_are_asked_about_count_with_their_markers(tmp_path: Path) -> None:
    folder = qwen(tmp_path, positions=4096)
    request = ImageRequest(sizes=((1024, 768), (64, 64)), per_prompt=4)

    finding = one(folder, request=request)

    assert finding.severity is Severity.WARNING
    assert f"4 images of 1024x768 cost {4 * 1001:,} tokens" in finding.message
    assert not found(folder, "DRF012", request=ImageRequest(sizes=((1024, 768),), per_prompt=3))


def test_several_of_the_dearest(tmp_path: Path) -> None:
    assert not found(llava(tmp_path, {"max_length": 1024}), "DRF012")

    finding = one(llava(tmp_path, {"max_length": 1024}), request=ImageRequest(per_prompt=2))

    assert "cut every prompt to 1,024 tokens, and 2 images" in finding.message


def test_blip_2_cuts_the_text_and_never_the_image(tmp_path: Path) -> None:
    config = {"model_type": "blip-2", "vision_config": {"image_size": 224, "patch_size": 14}, "num_query_tokens": 32}
    images = {"image_processor_type": "BlipImageProcessor", "size": square(224)}
    processor = {"processor_class": "Blip2Processor", "num_query_tokens": 32}
    folder = write(tmp_path, config, images, processor, tokenizer_config={"max_length": 40}, tokenizer=TOKENIZER)
    assert not found(folder, "DRF012")

    (folder / "tokenizer_config.json").write_text(json.dumps({"max_length": 20}))

    assert one(folder).severity is Severity.ERROR


def test_aya_vision_pads_so_that_a_length_alone_cuts_nothing(tmp_path: Path) -> None:
    tower = {"model_type": "siglip_vision_model", "image_size": 364, "patch_size": 14}
    config = {"model_type": "aya_vision", "vision_config": tower, "text_config": TEXT, "downsample_factor": 2}
    images = {"image_processor_type": "GotOcr2ImageProcessor", "size": square(364)}
    processor = {"processor_class": "AyaVisionProcessor", "patch_size": 28, "img_size": 364}
    folder = write(tmp_path, config, images, processor, tokenizer_config={"max_length": 300}, tokenizer=TOKENIZER)
    assert not found(folder, "DRF012")

    (folder / "tokenizer_config.json").write_text(json.dumps({"max_length": 150, "truncation": True}))

    assert one(folder).severity is Severity.ERROR


def test_a_wrong_count_is_told_by_its_own_rule(tmp_path: Path) -> None:
    folder = llava(tmp_path, {"max_length": 300})
    text = (folder / "processor_config.json").read_text().replace('"patch_size": 14', '"patch_size": 7')
    (folder / "processor_config.json").write_text(text)

    assert [f.code for f in found(folder, "DRF001", "DRF012")] == ["DRF001"]


FAMILIES = ("llava", "qwen2_vl", "gemma3")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_library_really_cuts(name: str, tmp_path: Path) -> None:
    """A length in tokenizer_config.json makes the processor raise, `model_max_length` does not."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("torchvision")
    from PIL import Image

    from tests.specimens.recipe import recipes

    made = recipes()[name].make()
    made.processors[0].save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    settings = json.loads(file.read_text())

    def tokens(**changed: object) -> int:
        file.write_text(json.dumps({**settings, **changed}))
        processor = transformers.AutoProcessor.from_pretrained(tmp_path)
        marker = processor.boi_token if name == "gemma3" else processor.image_token
        image = Image.new("RGB", (320, 240))
        return int(processor(images=[image], text=[f"{marker} what"], return_tensors="pt")["input_ids"].shape[1])

    whole = tokens()
    assert tokens(model_max_length=20) == whole
    assert tokens(max_length=20, padding=True) == whole
    for cutting in ({"max_length": 20}, {"truncation": True, "model_max_length": 20}):
        with pytest.raises(ValueError, match="Mismatch in `image` token count"):
            tokens(**cutting)


def test_by_its_facts(tmp_path: Path) -> None:
    rule, drifted = truncation_removes_image_tokens, llava(tmp_path / "b", {"max_length": 300})
    healthy = llava(tmp_path / "a", {})
    fires(rule, *arguments(rule, drifted))
    silent(rule, *arguments(rule, healthy))
