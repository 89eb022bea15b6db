"""From findings to files: which changes are certain, what each file becomes, and what is left to a person."""

from collections.abc import Iterable, Iterator

import msgspec

from mmdoctor.errors import MMDoctorError
from mmdoctor.facts.source import FileEntry, FileProblem, Source
from mmdoctor.finding import Change, Confidence, Edit, Finding, Removal, Renaming, Rewriting, Severity
from mmdoctor.fixing.json_splice import SpliceError, remove, set_value
from mmdoctor.readers.names import is_unsafe_path, is_weight_name
from mmdoctor.readers.regular import open_regular

MAX_BYTES = 64 * 2**20
"""Largest text file that is changed."""


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one file."""

    file: str
    """Path relative to the artefact."""
    before: str | None = None
    """Its text now; None where there is no such file, or where only its name changes."""
    after: str | None = None
    """Its text then; None where only its name changes."""
    to: str | None = None
    """Its new path; None where it keeps its name."""


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that is not settled by a program, and why."""

    finding: Finding
    why: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that `mmdoctor fix` would do to an artefact."""

    changes: tuple[FileChange, ...] = ()
    """By path."""
    settled: tuple[Finding, ...] = ()
    """Findings whose fixes are among the changes."""
    left: tuple[Left, ...] = ()
    """Errors and warnings that need a person."""


def plan(source: Source, findings: Iterable[Finding], *, unsure: bool = False) -> Plan:
    """The changes that the findings of a report propose, put together by file.

    Args:
        source: the artefact that the report is on.
        findings: of the report.
        unsure: whether to take changes that are likely right, too, not only the certain ones.
    """
    texts = _Texts(source)
    settled, left = [], []
    for finding in findings:
        if finding.severity is Severity.NOTE:
            continue
        why = _not_by_program(finding, source, unsure) or texts.take(finding)
        if why:
            left.append(Left(finding=finding, why=why))
        else:
            settled.append(finding)
    return Plan(changes=tuple(texts.changes()), settled=tuple(settled), left=tuple(left))


def _not_by_program(finding: Finding, source: Source, unsure: bool) -> str:
    if finding.fix is None or not finding.fix.edits:
        return "no program can do this"
    if source.single is not None:
        return "a single weight file is never changed"
    if finding.confidence is not Confidence.CERTAIN and not unsure:
        return f"the change is only {finding.confidence} right; --unsure takes it"
    return ""


class _Texts:
    """The files as they become, one finding after the other; a finding is taken whole or not at all."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._before: dict[str, str | None] = {}
        self._after: dict[str, str] = {}
        self._renamed: dict[str, str] = {}
        self._said: dict[tuple[str, str], object] = {}

    def take(self, finding: Finding) -> str:
        """Apply the changes of a finding; else say why they cannot be made."""
        assert finding.fix is not None
        after, renamed, said = dict(self._after), dict(self._renamed), dict(self._said)
        try:
            for change in finding.fix.edits:
                self._apply(change)
        except MMDoctorError as error:
            self._after, self._renamed, self._said = after, renamed, said
            return str(error)
        return ""

    def changes(self) -> Iterator[FileChange]:
        """What became of each file that is other than it was."""
        for file in sorted({*self._after, *self._renamed}):
            before, after = self._before.get(file), self._after.get(file)
            if after is not None and after != before:
                yield FileChange(file=file, before=before, after=after)
            elif file in self._renamed:
                yield FileChange(file=file, to=self._renamed[file])

    def _apply(self, change: Change) -> None:
        _refuse(change.file, allow_weights=isinstance(change, Renaming))
        match change:
            case Renaming(file=file, to=to):
                _refuse(to, allow_weights=True)
                self._agree(file, "", to)
                self._agree(to, "", file)
                if self._source.entry(file) is None or self._source.entry(to) is not None:
                    raise MMDoctorError(f"{file} cannot become {to}: one is not there, or the other is already")
                self._renamed[file] = to
            case Rewriting(file=file, content=content):
                self._agree(file, "", content)
                self._before.setdefault(file, self._text(file) if self._source.entry(file) else None)
                self._after[file] = content
            case Edit(file=file, pointer=pointer, value=value):
                plain = msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
                self._agree(file, pointer, plain)
                self._after[file] = set_value(self._now(file), pointer, plain)
            case Removal(file=file, pointer=pointer):
                self._agree(file, pointer, _GONE)
                self._after[file] = remove(self._now(file), pointer)

    def _agree(self, file: str, pointer: str, value: object) -> None:
        if self._said.setdefault((file, pointer), value) != value:
            raise MMDoctorError(f"two findings want different things of {file}{pointer}")

    def _now(self, file: str) -> str:
        if file not in self._after:
            self._after[file] = self._text(file)
            self._before[file] = self._after[file]
        return self._after[file]

    def _text(self, file: str) -> str:
        entry = self._source.entry(file)
        if entry is None:
            raise MMDoctorError(f"{file} is not there")
        return _read(self._source, entry)


_GONE = object()


def _refuse(path: str, *, allow_weights: bool) -> None:
    if is_unsafe_path(path):
        raise MMDoctorError(f"{path} leads out of the folder")
    if is_weight_name(path) and not allow_weights:
        raise MMDoctorError(f"{path} holds weights, and their bytes are never changed")


def _read(source: Source, entry: FileEntry) -> str:
    if entry.problem is not None and entry.problem is not FileProblem.DANGLING:
        raise MMDoctorError(f"{entry.path} cannot be read: {entry.problem}")
    try:
        with open_regular(source.absolute(entry.path)) as content:
            if content.size > MAX_BYTES:
                raise MMDoctorError(f"{entry.path} has {content.size:,} bytes, more than a text to change")
            return content.pread(0, MAX_BYTES).decode("utf-8")
    except OSError as error:
        raise MMDoctorError(f"{entry.path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SpliceError(f"{entry.path} is not UTF-8") from None
