"""The data's way through the reference model as a picture: SVG that reads on light and on dark pages."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from mmdoctor.facts.reference import Anatomy, PartAnatomy, Shape

WIDTH, HEIGHT = 992, 744

_LIGHT = {
    "paper": "#ffffff", "ink": "#1f2328", "dim": "#59636e", "line": "#818b98",
    "image": "#ddf4ff #0969da", "text": "#fff1d6 #9a6700", "both": "#fbefff #8250df", "out": "#dafbe1 #1a7f37",
}  # fmt: skip
_DARK = {
    "paper": "#0d1117", "ink": "#f0f6fc", "dim": "#9198a1", "line": "#656c76",
    "image": "#0c2d6b #4493f8", "text": "#3d2b06 #d29922", "both": "#2d1a52 #ab7df8", "out": "#04260f #3fb950",
}  # fmt: skip
"""What a dark page has in the place of the light colours: of a box its inside and its line."""

_FONTS = """\
    text { font: 13px ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
    text.title { font-weight: 600; font-size: 14px; }
    text.dim { font-size: 12px; }
    text.shape { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
    path.way { fill: none; stroke-width: 1.5; marker-end: url(#tip); }"""

_SCENE = """\
  <g transform="translate(66 62)">
    <rect width="64" height="64" rx="3" fill="#14161c"/>
    <circle cx="24" cy="22" r="14" fill="#dc2828"/>
    <rect x="38" y="40" width="17" height="17" fill="#3250e6"/>
  </g>"""

_FIRST, _STEP, _HEAD = 48, 104, 96
"""Left edge of the first head, the next one's distance, a head's width, in pixels."""

_LETTERS, _LETTERS_WRITTEN = 40, 26
"""Letters that fit into a line of the text's card, and into the line of what is written."""

_HEADS = (
    ("masked_patch", "masked", "patches"),
    ("answer", "answer", "to a question"),
    ("box", "box", "of an object"),
    ("matching", "matching", "true or not"),
    ("next_sentence", "next", "sentence"),
    ("masked_token", "masked", "words"),
)
"""(module, two lines on it), from left to right: of the patches, of the unified vector, of the words."""
_OF_THE_VECTOR = ("answer", "box", "matching")

_KINDS: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "hybrid": ("cross-attention", (("patches ask words", "image"), ("words ask patches", "text"))),
    "early": ("one encoder", (("patches and words in one sequence: self-attention", "both"),)),
    "late": ("one network", (("the two first vectors together; all other positions pass by", "both"),)),
}
"""Of each fusion: its name for short, and what stands in its boxes, with the colour."""


def render(anatomy: Anatomy) -> str:
    """The picture, closed by a newline."""
    parts = {part.module: part for part in _everything(anatomy.parts)}
    body = "\n".join(
        [
            *_inputs(anatomy, parts),
            *_encoders(parts),
            *_fusion(anatomy, parts),
            *_heads(parts),
            *_decoder(anatomy, parts),
        ]
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="name what">
  <title id="name">The reference model with {anatomy.fusion} fusion</title>
  <desc id="what">A picture and a text go through an encoder each, a linear map each, and the fusion. One unified vector
  answers, boxes and matches; patches and words are restored; a decoder writes a caption.</desc>
  <style>
{_FONTS}
{_colours(_LIGHT)}
    @media (prefers-color-scheme: dark) {{
{_colours(_DARK)}
    }}
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <path d="M0 0 8 4 0 8z"/>
    </marker>
  </defs>
  <rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>
{body}
</svg>
"""


def _colours(palette: Mapping[str, str]) -> str:
    """CSS rules. Every colour is spelled out: not every program that shows SVG knows variables."""
    line = palette["line"]
    rules = [
        f"rect.paper {{ fill: {palette['paper']}; }}",
        f"rect.card {{ fill: {palette['paper']}; stroke: {line}; }}",
        f"text {{ fill: {palette['ink']}; }}",
        f"text.dim, text.shape {{ fill: {palette['dim']}; }}",
        f"path.way {{ stroke: {line}; }}",
        f"#tip path {{ fill: {line}; }}",
    ]
    for name in ("image", "text", "both", "out"):
        inside, edge = palette[name].split()
        rules.append(f"rect.{name} {{ fill: {inside}; stroke: {edge}; }}")
    return "\n".join(f"    {rule}" for rule in rules)


def _inputs(anatomy: Anatomy, parts: Mapping[str, PartAnatomy]) -> Iterator[str]:
    rows = _sizes(parts["vision_model"].reads)
    yield _box(48, 48, 288, 92, "card")
    yield _SCENE
    yield _label(150, 82, "a picture", "title")
    yield _label(150, 104, f"{rows}", "shape")
    yield _label(150, 124, "resized and scaled", "dim")
    yield _box(376, 48, 288, 92, "card")
    yield _label(392, 70, "a text", "title")
    for y, line in zip((91, 108), textwrap.wrap(anatomy.text, _LETTERS, max_lines=2, placeholder=" ..."), strict=False):
        yield _label(392, y, line, "")
    yield _label(392, 128, f"{_sizes(parts['text_model'].reads)} tokens, by tokenizer.json", "dim")


def _encoders(parts: Mapping[str, PartAnatomy]) -> Iterator[str]:
    patch, text = parts["vision_model"], parts["text_model"]
    for x, part, colour, name, lines in (
        (48, patch, "image", "Vision Transformer", ("patches, class token, positions",)),
        (376, text, "text", "BERT", ("words, positions, segments",)),
    ):
        yield _way((x + 144, 140), (x + 144, 170))
        yield _box(x, 172, 288, 80, colour)
        yield _middle(x + 144, 196, name, "title")
        yield _middle(x + 144, 216, lines[0], "")
        yield _middle(x + 144, 236, _layers(part), "")
        yield _way((x + 144, 252), (x + 144, 282))
        yield _label(x + 152, 271, _sizes(part.writes), "shape")
        yield _box(x + 54, 284, 180, 30, colour)
        yield _middle(x + 144, 304, "linear map", "")
        yield _way((x + 144, 314), (x + 144, 346))
        key = "vision" if part is patch else "text"
        yield _label(x + 152, 335, _sizes(parts[f"multi_modal_projector.{key}"].writes), "shape")


def _fusion(anatomy: Anatomy, parts: Mapping[str, PartAnatomy]) -> Iterator[str]:
    name, boxes = _KINDS[anatomy.fusion]
    layers = next((part.count for part in parts["fusion"].parts if "layers" in part.module), 0)
    times = f", {layers} layer{'s' if layers > 1 else ''}" if layers else ""
    yield _box(48, 348, 616, 86, "both")
    yield _middle(356, 371, f"{anatomy.fusion} fusion: {name}{times}", "title")
    width = (592 - 16 * (len(boxes) - 1)) // len(boxes)
    for index, (told, colour) in enumerate(boxes):
        x = 60 + index * (width + 16)
        yield _box(x, 384, width, 38, colour if len(boxes) > 1 else "card")
        yield _middle(x + width // 2, 408, told, "")


def _heads(parts: Mapping[str, PartAnatomy]) -> Iterator[str]:
    yield _box(204, 500, 200, 60, "both")
    yield _middle(304, 524, "unified vector", "title")
    yield _middle(304, 546, _sizes(parts["unified"].writes), "shape")
    yield _way((248, 434), (248, 498))
    yield _way((360, 434), (360, 498))
    yield _label(256, 470, "class token", "dim")
    yield _label(368, 470, "[CLS]", "dim")
    for index, (module, first, second) in enumerate(_HEADS):
        if f"heads.{module}" not in parts:
            continue
        x = _FIRST + index * _STEP
        middle = x + _HEAD // 2
        if module in _OF_THE_VECTOR:
            start = (304 + (middle - 304) * 2 // 3, 560)
            yield _way(start, (middle, 628))
        else:
            yield _way((middle, 434), (middle, 628))
        yield _box(x, 630, _HEAD, 82, "out")
        yield _middle(middle, 654, first, "title")
        yield _middle(middle, 673, second, "dim" if module in _OF_THE_VECTOR else "title")
        yield _middle(middle, 698, _sizes(parts[f"heads.{module}"].writes), "shape")
    yield _label(104, 470, "patches", "dim")
    yield _label(520, 470, "[CLS]", "dim")
    yield _label(624, 470, "words", "dim")


def _decoder(anatomy: Anatomy, parts: Mapping[str, PartAnatomy]) -> Iterator[str]:
    decoder = parts["decoder"]
    written, memory = decoder.reads
    layers = next(part for part in decoder.parts if "layers" in part.module)
    attention = next(part for part in layers.parts if "self_attn" in part.module)
    yield _box(744, 172, 200, 80, "card")
    yield _label(760, 196, "written so far", "title")
    yield _label(760, 217, f"{anatomy.written[:_LETTERS_WRITTEN].rpartition(' ')[0]} ...", "")
    yield _label(760, 237, f"{_sizes([written])} tokens", "dim")
    yield _way((844, 252), (844, 336))
    yield _box(744, 338, 200, 148, "text")
    yield _middle(844, 362, f"decoder, {_times(layers.count)}", "title")
    yield _middle(844, 386, "causal self-attention", "")
    yield _middle(844, 406, "cross-attention", "")
    yield _middle(844, 426, "feed-forward", "")
    yield _middle(844, 452, attention.sizes, "dim")
    yield _middle(844, 470, "keys and values are cached", "dim")
    yield _way((664, 391), (742, 391))
    yield _middle(704, 379, _sizes([memory]), "shape")
    yield _way((844, 486), (844, 628))
    yield _label(852, 560, _sizes(decoder.writes), "shape")
    yield _box(744, 630, 200, 82, "out")
    yield _middle(844, 654, "caption, word by word", "title")
    yield _middle(844, 674, "the next word", "dim")
    yield _middle(844, 698, _sizes(parts["lm_head"].writes), "shape")


def _layers(part: PartAnatomy) -> str:
    stack = next((inner for inner in part.parts if "layers" in inner.module), None)
    if stack is None:
        return "no layers of its own"
    sizes = next((inner.sizes for inner in stack.parts if inner.sizes), "")
    return f"{_times(stack.count)} of self-attention, {sizes}"


def _times(count: int) -> str:
    return f"{count} layer{'s' if count > 1 else ''}"


def _sizes(shapes: Sequence[Shape]) -> str:
    """The sizes of one sample: `37 x 128`."""
    return " + ".join(" x ".join(map(str, shape.sizes[1:])) for shape in shapes)


def _everything(parts: Sequence[PartAnatomy]) -> Iterator[PartAnatomy]:
    for part in parts:
        yield part
        yield from _everything(part.parts)


def _box(x: int, y: int, width: int, height: int, colour: str) -> str:
    return f'  <rect class="{colour}" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'


def _label(x: int, y: int, text: str, style: str, anchor: str = "start") -> str:
    return f'  <text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'


def _middle(x: int, y: int, text: str, style: str) -> str:
    return _label(x, y, text, style, anchor="middle")


def _way(start: tuple[int, int], end: tuple[int, int]) -> str:
    return f'  <path class="way" d="M{start[0]} {start[1]} L{end[0]} {end[1]}"/>'
