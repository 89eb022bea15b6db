"""`mmdoctor reference describe`: measured shapes, true sums, papers that the code cites too."""

import importlib
import inspect
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch

from mmdoctor.cli import main
from mmdoctor.docs import reference_pages
from mmdoctor.facts.reference import Anatomy, PartAnatomy
from mmdoctor.reference import KINDS, load
from mmdoctor.reference.config import FusionKind
from mmdoctor.reference.describing import describe
from mmdoctor.report import anatomy_svg, anatomy_v1


@pytest.fixture(scope="module", params=KINDS)
def anatomy(request: pytest.FixtureRequest) -> Anatomy:
    return describe(request.param)


def everything(parts: Sequence[PartAnatomy]) -> Iterator[PartAnatomy]:
    for part in parts:
        yield part
        yield from everything(part.parts)


def test_the_parts_are_the_whole_model_once(anatomy: Anatomy) -> None:
    kind: FusionKind = next(kind for kind in KINDS if kind == anatomy.fusion)
    model = load(kind)

    assert sum(part.parameters for part in anatomy.parts) == anatomy.parameters
    assert anatomy.parameters == sum(parameter.numel() for parameter in model.parameters())
    for part in everything(anatomy.parts):
        module = model.get_submodule(part.module.partition(".{")[0] + (".0" if ".{" in part.module else ""))
        assert sum(parameter.numel() for parameter in module.parameters()) == part.parameters


def test_the_layers_are_those_of_the_configuration(anatomy: Anatomy) -> None:
    config = json.loads((Path(anatomy.folder) / "config.json").read_text())
    counts = {
        part.module.partition(".")[0]: part.count for part in everything(anatomy.parts) if ".layers." in part.module
    }
    stated = {"vision_model": "vision_config", "text_model": "text_config", "fusion": "fusion_config"}
    if anatomy.fusion == "late":
        del stated["fusion"]

    for module, section in {**stated, "decoder": "decoder_config"}.items():
        found = [p.count for p in everything(anatomy.parts) if p.module.startswith(module) and "layers" in p.module]
        assert found[:1] == ([config[section]["num_hidden_layers"]] if config[section]["num_hidden_layers"] else [])
    assert counts["decoder"] >= 1


def test_shapes_are_measured() -> None:
    parts = {part.module: part for part in everything(describe().parts)}

    def sizes(module: str) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        return [s.sizes for s in parts[module].reads], [s.sizes for s in parts[module].writes]

    width = load().config.fusion_config.hidden_size
    tokens = parts["text_model"].reads[0].sizes[1]
    assert sizes("vision_model") == ([(1, 3, 48, 48)], [(1, 37, width)])
    assert sizes("fusion") == ([(1, 37, width), (1, tokens, width)],) * 2
    assert sizes("fusion.layers.0.text_to_image.cross_attn") == (
        [(1, tokens, width), (1, 37, width)],
        [(1, tokens, width)],
    )
    assert sizes("decoder.layers.0.cross_attn")[0][1] == (1, 37 + tokens, width)
    assert sizes("heads.box") == ([(1, width)], [(1, 4)])
    assert [shape.name for shape in parts["decoder"].reads] == ["ids_BU", "memory_BSD"]
    assert parts["decoder.layers.0.self_attn"].sizes == "4 heads, 2 KV"
    for part in parts.values():
        for shape in (*part.reads, *part.writes):
            assert not shape.name or len(shape.name.rpartition("_")[2]) == len(shape.sizes)


def test_every_paper_is_cited_where_the_part_is_written(anatomy: Anatomy) -> None:
    kind: FusionKind = next(kind for kind in KINDS if kind == anatomy.fusion)
    model = load(kind)
    for part in everything(anatomy.parts):
        path = part.module.partition(".{")[0]
        module, holder = model.get_submodule(path), model.get_submodule(path.rpartition(".")[0])
        classes = [type(m) for m in (holder, *module.modules())]
        files = {c.__module__ for c in classes if c.__module__.startswith("mmdoctor")}
        cited = "".join(inspect.getdoc(importlib.import_module(file)) or "" for file in files)
        for _, link in part.papers:
            assert link in cited, part.module


