"""What a chat template makes of a message."""

from collections.abc import Mapping

import msgspec

from mmdoctor.facts.tokenizer import ChatTemplate


class Rendering(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation of one message, rendered."""

    text: str | None = None
    """The prompt; None where there is none."""
    failure: str = ""
    """What the library would raise."""
    line: int | None = None
    """Where in the template, 1-based."""
    endless: str = ""
    """How it takes more steps or memory than any real template."""
    unknown: str = ""
    """What it uses that is not rendered here, so that nothing can be said."""


class RenderedTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """The chat template that transformers takes, with what it makes of messages."""

    template: ChatTemplate
    broken: str = ""
    """Why it is no template: the words of the parser."""
    line: int | None = None
    """Where, 1-based."""
    renderings: Mapping[str, Rendering] = {}
    """By what the message holds: `words` (a plain text), `text` (a text part), and `image`, `video` or `audio` (that
    and a text part)."""
    after_answer: str | None = None
    """What the template writes after an answer that ends the conversation; None where that is not known."""
    after_turn: str | None = None
    """The same of an answer that another question follows, up to that question."""
