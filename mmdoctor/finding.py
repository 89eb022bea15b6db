"""What a rule reports: problems made by checks, findings as the report carries them."""

import enum
from collections.abc import Sequence

import msgspec

from mmdoctor.location import Location

Scalar = str | int | float | bool | None


class Severity(enum.StrEnum):
    """How bad it is, in SARIF's words."""

    NOTE = "note"
    """It works; worth knowing, or alarming to look at and yet normal."""
    WARNING = "warning"
    """Some inputs or some targets will fail or degrade."""
    ERROR = "error"
    """It will not load, will not run, or silently answers wrongly."""

    @property
    def rank(self) -> int:
        """Order of badness: note 0, warning 1, error 2."""
        return _RANKS[self.value]


_RANKS = {"note": 0, "warning": 1, "error": 2}


class Confidence(enum.StrEnum):
    """How sure the rule is, apart from how bad it would be."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


class Evidence(msgspec.Struct, frozen=True):
    """One observed fact: what was looked at, what stands there, where, and what was expected."""

    what: str
    """Name of the quantity, with its unit where it has one: `patch size (pixels)`."""
    observed: Scalar
    at: Location = Location()
    expected: Scalar = None


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A change to one JSON value that a program can make."""

    file: str
    """Path relative to the artefact."""
    pointer: str
    """JSON pointer of the value; its parent object must exist."""
    value: msgspec.Raw | Scalar | list[Scalar] | dict[str, Scalar]
    """The new value."""


def any_json(value: object) -> msgspec.Raw:
    """A JSON value of any shape for an `Edit`; its texts may have lone surrogates, which UTF-8 cannot hold."""
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except UnicodeEncodeError:
        import json

        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)  # NaN becomes null, as msgspec has it
        return msgspec.Raw(json.dumps(finite).encode())


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON value, with its key, that a program can take away."""

    file: str
    pointer: str


class Renaming(msgspec.Struct, frozen=True, kw_only=True):
    """A file that should have another name."""

    file: str
    to: str
    """Path relative to the artefact; nothing may be there yet."""


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """A text file to write, whether or not there is one."""

    file: str
    content: str
    """The whole text."""


Change = Edit | Removal | Renaming | Rewriting
"""What a program can do to an artefact. None of them touches a weight's bytes."""


class Fix(msgspec.Struct, frozen=True):
    """What to do about it, in words to act on and, where the right value is certain, as edits."""

    text: str
    edits: tuple[Change, ...] = ()


class Problem(msgspec.Struct, frozen=True):
    """What a check yields. It must carry evidence: a problem without a number or a place is refused."""

    message: str
    """One sentence with observed, expected and units; it says what happens to the user."""
    because: Sequence[Evidence]
    fix: Fix | None = None
    severity: Severity | None = None
    """Overrides the rule's own severity when this case is milder or graver."""
    confidence: Confidence = Confidence.CERTAIN

    def __post_init__(self) -> None:
        if not self.because:
            raise ValueError(f"a problem needs evidence: {self.message!r} has none")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A problem with the identity of the rule that found it."""

    code: str
    """Rule code, such as `DRF005`."""
    name: str
    """Rule name, such as `merge-size-mismatch`."""
    family: str
    """Rule family, such as `drift`."""
    severity: Severity
    confidence: Confidence
    message: str
    summary: str
    """The rule's first docstring line: the problem in general."""
    evidence: tuple[Evidence, ...]
    fix: Fix | None = None

    @property
    def location(self) -> Location:
        """Where to look first: the place of the first piece of evidence that has one."""
        return next((e.at for e in self.evidence if e.at != Location()), Location())

    @property
    def fingerprint(self) -> str:
        """Identity that survives rewording and other values: rule code and places, not lines, not numbers."""
        import hashlib

        places = sorted({f"{e.at.file}#{e.at.pointer or ''}#{e.at.tensor or ''}" for e in self.evidence})
        return hashlib.sha256("\n".join([self.code, *places]).encode("utf-8", "surrogatepass")).hexdigest()[:32]
