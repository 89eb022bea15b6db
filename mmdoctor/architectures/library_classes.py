"""Names of processor and tokenizer classes that the two lines of transformers know.

The tables are written by tools/library_classes.py with 4.57.6, the last release of its line, and 5.23.0.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

ROLES = ("image_processor", "video_processor", "feature_extractor", "processor", "tokenizer")
"""Parts that are loaded by the name of their class."""
NEAR = 0.9
"""Likeness of a name and the class of the model type that it stands for: 0.93 for Qwen2_5_VLImageProcessor and
Qwen2VLImageProcessor."""
SAME = 0.95
"""Likeness of a misspelt name and any class: LlavaImageProcessor and LlavaNextImageProcessor have 0.91."""
LONGEST = 200
"""Characters of a name that is compared."""
_BACKEND = re.compile(r"(Fast|Pil)$")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The classes of one release."""

    version: str
    model_types: frozenset[str]
    image_processor: Mapping[str, tuple[str, ...]]
    """Model type to class names, one a backend."""
    video_processor: Mapping[str, tuple[str, ...]]
    feature_extractor: Mapping[str, tuple[str, ...]]
    processor: Mapping[str, tuple[str, ...]]
    tokenizer: Mapping[str, tuple[str, ...]]
    tokenizer_attributes: Mapping[str, tuple[str, ...]]
    """Model type to the attributes, such as `image_token`, that its processor takes from the tokenizer unasked."""
    classes: frozenset[str]
    """Names that no mapping has."""

    def of(self, role: str) -> Mapping[str, tuple[str, ...]]:
        """The mapping of one of `ROLES`."""
        mapping: Mapping[str, tuple[str, ...]] = getattr(self, role)
        return mapping

    def knows(self, name: str) -> bool:
        """Whether the release has a class of that name, of whatever role."""
        return name in self.classes or name in _mapped(self.version[0])


@cache
def line(major: str) -> Line:
    """The last release of a line that was looked at: of `4` or `5`."""
    file = Path(__file__).parent / f"library_classes_{major}.json"
    return msgspec.json.decode(file.read_bytes(), type=Line)


@cache
def _mapped(major: str) -> frozenset[str]:
    return frozenset(name for role in ROLES for names in line(major).of(role).values() for name in names)


def spellings(role: str, name: str, major: str) -> tuple[str, ...]:
    """The names under which a line looks for a class.

    Image processors are found without the name of their backend: 4.57 (image_processing_auto.py) takes away `Fast`
    where there is no such class, but does not add it; 5.23 takes it away and adds `Pil`. Tokenizers likewise with
    `Fast` (tokenization_auto.py).
    """
    if role == "image_processor":
        base = name.removesuffix("Fast")
        return (base, name) if major == "4" else (base, f"{base}Pil", f"{base}Fast")
    if role == "tokenizer":
        return (name, f"{name}Fast", name.removesuffix("Fast")) if major != "4" else (name, f"{name}Fast")
    return (name,)


def meant(role: str, name: str, model_type: str) -> str | None:
    """The class of both lines that a misspelt or never released name stands for; None where that is open."""
    if len(name) > LONGEST:
        return None
    own, word = usual(role, model_type), name.lower()
    if own is not None and get_close_matches(word, [own.lower()], cutoff=NEAR):
        return own
    common = {known.lower(): known for known in _of_role(role, "4") & _of_role(role, "5")}
    near = get_close_matches(word, common, n=1, cutoff=SAME)
    same = near and re.findall(r"\d", near[0]) == re.findall(r"\d", word)  # Siglip3 is not Siglip2
    return common[near[0]] if same else None


def _of_role(role: str, major: str) -> frozenset[str]:
    return frozenset(_BACKEND.sub("", name) for names in line(major).of(role).values() for name in names)


def usual(role: str, model_type: str) -> str | None:
    """The class that every line which knows a model type has for it; None where there is none or they differ."""
    named = [
        [_BACKEND.sub("", n) for n in found[:1]]
        for major in ("4", "5")
        if (found := line(major).of(role).get(model_type))
    ]
    names = {name for names in named for name in names}
    return names.pop() if len(names) == 1 else None
