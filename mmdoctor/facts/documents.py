"""JSON files of the artefact, with the pointers that lead to their values."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from mmdoctor.location import Location, Reading

T = TypeVar("T")


def escape(key: str) -> str:
    """One reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class JsonDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed JSON file."""

    file: str
    value: Any
    """Plain Python values."""
    duplicates: tuple[str, ...] = ()
    """Pointers of keys that stand more than once; the last one won."""

    def at(self, pointer: str = "") -> Location:
        """The place of a value in this file."""
        return Location(file=self.file, pointer=pointer)

    def get(self, pointer: str) -> Any:
        """The value at a JSON pointer, or None where there is none (or it is null)."""
        value = self.value
        for token in pointer.split("/")[1:]:
            key = token.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value

    def read(self, pointer: str, *kinds: type[T]) -> Reading[T] | None:
        """The value at a pointer if it is of one of the types, else None. A bool is never an int."""
        value = self.get(pointer)
        if isinstance(value, bool) and bool not in kinds:
            return None
        return Reading(value, self.at(pointer)) if isinstance(value, kinds) else None

    def walk(self, pointer: str = "") -> Iterator[tuple[str, Any]]:
        """Every (pointer, value) below a pointer, depth first, containers included."""
        stack = [(pointer, self.get(pointer) if pointer else self.value)]
        while stack:
            where, value = stack.pop()
            yield where, value
            if isinstance(value, dict):
                stack.extend((f"{where}/{escape(str(k))}", v) for k, v in reversed(value.items()))
            elif isinstance(value, list):
                stack.extend((f"{where}/{i}", v) for i, v in reversed(list(enumerate(value))))


class BrokenDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON file that could not be opened or parsed."""

    file: str
    reason: str
    """What the parser said, in plain words."""
    line: int | None = None
    column: int | None = None
    unopened: bool = False
    """The text was never seen: a file that may not be read, a link to nowhere, a stand-in for the real one."""


class Documents(msgspec.Struct, frozen=True, kw_only=True):
    """All JSON files of the top level that belong to the Hugging Face layout, tokenizer.json left out (it is large)."""

    by_file: Mapping[str, JsonDocument]
    broken: tuple[BrokenDocument, ...] = ()

    def trouble(self, file: str) -> str | None:
        """Why a file that is there has no document, as a sentence; None where it is absent or was read."""
        return next((f"{b.file} cannot be read: {b.reason}" for b in self.broken if b.file == file), None)

    def __getitem__(self, file: str) -> JsonDocument:
        return self.by_file[file]

    def find(self, file: str) -> JsonDocument | None:
        """The document of that file name, or None where it is absent or broken."""
        return self.by_file.get(file)
