"""A rule's page: its docstring, taken apart into the four sections."""

import re

import msgspec

from mmdoctor.check import SECTIONS, Check

_LINK = re.compile(r"https?://[^\s)>\]]+")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to read about one rule."""

    code: str
    name: str
    family: str
    severity: str
    summary: str
    """The problem in general: the docstring's first line."""
    introduction: str
    """Text between the first line and the first section, often empty."""
    sections: dict[str, str]
    """Heading to Markdown text, in the docstring's order."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Links of the section Sources."""
        return tuple(_LINK.findall(self.sections.get("Sources", "")))

    @property
    def missing(self) -> tuple[str, ...]:
        """Sections that a page must have and this one has not, or has empty."""
        return tuple(name for name in SECTIONS if not self.sections.get(name))

    def markdown(self) -> str:
        """The whole page."""
        parts = [f"# {self.code} {self.name}", f"*{self.severity}, {self.family}*", self.summary]
        if self.introduction:
            parts.append(self.introduction)
        for heading, text in self.sections.items():
            parts += [f"## {heading}", text]
        return "\n\n".join(parts) + "\n"


def explain(rule: Check[...]) -> Page:
    """The page of a rule."""
    summary, _, rest = rule.page.partition("\n")
    introduction, *chunks = re.split(r"(?m)^## +", rest)
    sections = {}
    for chunk in chunks:
        heading, _, text = chunk.partition("\n")
        sections[heading.strip()] = text.strip()
    return Page(
        code=rule.code,
        name=rule.name,
        family=rule.family,
        severity=rule.severity.value,
        summary=summary.strip(),
        introduction=introduction.strip(),
        sections=sections,
    )
