"""Which attributes of TorchScript classes are parameters and buffers: their source in the archive says so."""

import re

from mmdoctor.readers.zip_archive import ZipArchive

MAX_SOURCE = 4 << 20
"""Bytes of one source file; generated code of a large model is about 1 MB."""
_CLASS = re.compile(r"^class (\w+)\([^)]*\):\n((?:  __\w+__ = \[[^\]]*\]\n)*)", re.MULTILINE)
_NAME = re.compile(r'"([^"]*)"')


def members_of(archive: ZipArchive) -> dict[str, frozenset[str]]:
    """Dotted class name to the names of its parameters and buffers."""
    found: dict[str, frozenset[str]] = {}
    prefix = archive.root + "code/"
    for name in archive.names():
        if not name.startswith(prefix) or not name.endswith(".py"):
            continue
        opened = archive.read(name)
        if opened is None:
            continue
        module = name.removeprefix(prefix).removesuffix(".py").replace("/", ".")
        source = opened.pread(0, min(opened.size, MAX_SOURCE)).decode("utf-8", "replace")
        for match in _CLASS.finditer(source):
            found[f"{module}.{match[1]}"] = frozenset(_NAME.findall(match[2]))
    return found
