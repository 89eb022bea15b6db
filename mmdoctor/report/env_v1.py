"""A machine as a file, schema `mmdoctor/env/v1`: written by `mmdoctor env --format json`, read by `check --env`."""

import json
from pathlib import Path

import msgspec

from mmdoctor import __version__
from mmdoctor.errors import UsageError
from mmdoctor.facts.machine import Gpu, Machine
from mmdoctor.report import json_v1
from mmdoctor.report.schema_v1 import GpuV1

SCHEMA = "mmdoctor/env/v1"
LARGEST = 1 << 20
"""Bytes of such a file that are read; a real one has two thousand."""


class _Saved(msgspec.Struct, kw_only=True):
    """What of a file is used; everything else may be absent or new."""

    schema: str
    platform: str = ""
    python: str = ""
    cpus: int = 1
    ram_bytes: int = 0
    ram_available_bytes: int = 0
    gpus: list[GpuV1] = []
    gpu_note: str | None = None
    driver: str | None = None
    cuda: str | None = None
    packages: dict[str, str] = {}


def render(machine: Machine) -> str:
    """The machine as JSON text, closed by a newline."""
    facts = msgspec.to_builtins(json_v1.machine(machine))
    return json.dumps({"schema": SCHEMA, "mmdoctor": __version__, **facts}, indent=2) + "\n"


def read(file: Path) -> Machine:
    """The machine that a file describes.

    Raises:
        UsageError: there is no such file, or it is not one of `mmdoctor env --format json`.
    """
    try:
        with file.open("rb") as stream:
            saved = msgspec.json.decode(stream.read(LARGEST), type=_Saved)
    except OSError as error:
        raise UsageError(f"--env {file}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"--env {file}: not written by `mmdoctor env --format json`: {error}") from None
    if saved.schema != SCHEMA:
        raise UsageError(f"--env {file}: its schema is {saved.schema!r}, not {SCHEMA!r}")
    return Machine(
        platform=saved.platform,
        python=saved.python,
        cpus=saved.cpus,
        ram_bytes=saved.ram_bytes,
        ram_available_bytes=saved.ram_available_bytes,
        gpus=tuple(_gpu(index, gpu) for index, gpu in enumerate(saved.gpus)),
        gpu_note=saved.gpu_note,
        driver=saved.driver,
        cuda=saved.cuda,
        packages=saved.packages,
        saved_as=file.name,
    )


def _gpu(index: int, gpu: GpuV1) -> Gpu:
    major, _, minor = (gpu.capability or "").partition(".")
    return Gpu(
        index=index,
        name=gpu.name,
        total_bytes=gpu.total_bytes,
        free_bytes=gpu.free_bytes,
        capability=(int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None,
        reserved_bytes=gpu.reserved_bytes,
        unified=gpu.unified,
    )
