"""What the rules about families with tiles share: a tile of fixed size, and a setting that states its tokens."""

from collections.abc import Iterable, Iterator

import msgspec

from mmdoctor.facts.image_tokens import ImageTokenCounts, TokenCount, Used
from mmdoctor.facts.model import VisionModel
from mmdoctor.finding import Confidence, Edit, Evidence, Fix, Problem

TOKENS = ("image_seq_length", "image_seq_len", "num_image_tokens")
"""Settings of processors that state the tokens of one tile outright."""
EDGES = ("max_image_size", "crop_size", "size")
"""Settings of image processors that state the edge of a tile, the one that decides first."""


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """One tile by the processor's settings and as the model takes it."""

    tokens: Used | None
    """The setting that states its tokens."""
    edge: Used | None
    """The setting that states its edge."""
    made: int
    """Pixels along its longer edge."""
    taken: int
    """Pixels along the edge of what the model takes."""
    features: int | None
    """Vectors that the model makes of it; None where it cannot."""
    used: tuple[Used, ...]
    """The values of config.json that this follows from."""
    arithmetic: str

    @property
    def other_tokens(self) -> bool:
        """Whether the tokens are stated and are others than the model makes."""
        return self.tokens is not None and self.features is not None and self.tokens.value != self.features


def tile_of(counts: ImageTokenCounts, count: TokenCount, vision: VisionModel) -> Tile | None:
    """One tile of an image, None where nothing is known of it."""
    used = {u.what: u for u in count.placeholders.used}
    pixels = count.pixels
    made = max(pixels.height, pixels.width)
    own, features = counts.own, count.features.count
    one_size = own is not None and counts.image_processor_class != "Idefics2ImageProcessor"
    if own is None and (features is None or features % pixels.tiles):
        return None
    return Tile(
        tokens=next((used[key] for key in TOKENS if key in used), None),
        edge=next((used[key] for key in EDGES if key in used and used[key].value), None),
        made=made,
        taken=vision.image_size.value if one_size and vision.image_size is not None else made,
        features=own.count if own is not None else (features or 0) // pixels.tiles,
        used=own.used if own is not None else count.features.used,
        arithmetic=own.arithmetic if own is not None else count.features.arithmetic,
    )


def tile_problem(counts: ImageTokenCounts, vision: VisionModel) -> Problem | None:
    """Why the processor's tiles are not those of the model; None where they are, or the reason is another."""
    count = counts.wrong if counts.agreeing_copy is None else None  # two copies that differ are DRF001's
    tile = tile_of(counts, count, vision) if count is not None else None
    if count is None or tile is None:
        return None
    if tile.features is None:
        return Problem(
            f"the model cannot make tokens of its own {tile.taken}x{tile.taken} px: {tile.arithmetic}; every request "
            "with an image fails",
            because=[_evidence(u) for u in tile.used if u.value is not None],
            fix=Fix("restore the settings in config.json that the model was trained with"),
            confidence=_confidence(tile.used),
        )
    if not tile.other_tokens and tile.made == tile.taken:
        return None
    return Problem(
        f"{consequence(count)}; {_cause(tile)}",
        because=list(_evidences(tile)),
        fix=_fix(tile),
        confidence=_confidence([u for u in (tile.tokens, tile.edge) if u is not None]),
    )


def consequence(count: TokenCount) -> str:
    """What happens to the user, with both counts."""
    image, features = f"a {count.width}x{count.height} image", count.features
    said = f"{image} becomes {count.placeholders.count} placeholders, the model makes {features.count} features"
    if count.placeholders.count is None:
        said = f"the processor cannot count the tokens of {image} ({count.placeholders.arithmetic})"
    elif features.count is None:
        said = (
            f"{image} becomes {count.placeholders.count} placeholders, and the model refuses it: {features.arithmetic}"
        )
    return f"{said}: every request with an image fails"


def _cause(tile: Tile) -> str:
    if tile.made != tile.taken:
        states = f" with {tile.tokens.value} tokens" if tile.other_tokens and tile.tokens else ""
        end = f"{tile.taken} px" + (f" and makes {tile.features}" if states else "")
        return f"the processor is set for {tile.made} px{states}, the model takes {end}"
    stated = tile.tokens.value if tile.tokens is not None else None
    return f"the processor states {stated} tokens for {tile.taken} px, the model makes {tile.features}"


def _evidences(tile: Tile) -> Iterator[Evidence]:
    if tile.other_tokens and tile.tokens is not None:
        yield Evidence(named(tile.tokens), tile.tokens.value, tile.tokens.at, expected=tile.features)
    if tile.made != tile.taken and tile.edge is not None:
        yield Evidence(f"{named(tile.edge)} (pixels)", tile.edge.value, tile.edge.at, expected=tile.taken)
    for used in tile.used:
        if used.value is not None:
            yield _evidence(used)


def _evidence(used: Used) -> Evidence:
    return Evidence(named(used), used.value, used.at)


def named(used: Used) -> str:
    """A setting in words: its key, and whose default it is where no file states it."""
    return used.what if used.default_of is None else f"{used.what} (absent: default of {used.default_of})"


def _fix(tile: Tile) -> Fix:
    words: list[str] = []
    edits: list[Edit] = []
    if tile.other_tokens and tile.tokens is not None:
        words.append(f"{tile.tokens.what} to {tile.features}")
        edits += tile.tokens.set_to(tile.features)
    if tile.made != tile.taken:
        if tile.edge is None:
            return Fix(f"ship the processor for {tile.taken} px that belongs to this model")
        words.append(f"{tile.edge.what} to {tile.taken} px")
        edits += tile.edge.set_to(_size(tile.edge, tile.taken))
    return Fix(f"set {' and '.join(words)}, as it follows from config.json", tuple(edits))


def _size(edge: Used, pixels: int) -> dict[str, str | int | float | bool | None]:
    if edge.what == "max_image_size":
        return {"longest_edge": pixels}
    return {"height": pixels, "width": pixels}


def _confidence(used: Iterable[Used]) -> Confidence:
    return Confidence.CERTAIN if all(u.default_of is None for u in used) else Confidence.LIKELY
