"""The words of the shapes world: what the reference model can see, be asked, and say."""

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[BOS]", "[EOS]", "<image>")
"""In the order of their ids, from 0."""

IMAGE_TOKEN = "<image>"  # noqa: S105 - a word of the vocabulary, not a password

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "cyan", "white")
SHAPES = ("circle", "square", "triangle", "cross", "diamond", "ring")
SIZES = ("small", "large")
POSITIONS = ("top left", "top", "top right", "left", "center", "right", "bottom left", "bottom", "bottom right")
"""Cells of a grid of three by three over the picture, in reading order."""

NUMBERS = ("zero", "one", "two", "three", "four")
TRUTHS = ("yes", "no")

ANSWERS = (*COLOURS, *SHAPES, *SIZES, *POSITIONS, *NUMBERS, *TRUTHS)
"""Classes of the classification head, in order."""

WORDS = (
    *(*COLOURS, *SHAPES, *SIZES, "left", "right", "top", "bottom", "center", *NUMBERS, *TRUTHS),
    *("a", "an", "the", "and", "or", "of", "in", "on", "at", "to", "with", "there", "it", "nothing", "else"),
    *("what", "which", "where", "how", "many", "is", "are", "does", "has", "find", "describe", "show", "name"),
    *("color", "colour", "shape", "size", "position", "object", "picture", "scene", "background", "black", "same"),
    *("above", "below", "beside", "than", "larger", "smaller", "middle", "corner", "near", "different", "only"),
    *("?", ".", ",", ":", "##s", "##es"),
)
"""Words and word endings (`##`), behind the special tokens."""

VOCABULARY: dict[str, int] = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *WORDS))}
"""Token to id."""
