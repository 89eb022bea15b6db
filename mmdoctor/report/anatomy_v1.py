"""The parts of the reference model, as text and as JSON, schema `mmdoctor/anatomy/v1`."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mmdoctor import __version__
from mmdoctor.facts.reference import Anatomy, PartAnatomy, Shape
from mmdoctor.report.layout import Page
from mmdoctor.report.text import bytes_of, parameters_of
from mmdoctor.report.words import dtypes_of

SCHEMA = "mmdoctor/anatomy/v1"

_NAME, _SHAPES, _COUNT = 31, 34, 12
"""Columns of a row: the widest of each in the bundled models, 79 with the blanks between them."""
_INDICES = re.compile(r"\{[0-9.,]+\}$")
"""Of layers that are alike: their parts are named after the first one."""
_STEP = 2
"""Columns by which a part of a part is indented."""


def text(anatomy: Anatomy, *, width: int = 80, color: bool = False) -> str:
    """A row a part with the shapes in and out and the parameters; what it does and whom it follows below."""
    page = Page(max(width, 40), color)
    stored = dtypes_of({anatomy.dtype.replace("bfloat", "bf").replace("float", "f"): 1})
    size = f"{parameters_of(anatomy.parameters)} parameters, {stored}, {bytes_of(anatomy.nbytes)}"
    page.paragraph((f"bundled reference model, {anatomy.fusion} fusion", "bold"), (f": {size}", ""), hang=_STEP)
    page.paragraph(("shapes of one sample, measured in one forward pass; layers that are alike once", ""))
    page.blank()
    _row(page, 0, "part", "in -> out", "parameters", "dim")
    for part in anatomy.parts:
        page.blank() if part.parts or part.papers else None
        _part(page, part, "", 0)
    page.blank()
    _row(page, 0, "together", "", f"{anatomy.parameters:,}", "bold")
    page.blank()
    page.paragraph((f"files: {', '.join(anatomy.files)}", ""), hang=_STEP)
    kind = "" if anatomy.fusion == "hybrid" else f" --fusion {anatomy.fusion}"
    page.paragraph((f"more: mmdoctor reference evaluate{kind}; mmdoctor reference export TARGET{kind}", ""), hang=_STEP)
    return page.text()


def _part(page: Page, part: PartAnatomy, above: str, depth: int) -> None:
    name = part.module.removeprefix(f"{above}.") if above else part.module
    name += f" ({part.sizes})" if part.sizes else ""
    parameters = f"{part.count} x {part.parameters:,}" if part.count > 1 else f"{part.parameters:,}"
    shapes = f"{_shapes(part.reads)} -> {_shapes(part.writes)}" if part.writes else ""
    _row(page, depth, name, shapes, parameters, "" if depth else "bold")
    indent = _STEP * (depth + 1)
    if part.what:
        page.paragraph((part.what, ""), indent=indent)
    for who, link in part.papers:
        page.paragraph((f"{who}, {link}", "dim"), indent=indent)
    inside = _INDICES.sub("0", part.module)
    for child in part.parts:
        _part(page, child, inside, depth + 1)


def _row(page: Page, depth: int, name: str, shapes: str, parameters: str, style: str) -> None:
    indent = _STEP * depth
    if page.width < _NAME + _SHAPES + _COUNT + 2:
        page.paragraph((f"{name}  ", style), (parameters, style), indent=indent)
        if shapes:
            page.paragraph((shapes, ""), indent=indent + _STEP)
        return
    page.preformatted(
        (f"{' ' * indent}{name}".ljust(_NAME), style),
        (f" {shapes:<{_SHAPES}} ", "dim" if style == "dim" else ""),
        (f"{parameters:>{_COUNT}}", style),
    )


def _shapes(shapes: Sequence[Shape]) -> str:
    """The sizes of one sample: `37x128 + 17x128`."""
    return " + ".join("x".join(map(str, shape.sizes[1:])) for shape in shapes)


def render(anatomy: Anatomy) -> str:
    """The same as JSON text, closed by a newline; shapes are those of a batch of one."""
    content = {
        "schema": SCHEMA,
        "mmdoctor": __version__,
        "fusion": anatomy.fusion,
        "parameters": anatomy.parameters,
        "dtype": anatomy.dtype,
        "bytes": anatomy.nbytes,
        "folder": anatomy.folder,
        "files": list(anatomy.files),
        "text": anatomy.text,
        "written": anatomy.written,
        "parts": list(_listed(anatomy.parts)),
    }
    return json.dumps(content, indent=2) + "\n"


def _listed(parts: Sequence[PartAnatomy]) -> Iterator[dict[str, Any]]:
    for part in parts:
        yield {
            "module": part.module,
            "what": part.what,
            "sizes": part.sizes,
            "papers": [{"name": name, "url": url} for name, url in part.papers],
            "parameters": part.parameters,
            "count": part.count,
            "reads": [{"name": shape.name, "shape": list(shape.sizes)} for shape in part.reads],
            "writes": [{"name": shape.name, "shape": list(shape.sizes)} for shape in part.writes],
            "parts": list(_listed(part.parts)),
        }
