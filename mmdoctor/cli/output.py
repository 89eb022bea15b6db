"""Where text goes: the report to stdout or, all at once, into a file; everything else to stderr."""

import os
import sys
from pathlib import Path
from typing import TextIO

from mmdoctor.errors import UsageError

DEFAULT_WIDTH = 80
"""Columns when the output is no terminal and COLUMNS is not set."""


def emit(text: str) -> None:
    """Write to stdout. A reader that has gone, as `head` does, is no error."""
    try:
        sys.stdout.write(_encodable(text, sys.stdout))
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout once more on exit; that must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Write a line to stderr."""
    print(_encodable(text, sys.stderr), file=sys.stderr)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the new one, never half of it.

    Raises:
        UsageError: it cannot be written there.
    """
    import tempfile

    if path.exists() and not path.is_file():  # a device such as /dev/stdout, or a pipe: nothing to replace
        _write_in_place(path, text)
        return
    target = path.resolve()
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~mask)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror or error}") from None


def _write_in_place(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--output {path}: {error.strerror or error}") from None


def color_of(choice: str, stream: TextIO) -> bool:
    """Whether to use colours: `always` and `never` as they say, `auto` in a terminal whose user has not said no."""
    if choice != "auto":
        return choice == "always"
    quiet = os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not quiet


def width_of(stream: TextIO) -> int:
    """Columns to fill: of the terminal, or of COLUMNS, or 80."""
    if (columns := os.environ.get("COLUMNS", "")).isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        return DEFAULT_WIDTH


def _encodable(text: str, stream: TextIO) -> str:
    """The text with what the stream's encoding lacks spelled out."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)
