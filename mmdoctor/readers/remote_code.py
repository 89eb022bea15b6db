"""Which Python code a model would have its loader run. The files are read as text; nothing of them is imported."""

from collections.abc import Iterator

from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.documents import Documents, JsonDocument
from mmdoctor.facts.remote_code import CodeFile, CodeReference, RemoteCode
from mmdoctor.facts.source import Source
from mmdoctor.location import Location
from mmdoctor.readers import content
from mmdoctor.readers.names import is_unsafe_path
from mmdoctor.readers.python_code import MAX_BYTES, digest, marks

MAX_FILES = 64
"""Python files that are looked into."""
MAX_MARKS_TOGETHER = 200_000
"""Line ends, operators and brackets of all of them, see `python_code.marks`."""
MAX_REFERENCES = 500
"""Values of `auto_map` that are kept; real models have up to eight."""
_LONGEST = 512


def remote_code(source: Source, documents: Documents) -> RemoteCode:
    """Every class that an `auto_map` names, and the files it comes from.

    transformers/dynamic_module_utils.py, get_class_from_dynamic_module and get_relative_import_files (5.23): the
    module's file, then what it imports relatively.

    Raises:
        NotApplicable: no configuration file names code.
    """
    references: list[CodeReference] = []
    for document in documents.by_file.values():
        references += _references(document)
    if not references:
        raise NotApplicable("no configuration file has an auto_map")
    references = references[:MAX_REFERENCES]
    files, missing = _follow(source, references)
    return RemoteCode(references=tuple(references), files=tuple(files), missing=tuple(missing))


def _references(document: JsonDocument) -> Iterator[CodeReference]:
    for pointer, value in document.walk():
        if not pointer.endswith("/auto_map") or not isinstance(value, dict):
            continue
        nested = pointer != "/auto_map"
        for inner, name in document.walk(pointer):
            key = inner.removeprefix(pointer).strip("/").partition("/")[0]
            if isinstance(name, str) and "." in name and len(name) <= _LONGEST and key:
                yield CodeReference(key=key, value=name, at=document.at(inner), nested=nested)


def _follow(source: Source, references: list[CodeReference]) -> tuple[list[CodeFile], list[tuple[str, Location]]]:
    files: dict[str, CodeFile] = {}
    missing: dict[str, Location] = {}
    budget = MAX_MARKS_TOGETHER
    wanted = [(reference.file, reference.at) for reference in references if reference.repository is None]
    while wanted and len(files) + len(missing) < MAX_FILES:
        path, at = wanted.pop(0)
        if path in files or path in missing:
            continue
        entry = None if is_unsafe_path(path) else source.entry(path)
        if entry is None:
            package = path.removesuffix(".py") + "/__init__.py"
            if source.entry(package) is None:
                missing[path] = at
            else:
                wanted.append((package, at))
            continue
        file, cost = _digest(source, path, budget)
        files[path] = file
        budget -= cost
        wanted += [(sibling, Location(file=path)) for sibling in file.siblings]
    return list(files.values()), list(missing.items())


def _digest(source: Source, path: str, budget: int) -> tuple[CodeFile, int]:
    """The file and what it took of the budget."""
    entry = source.entry(path)
    assert entry is not None
    try:
        data = content.read(source, entry, MAX_BYTES)
    except Unavailable as answer:
        return CodeFile(path=path, unread=str(answer)), 0
    cost = marks(data)
    if cost > budget:
        return CodeFile(path=path, unread="there is more code than is looked into"), 0
    return digest(path, data), cost
