"""Installed distributions, told from the names of their metadata folders.

`importlib.metadata` gives the same answers, but importing it and asking for thirty versions takes as long as checking
a small folder.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Distribution(NamedTuple):
    """One installed distribution."""

    name: str
    """Normalised: lower case, hyphens."""
    version: str
    """Empty where the folder's name has none."""
    folder: str
    """Its `.dist-info` or `.egg-info` folder."""

    def read(self, file: str) -> bytes:
        """A file of the folder; empty where there is none."""
        try:
            with open(os.path.join(self.folder, file), "rb") as stream:  # noqa: PTH118, PTH123 - there are hundreds
                return stream.read()
        except OSError:
            return b""


def distributions(path: Sequence[str] | None = None) -> Iterator[Distribution]:
    """The distributions on `sys.path`; of two of one name the first counts, as for imports.

    Args:
        path: folders to look into instead of `sys.path`.
    """
    seen: set[str] = set()
    for folder in dict.fromkeys(sys.path if path is None else path):
        for found in _in_folder(folder or "."):
            if found.name not in seen:
                seen.add(found.name)
                yield found


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _in_folder(folder: str) -> Iterator[Distribution]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - see above
    except OSError:
        return
    for entry in names:
        stem, dot, suffix = entry.rpartition(".")
        if dot and suffix in {"dist-info", "egg-info"}:
            name, _, rest = stem.partition("-")
            version = rest if suffix == "dist-info" else re.sub(r"-py\d.*", "", rest)
            yield Distribution(normalised(name), version, os.path.join(folder, entry))  # noqa: PTH118 - see above
