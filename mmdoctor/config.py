"""`[tool.mmdoctor]` of pyproject.toml, or mmdoctor.toml: found from the working directory, never in the artefact."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from mmdoctor.errors import ConfigurationError, UsageError

FAIL_ON = ("error", "warning", "note", "never")
DEPTHS = ("headers", "weights")


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The target as flags or configuration name it; None where they say nothing."""

    gpu: str | None = None
    engine: str | None = None
    dtype: str | None = None
    tensor_parallel_size: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    env: Path | None = None
    """A machine as `mmdoctor env --format json` wrote it."""

    def over(self, other: "Wishes") -> "Wishes":
        """These wishes, with the other's where these say nothing."""
        mine = msgspec.structs.asdict(self)
        return Wishes(**{k: getattr(other, k) if v is None else v for k, v in mine.items()})


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration file says; None or empty where it says nothing."""

    file: Path | None = None
    """The file it was read from, None when there is none."""
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: str | None = None
    fail_on_coverage: bool | None = None
    depth: str | None = None
    load: tuple[Path, ...] = ()
    """Files with rules, resolved against the configuration's folder."""
    targets: Mapping[str, Wishes] = {}

    def target(self, name: str) -> Wishes:
        """The named set of target settings.

        Raises:
            UsageError: there is no such set.
        """
        if name in self.targets:
            return self.targets[name]
        if not self.targets:
            raise UsageError(f"--target {name}: no configuration file has a table [tool.mmdoctor.targets.{name}]")
        known = ", ".join(self.targets)
        raise UsageError(f"--target {name}: {self.file} knows {known}{_nearest(name, list(self.targets))}")


def find_configuration(start: Path, artefact: Path | None = None) -> Configuration:
    """The configuration that holds in a folder: of the nearest folder upwards that has one.

    The folder that is being checked, and all below it, are passed over: what is in there is untrusted.

    Args:
        start: the working directory.
        artefact: the file or folder that is being checked; None for the bundled model.

    Raises:
        ConfigurationError: the file is broken, or has a key or value that means nothing.
    """
    root = _resolved(artefact) if artefact is not None else None
    here = start.resolve()
    for folder in (here, *here.parents):
        if root is not None and folder.is_relative_to(root):
            continue
        configuration = _in_folder(folder)
        if configuration is not None:
            if configuration.load and root is not None and folder == root.parent and root.is_file():
                raise ConfigurationError(
                    f"{configuration.file}: `load` would run code that lies beside the file being checked; "
                    "name it with --load if you trust it"
                )
            return configuration
    return Configuration()


def _resolved(path: Path) -> Path | None:
    """The path without links; None for one that cannot exist, which is for the reader to say."""
    try:
        return Path(os.path.realpath(path.expanduser()))
    except (ValueError, RuntimeError):
        return None


def _in_folder(folder: Path) -> Configuration | None:
    own = folder / "mmdoctor.toml"
    if own.is_file():
        return _read(own, ())
    project = folder / "pyproject.toml"
    if project.is_file() and b"mmdoctor" in _bytes(project):
        return _read(project, ("tool", "mmdoctor"))
    return None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from None


def _read(file: Path, table: tuple[str, ...]) -> Configuration | None:
    import tomllib

    try:
        text = _bytes(file).decode("utf-8")
        value: Any = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{file}:{line[1]}" if line else f"{file}:{text.count(chr(10)) + 1}"
        raise ConfigurationError(f"{where}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigurationError(f"{file}: nested too deeply") from None
    for key in table:
        value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            return None
    return _Reader(file, text, table).configuration(value)


class _Reader:
    """Turns a parsed table into a Configuration, naming file and line of what is wrong."""

    def __init__(self, file: Path, text: str, table: tuple[str, ...]) -> None:
        self.file = file
        self.text = text
        self.table = table

    def configuration(self, value: Any) -> Configuration:
        readers: dict[str, Callable[[tuple[str, ...], Any], Any]] = {
            "select": self.texts,
            "ignore": self.texts,
            "fail-on": lambda path, v: self.choice(path, v, FAIL_ON),
            "fail-on-coverage": self.flag,
            "depth": lambda path, v: self.choice(path, v, DEPTHS),
            "load": lambda path, v: tuple(self.file.parent / text for text in self.texts(path, v)),
            "targets": self.targets,
        }
        return Configuration(file=self.file, **self.fields(self.table, value, readers))

    def targets(self, path: tuple[str, ...], value: Any) -> dict[str, Wishes]:
        if not isinstance(value, dict):
            self.fail(path, "a table of targets is expected")
        readers: dict[str, Callable[[tuple[str, ...], Any], Any]] = {
            "gpu": self.text_of,
            "engine": self.text_of,
            "dtype": self.text_of,
            "tensor-parallel-size": lambda p, v: self.number(p, v, int),
            "gpu-memory-utilization": lambda p, v: self.number(p, v, int, float),
            "max-model-len": lambda p, v: self.number(p, v, int),
            "env": lambda p, v: self.file.parent / self.text_of(p, v),
        }
        return {name: Wishes(**self.fields((*path, name), table, readers)) for name, table in value.items()}

    def fields(
        self, path: tuple[str, ...], value: Any, readers: Mapping[str, Callable[[tuple[str, ...], Any], Any]]
    ) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail(path, f"a table is expected, not {_kind(value)}")
        result = {}
        for key, content in value.items():
            if key not in readers:
                hint = _nearest(key, list(readers)) or f"; known keys are {', '.join(readers)}"
                self.fail((*path, key), f"unknown key {key!r}{hint}")
            result[key.replace("-", "_")] = readers[key]((*path, key), content)
        return result

    def texts(self, path: tuple[str, ...], value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.fail(path, f"{path[-1]} is a list of strings, not {_kind(value)}")
        return tuple(value)

    def text_of(self, path: tuple[str, ...], value: Any) -> str:
        if not isinstance(value, str):
            self.fail(path, f"{path[-1]} is a string, not {_kind(value)}")
        return str(value)

    def flag(self, path: tuple[str, ...], value: Any) -> bool:
        if not isinstance(value, bool):
            self.fail(path, f"{path[-1]} is true or false, not {_kind(value)}")
        return bool(value)

    def number(self, path: tuple[str, ...], value: Any, *kinds: type) -> Any:
        if isinstance(value, bool) or not isinstance(value, kinds):
            self.fail(path, f"{path[-1]} is a number, not {_kind(value)}")
        return value

    def choice(self, path: tuple[str, ...], value: Any, known: tuple[str, ...]) -> str:
        if value not in known:
            near = _nearest(value, list(known)) if isinstance(value, str) else ""
            self.fail(path, f"{path[-1]} is one of {', '.join(known)}, not {value!r}{near}")
        return str(value)

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        raise ConfigurationError(f"{self.file}:{self.line(path)}: {message}")

    def line(self, path: tuple[str, ...]) -> int:
        """1-based line of a key, or of the nearest table around it: tomllib does not keep positions."""
        best, depth = 1, -1
        for number, full in self.keys():
            common = len(full) if path[: len(full)] == full else -1
            if common > depth:
                best, depth = number, common
        return best

    def keys(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        table: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
                table = _dotted(header[1])
                yield number, table
            elif key := re.match(r"\s*([A-Za-z0-9_.\-\"' ]+?)\s*=", line):
                yield number, (*table, *_dotted(key[1]))


def _dotted(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", text))


def _kind(value: Any) -> str:
    names = {
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), "that")


def _nearest(word: str, known: list[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word.replace("_", "-"), known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""
