"""`mmdoctor check` as users run it, on a hostile target: what it said, what it cost and what it touched."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import mmdoctor
import mmdoctor_checks

SECONDS = 10
"""Processor time that any answer may take."""
PEAK_BYTES = 512 * 2**20
"""Resident memory that any answer may take."""
PATIENCE = 280
"""Seconds on the clock: a machine with other work may make the answer wait, a hang may not hold the tests up."""

_HERE = Path(__file__).parent
_PACKAGES = [Path(mmdoctor.__file__).parent, Path(mmdoctor_checks.__file__).parent]
_OWN = [*_PACKAGES, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).parent]
_OWN += [Path(p) for key, p in sysconfig.get_paths().items() if key in ("stdlib", "platstdlib", "purelib", "platlib")]
_SYSTEM = (
    "/proc/meminfo",
    "/proc/cpuinfo",
    "/proc/stat",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup/",
)
"""What the description of the machine is made of."""
_SEARCHED = (str(_HERE / "witness"), *(os.path.realpath(p.parent) for p in _PACKAGES))
"""Where Python looks for modules."""


_CRASH = re.compile(r"^(?:\*\*)?crashed|\"traceback\":|\"code\": \"REPORT\"", re.MULTILINE)
"""How a check's bug shows in a report. JSON lists those checks, and the exit code is 2 as well."""


class Answer(NamedTuple):
    """What a run of the command gave."""

    code: int
    """Exit code; negative for a signal."""
    out: str
    err: str
    seconds: float
    """Processor time."""
    peak: int
    """Bytes of resident memory, at most."""
    events: tuple[tuple[str, str], ...]
    """What Python's audit hooks saw: the event and the path or address."""


def check(target: Path | str | bytes, *arguments: str, cwd: Path | None = None, as_nobody: bool = False) -> Answer:
    """Run `mmdoctor check` on a target.

    Args:
        target: the PATH.
        arguments: options.
        cwd: the working directory; an empty one when None.
        as_nobody: take root's right to read every file away.
    """
    with TemporaryDirectory() as place:
        result, witness, empty = Path(place, "result"), Path(place, "witness"), Path(place, "empty")
        empty.mkdir()
        paths = [str(_HERE / "witness"), *(str(p.parent) for p in _PACKAGES)]
        environment = {
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONSAFEPATH": "1",
            "PATH": "/usr/bin:/bin",
            "HOME": str(empty),
            "MMDOCTOR_WITNESS": str(witness),
            "LC_ALL": "C.UTF-8",
        }
        if as_nobody:
            environment["MMDOCTOR_WITHOUT_ROOT_RIGHTS"] = "1"
        program = [sys.executable, "-c", "import mmdoctor.cli; mmdoctor.cli.main()", "check", "--", target]
        program[4:4] = arguments
        launcher = [sys.executable, "-I", "-S", str(_HERE / "limited.py"), str(result)]
        run = subprocess.run(
            [*launcher, *program], cwd=cwd or empty, env=environment, capture_output=True, timeout=PATIENCE, check=True
        )
        cost = json.loads(result.read_text())
        events = [line.partition(b" ") for line in witness.read_bytes().split(b"\0")[:-1]]
        return Answer(
            code=cost["code"],
            out=run.stdout.decode(),
            err=run.stderr.decode(),
            seconds=cost["seconds"],
            peak=cost["peak"],
            events=tuple((event.decode(), os.fsdecode(what)) for event, _, what in events),
        )


def assert_harmless(answer: Answer, *roots: Path) -> None:
    """A report or one line, in bounds, and nothing done but reading below the roots."""
    said = answer.out + answer.err
    assert "Traceback" not in said, said[-3000:]
    assert answer.code in (0, 1, 2), f"{answer.code}: {said[-3000:]}"
    assert not _CRASH.search(answer.out), answer.out[-3000:]
    if answer.code == 2:
        assert answer.out == ""
        assert answer.err.count("\n") == 1, answer.err
        assert answer.err.startswith("mmdoctor: ")
    else:
        assert answer.err == ""
    assert_printable(said)
    assert answer.seconds < SECONDS, f"{answer.seconds:.1f} s of processor time: {said[-1000:]}"
    assert answer.peak < PEAK_BYTES, f"{answer.peak >> 20} MiB: {said[-1000:]}"
    assert strangers(answer, *roots) == []


def assert_printable(text: str) -> None:
    """Nothing that moves a cursor, hides a word or turns the direction of writing."""
    bad = {c for c in text if c != "\n" and (not c.isprintable() or 0xD800 <= ord(c) < 0xE000)}
    assert not bad, sorted(map(ascii, bad))


def strangers(answer: Answer, *roots: Path) -> list[tuple[str, str]]:
    """Events that are more than reading below the roots, mmdoctor and Python themselves."""
    mine = [os.path.realpath(p) for p in (*roots, *_OWN)]
    odd = []
    for event, what in dict.fromkeys(answer.events):
        reading = event in ("open", "os.listdir", "os.scandir")
        path = os.path.realpath(what)
        known = any(path == p or path.startswith(p + os.sep) for p in mine) or what.startswith(_SYSTEM)
        known |= event == "os.listdir" and path in _SEARCHED
        if not (reading and known):
            odd.append((event, what))
    return odd