@pytest.mark.parametrize(
    "name",
    [
        "attention",
        "layers",
        "vision",
        "text",
        "fusion",
        "heads",
        "decoder",
        "model",
        "tokenizer",
        "processor",
        "rounding",
    ],
)
def test_every_file_of_the_model_cites_its_paper(name: str) -> None:
    assert "https://" in (importlib.import_module(f"mmdoctor.reference.{name}").__doc__ or "")


def test_describing_leaves_the_model_and_the_random_state_alone() -> None:
    before = torch.get_rng_state()

    assert describe() == describe()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(anatomy: Anatomy, width: int) -> None:
    text = anatomy_v1.text(anatomy, width=width)

    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text


def test_colours_only_colour(anatomy: Anatomy) -> None:
    coloured = anatomy_v1.text(anatomy, color=True)

    assert "\x1b[1m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).splitlines() == anatomy_v1.text(anatomy).splitlines()


def test_json_has_the_same(anatomy: Anatomy) -> None:
    content = json.loads(anatomy_v1.render(anatomy))

    assert (content["schema"], content["fusion"]) == ("mmdoctor/anatomy/v1", anatomy.fusion)
    assert sum(part["parameters"] for part in content["parts"]) == content["parameters"]
    first = content["parts"][0]
    assert first["reads"] == [{"name": "pixels_BCYX", "shape": [1, 3, 48, 48]}]


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["mmdoctor", "reference", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


def test_the_command_describes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "describe", "--fusion", "late") == 0
    assert capsys.readouterr().out == anatomy_v1.text(describe("late"))
    assert run(monkeypatch, "describe", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["fusion"] == "hybrid"
    assert run(monkeypatch, "describe", "--format", "svg") == 0
    assert capsys.readouterr().out == anatomy_svg.render(describe())
    assert run(monkeypatch, "describe", "--fusion", "hybird") == 2
    assert "did you mean hybrid?" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_exports_a_fusion(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: FusionKind
) -> None:
    assert run(monkeypatch, "export", str(tmp_path / "out"), "--fusion", kind) == 0
    written = capsys.readouterr().out.splitlines()

    assert sorted(written) == sorted(str(file) for file in (tmp_path / "out").iterdir())
    assert json.loads((tmp_path / "out/config.json").read_text())["fusion_config"]["kind"] == kind
    assert run(monkeypatch, "export", str(tmp_path / "out")) == 2
    assert "already there" in capsys.readouterr().err


def test_the_page_and_the_pictures_are_up_to_date() -> None:
    for path, text in reference_pages().items():
        assert path.read_text(encoding="utf-8") == text, "run `python -m mmdoctor.docs`"


def test_a_picture_is_sound_and_names_every_head(anatomy: Anatomy) -> None:
    picture = anatomy_svg.render(anatomy)
    root = ET.fromstring(picture)
    words = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))

    assert f"{anatomy.fusion} fusion" in words
    for said in (
        "unified vector",
        "caption, word by word",
        "answer",
        "box",
        "matching",
        "masked patches",
        "masked words",
    ):
        assert set(said.split()) <= set(words.split()), said
    assert root.get("role") == "img"
    assert "prefers-color-scheme: dark" in picture
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_boxes_lie_in_the_picture_and_beside_each_other(anatomy: Anatomy) -> None:
    root = ET.fromstring(anatomy_svg.render(anatomy))
    boxes = [
        tuple(int(rect.get(key, 0)) for key in ("x", "y", "width", "height"))
        for rect in root.findall("{http://www.w3.org/2000/svg}rect")
    ][1:]

    for x, y, width, height in boxes:
        assert 0 <= x < x + width <= anatomy_svg.WIDTH
        assert 0 <= y < y + height <= anatomy_svg.HEIGHT
    for (ax, ay, aw, ah), (bx, by, bw, bh) in itertools.combinations(boxes, 2):
        apart = ax + aw <= bx or bx + bw <= ax or ay + ah <= by or by + bh <= ay
        inside = ax <= bx and bx + bw <= ax + aw and ay <= by and by + bh <= ay + ah
        assert apart or inside
