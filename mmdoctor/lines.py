"""Line and column of the JSON values that findings name; nobody else needs them, so nobody else pays for them."""

import contextlib

import msgspec

from mmdoctor.facts.source import Source
from mmdoctor.location import Location

MAX_BYTES = 64 * 2**20
"""Largest file that is searched for a line: three times the largest tokenizer.json in use."""


class Lines:
    """Finds places in the text files of one artefact. Only listed files are opened."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._texts: dict[str, bytes | None] = {}
        self._found: dict[tuple[str, str], tuple[int, int] | None] = {}

    def resolve(self, at: Location) -> Location:
        """The place with line and column, where the pointer leads to a value; else the place as it was."""
        if at.pointer is None or at.line is not None or at.tensor is not None:
            return at
        key = at.file, at.pointer
        if key not in self._found:
            self._found[key] = self._locate(*key)
        position = self._found[key]
        return at if position is None else msgspec.structs.replace(at, line=position[0], column=position[1])

    def _locate(self, file: str, pointer: str) -> tuple[int, int] | None:
        from mmdoctor.readers.json_position import locate

        text = self._text(file)
        return None if text is None else locate(text, pointer)

    def _text(self, file: str) -> bytes | None:
        if file not in self._texts:
            entry = self._source.entry(file)
            self._texts[file] = None
            if entry is not None and entry.problem is None and entry.size <= MAX_BYTES:
                from mmdoctor.readers.regular import open_regular

                with contextlib.suppress(OSError), open_regular(self._source.absolute(file)) as content:
                    self._texts[file] = content.pread(0, MAX_BYTES)
        return self._texts[file]
