"""Python code that a model brings along: which keys name it, and what it would import and call. Nothing is executed."""

import enum

import msgspec

from mmdoctor.location import Location


class CodeReference(msgspec.Struct, frozen=True, kw_only=True):
    """One value of an `auto_map`: a class that a loader imports when it trusts the model."""

    key: str
    """What it stands for: `AutoModelForCausalLM`, `AutoTokenizer`, ..."""
    value: str
    """As written: `modeling_x.XForCausalLM`, or `owner/name--modeling_x.XForCausalLM`."""
    at: Location
    nested: bool = False
    """Whether the `auto_map` stands in a section of the file, not at its top."""

    @property
    def repository(self) -> str | None:
        """`owner/name` of another repository that the code comes from, or None where it lies beside the file."""
        before, separator, _ = self.value.rpartition("--")
        return before if separator else None

    @property
    def file(self) -> str:
        """The Python file that is imported."""
        return f"{self.value.rpartition('--')[2].rpartition('.')[0].replace('.', '/')}.py"


class CodeAct(enum.StrEnum):
    """What a call or an import is able to do."""

    EXECUTE = "executes"
    NETWORK = "network"
    FILES = "changes files"
    UNPICKLE = "unpickles"
    DECODE = "decodes"
    IMPORT = "imports by name"


class CodeCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call or import in a Python file that is able to do something beyond computing."""

    act: CodeAct
    name: str
    """Dotted name with aliases resolved: `os.system`."""
    line: int


class CodeFile(msgspec.Struct, frozen=True, kw_only=True):
    """A Python file of the artefact that a loader would run."""

    path: str
    imports: tuple[str, ...] = ()
    """Top-level packages that it imports, without its own folder and the standard library's harmless part."""
    siblings: tuple[str, ...] = ()
    """Files of its own folder that it imports relatively, whether they are there or not."""
    calls: tuple[CodeCall, ...] = ()
    unread: str | None = None
    """Why it could not be looked into."""


class RemoteCode(msgspec.Struct, frozen=True, kw_only=True):
    """All code that loaders would run for this artefact when told to trust it."""

    references: tuple[CodeReference, ...]
    files: tuple[CodeFile, ...] = ()
    """The files that the references lead to, relative imports followed, as far as they are there."""
    missing: tuple[tuple[str, Location], ...] = ()
    """Files that are named and not there, with the place that names them first."""
