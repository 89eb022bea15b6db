"""`mmdoctor check --image WxH --images-per-prompt N`: what images cost, in every format."""

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from tests.checks.drift.image_folder import TEXT, write
from tests.cli.conftest import Program

SCHEMA = json.loads(files("mmdoctor.report").joinpath("schema/report-v1.json").read_text(encoding="utf-8"))
HEADERS = ("--depth", "headers", "--select", "DRF012")


@pytest.fixture
def idefics(tmp_path: Path) -> Path:
    """Idefics 3 as published: tiles of 364 px and 169 tokens, a canvas of four."""
    tower = {"model_type": "idefics3_vision", "image_size": 364, "patch_size": 14, "hidden_size": 64}
    config = {"model_type": "idefics3", "vision_config": tower, "text_config": TEXT, "scale_factor": 2}
    sizes = {"size": {"longest_edge": 1456}, "max_image_size": {"longest_edge": 364}}
    images = {"image_processor_type": "Idefics3ImageProcessor", "do_image_splitting": True, **sizes}
    return write(tmp_path / "m", config, images, {"processor_class": "Idefics3Processor", "image_seq_len": 169})


def test_the_terminal_tells_the_cost_and_where_it_comes_from(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "--image", "1024x768", "--images-per-prompt", "2")

    text = " ".join(done.out.split())
    # 12 tiles of 4:3 and the whole image; each tile has two markers, each of 3 rows one, the end one.
    assert "a 1024x768 image costs 2,227 tokens: 2,197 for the image (169 x 13 tiles) and 30 around it" in text
    assert "2 of them in a prompt cost 4,454" in text
    assert "processor_config.json: image_seq_len 169 (line 1), max_image_size longest_edge 364 (line 1)" in text
    assert "config.json: vision_config.patch_size 14 (line 1), scale_factor 2 (line 1)" in text
    assert "do_resize True" in text


def test_several_sizes_share_their_origins(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "--image", "1024x768", "--image", "64X64")

    assert done.out.count("image costs") == 2
    assert done.out.count("image_seq_len 169") == 1
    assert "in a prompt" not in done.out


def test_markdown(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "-f", "markdown", "--image", "1024x768")

    assert "- a 1024x768 image costs 2,227 tokens" in done.out
    assert "  - config.json: vision" in done.out


def test_json(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "-f", "json", "--image", "1024x768", "--images-per-prompt", "3")
    report = json.loads(done.out)

    jsonschema.validate(report, SCHEMA, cls=jsonschema.Draft202012Validator)
    (image,) = report["artifact"]["images"]
    assert (image["width"], image["height"], image["tiles"]) == (1024, 768, 13)
    assert (image["placeholders"], image["features"], image["markers"], image["tokens"]) == (2197, 2197, 30, 2227)
    assert (image["images_per_prompt"], image["tokens_per_prompt"]) == (3, 6681)
    stated = next(s for s in image["settings"] if s["what"] == "image_seq_len")
    assert (stated["value"], stated["default_of"], stated["location"]["line"]) == (169, None, 1)
    assert next(s for s in image["settings"] if s["what"] == "do_resize")["default_of"] == "Idefics3ImageProcessor"


def test_without_the_option_there_is_no_list(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "-f", "json")

    assert json.loads(done.out)["artifact"]["images"] == []


def test_a_mismatch_is_told_with_both_numbers(program: Program, idefics: Path) -> None:
    file = idefics / "processor_config.json"
    file.write_text(file.read_text().replace("169", "64"))

    done = program("check", idefics, *HEADERS, "--image", "1024x768")

    assert "the model makes 2,197 of it, so such a request fails" in " ".join(done.out.split())


def test_what_cannot_be_told_has_its_reason(program: Program, tmp_path: Path) -> None:
    folder = write(tmp_path / "m", {"model_type": "bert", "hidden_size": 8}, {"size": 8}, None)

    done = program("check", folder, "--depth", "headers", "--image", "1024x768")

    assert "what a 1024x768 image costs cannot be told: " in " ".join(done.out.split())


@pytest.mark.parametrize(
    "size", ["1024", "1024x", "x768", "0x768", "-3x4", "1024x768x3", "1e3x4", "9999999x1", "a picture"]
)
def test_what_is_no_size_is_refused(program: Program, idefics: Path, size: str) -> None:
    done = program("check", idefics, "--image", size)

    assert done.code == 2
    assert "write width and height in pixels, such as 1024x768" in done.err


@pytest.mark.parametrize(("option", "value"), [("--images-per-prompt", "0"), ("--max-model-len", "0")])
def test_numbers_below_one_are_refused(program: Program, idefics: Path, option: str, value: str) -> None:
    assert program("check", idefics, option, value).code == 2


def test_max_model_len_is_part_of_the_target(program: Program, idefics: Path) -> None:
    done = program("check", idefics, *HEADERS, "-f", "json", "--max-model-len", "2000")
    report = json.loads(done.out)

    assert report["target"]["max_model_len"] == 2000
    assert [(f["code"], f["severity"]) for f in report["findings"]] == [("DRF012", "warning")]
