"""The program in this process, and rules whose outcome is known."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

RULES = '''
from collections.abc import Iterator

from mmdoctor import Evidence, Fix, Location, Problem, Severity, check, provider
from mmdoctor.engine import NotApplicable, Unavailable
from mmdoctor.facts.source import Source


class Gpu: ...
class Audio: ...


@provider
def gpu(source: Source) -> Gpu:
    raise Unavailable("no GPU here")


@provider
def audio(source: Source) -> Audio:
    raise NotApplicable("there is no audio tower")


def problem(source: Source) -> Problem:
    at = Location(file="config.json", pointer="/model_type")
    return Problem("it is " + source.name, [Evidence("name", source.name, at, "another")], Fix("rename it"))


@check("TERR001", Severity.ERROR)
def is_an_error(source: Source) -> Iterator[Problem]:
    """An error of the test."""
    yield problem(source)


@check("TWAR001", Severity.WARNING)
def is_a_warning(source: Source) -> Iterator[Problem]:
    """A warning of the test."""
    yield problem(source)


@check("TNOT001", Severity.NOTE)
def is_a_note(source: Source) -> Iterator[Problem]:
    """A note of the test."""
    yield problem(source)


@check("TPAS001", Severity.ERROR)
def is_fine(source: Source) -> Iterator[Problem]:
    """Never found."""
    yield from ()


@check("TGPU001", Severity.ERROR)
def wants_a_gpu(gpu: Gpu) -> Iterator[Problem]:
    """Never looked."""
    yield from ()


@check("TAUD001", Severity.ERROR)
def wants_audio(audio: Audio) -> Iterator[Problem]:
    """Never applies."""
    yield from ()


@check("TBUG001", Severity.ERROR)
def has_a_bug(source: Source) -> Iterator[Problem]:
    """Never ends."""
    yield Problem(str(1 // 0), [Evidence("never", 0)])
'''


class Result(NamedTuple):
    """What a run of the program gave."""

    code: int
    out: str
    err: str


Program = Callable[..., Result]


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Program:
    """Run the program with these arguments, in an empty working directory."""
    from mmdoctor.cli import main

    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["mmdoctor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A file with rules of every outcome."""
    file = tmp_path / "rules_of_the_test.py"
    file.write_text(RULES)
    return file
